"""Handwritten digits 0 to 5: real ones, from the UCI Optical Recognition of Handwritten Digits.

scikit-learn carries the 1,797 images of its test part, 8 by 8 pixels in 17 grey steps.
Source: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998, CC BY 4.0.
"""

from functools import cache
from importlib import import_module
from typing import Final

import numpy as np
import numpy.typing as npt

from training.shapes.canvas import Canvas, Plane, Pose, two_greys
from training.shapes.split import Split

DIGITS: Final = ("0", "1", "2", "3", "4", "5")
SOURCE: Final = (
    "UCI Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), CC BY 4.0,"
    " as scikit-learn carries it"
)
_CELLS: Final = 8
_SHUFFLE: Final = 20_251
# The share of the samples of each digit before which a split ends, in the order of `Split`.
_ENDS: Final = {Split.TRAINING: (0.0, 0.7), Split.TEST: (0.7, 0.85), Split.LOCALIZER: (0.85, 1.0)}


@cache
def _all() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return all images [image, row, column] from 0 to 1, and what each shows."""
    try:
        found = import_module("sklearn.datasets").load_digits()
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            "The real digits come with scikit-learn, which is not installed here; "
            "pip install scikit-learn to make the images of shapes again."
        ) from missing
    return found.images / 16.0, found.target.astype(np.int64)


@cache
def samples(name: str, split: Split) -> npt.NDArray[np.float64]:
    """Return the real images [image, 8, 8] of a digit in a split; no image is in two splits.

    Raises ModuleNotFoundError where scikit-learn is missing.
    """
    images, shown = _all()
    own = images[shown == int(name)]
    order = np.random.default_rng((_SHUFFLE, int(name))).permutation(len(own))
    start, end = (round(share * len(own)) for share in _ENDS[split])
    chosen: npt.NDArray[np.float64] = own[order[start:end]]
    return chosen


def digit(sample: npt.NDArray[np.float64], rng: np.random.Generator) -> Plane:
    """Return a sample [8, 8] as a picture [row, column], about three times as large, in a pose."""
    ground, value = two_greys(rng, least=0.5)
    canvas = Canvas(ground, Pose.drawn(rng, 0.12, (0.9, 1.05), 0.08))
    ink = _between(sample, (canvas.y + 0.75) / 1.5, (canvas.x + 0.75) / 1.5)
    canvas.grey += ink * (value - ground)
    return canvas.grey


def _between(sample: npt.NDArray[np.float64], down: Plane, across: Plane) -> Plane:
    """Return the sample at places from 0 to 1, bilinearly; paper (0) outside."""
    framed = np.pad(sample, 1)
    rows = np.clip(down * _CELLS + 0.5, 0, _CELLS + 0.999)
    columns = np.clip(across * _CELLS + 0.5, 0, _CELLS + 0.999)
    top, left = rows.astype(int), columns.astype(int)
    low, right = rows - top, columns - left
    above = framed[top, left] * (1 - right) + framed[top, left + 1] * right
    below = framed[top + 1, left] * (1 - right) + framed[top + 1, left + 1] * right
    ink: Plane = above * (1 - low) + below * low
    return ink
