"""What a grammar produces: documents to train on and pairs to patch with."""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

PERCENT: Final = 100


class Split(Enum):
    """Which side of the hold-out a document comes from."""

    TRAINING = "training"
    HELD_OUT = "held out"


class Judge(Enum):
    """How a prediction is compared with the right and wrong words."""

    TOP = "the most probable word of the whole vocabulary is right"
    AMONG = "the most probable of the right and wrong words is right"
    MASS = "the right words together are more probable than the wrong ones"


@dataclass(frozen=True, slots=True)
class Document:
    """A text in words, with the word a test asks for.

    ``determined`` are the positions whose word, or its kind, follows from the text
    before; they weigh more in the loss. ``asked`` is the position that is scored.
    """

    words: tuple[str, ...]
    determined: tuple[int, ...]
    asked: int
    right: tuple[str, ...]
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A clean and a corrupt prompt in words, of one length, with both answers."""

    clean: tuple[str, ...]
    corrupt: tuple[str, ...]
    answer: str
    wrong: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """One task: how it is drawn, scored and described."""

    name: str
    title: str
    weight: int
    document: Callable[[random.Random, Split], Document]
    pair: Callable[[random.Random], Pair]
    combination: str
    description: str
    judge: Judge = Judge.TOP
    goal: float | None = None
    held_out_percent: int = 10
    pair_source: str = "the clean prompts are held out of training"


def seeded(*parts: object) -> random.Random:
    """Return a generator whose seed is made of names and numbers."""
    return random.Random(" ".join(map(str, parts)))  # noqa: S311 - texts, not secrets


def is_held_out(task: str, *combination: str, percent: int = 10) -> bool:
    """Say whether a combination belongs to the test side; the same on every machine."""
    digest = zlib.crc32("|".join((task, *combination)).encode())
    return digest % PERCENT < percent


def allowed(split: Split, task: str, *combination: str, percent: int = 10) -> bool:
    """Say whether a combination may be drawn for this side of the split."""
    return is_held_out(task, *combination, percent=percent) == (split is Split.HELD_OUT)
