"""The three kinds of images: to train on, to test with, and to choose units by."""

from enum import IntEnum


class Split(IntEnum):
    """A part of the data; its number is part of the seed, so that no two share a draw."""

    TRAINING = 0
    TEST = 1
    LOCALIZER = 2
