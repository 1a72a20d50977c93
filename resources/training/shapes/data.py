"""Labelled images of 22 classes in four domains, drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from training.shapes.canvas import SIDE, Plane, finished
from training.shapes.digits import DIGITS, digit, samples
from training.shapes.faces import PEOPLE, face
from training.shapes.objects import THINGS, thing
from training.shapes.split import Split
from training.shapes.textures import TEXTURES, texture

DOMAINS: Final = {
    "face": tuple(PEOPLE),
    "object": tuple(THINGS),
    "texture": tuple(TEXTURES),
    "digit": DIGITS,
}
CLASSES: Final = tuple(name for names in DOMAINS.values() for name in names)
DOMAIN_OF: Final = tuple(domain for domain, names in DOMAINS.items() for _ in names)
_DRAWN: Final[dict[str, Callable[[str, np.random.Generator], Plane]]] = {
    "face": face,
    "object": thing,
    "texture": texture,
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images uint8 [image, row, column, 1] and the class of each, int64 [image]."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def draw(split: Split, per_class: int, seed: int, classes: tuple[str, ...] = CLASSES) -> Labelled:
    """Return ``per_class`` images of each class in the order of the classes.

    The same arguments give the same images; splits, seeds and classes are drawn apart.
    Digits are real samples, repeated in another pose where there are fewer than asked for.
    Raises ModuleNotFoundError when digits are asked for and scikit-learn is missing.
    """
    images = np.empty((len(classes) * per_class, SIDE, SIDE, 1), np.uint8)
    for at, name in enumerate(classes):
        rng = np.random.default_rng((split, seed, CLASSES.index(name)))
        picture = _source(name, split, rng)
        for number in range(per_class):
            images[at * per_class + number, :, :, 0] = finished(picture(number), rng)
    labels = np.repeat([CLASSES.index(name) for name in classes], per_class)
    return Labelled(images, labels.astype(np.int64))


def _source(name: str, split: Split, rng: np.random.Generator) -> Callable[[int], Plane]:
    """Return what draws the picture of a number: a new one, or a digit's next sample."""
    if name not in DIGITS:
        drawn = _DRAWN[DOMAIN_OF[CLASSES.index(name)]]
        return lambda _: drawn(name, rng)
    return partial(_next_digit, samples(name, split), rng)


def _next_digit(real: npt.NDArray[np.float64], rng: np.random.Generator, number: int) -> Plane:
    return digit(real[number % len(real)], rng)
