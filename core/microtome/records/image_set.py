"""The record of a set of labelled images: pixels, classes, and the domain of each class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import index
from typing import SupportsIndex

import numpy as np
from jaxtyping import Int, UInt8

from microtome.errors import ImageError, described, expect
from microtome.prompts import ImageInput

_WAY_OUT = "Give uint8 images [image, row, column, 1 or 3] and a label for each."


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images with their classes; classes of one kind, such as faces, are a domain.

    ``labels`` are places in ``classes``, and ``domains`` has one domain for each class. A part of
    a set keeps all classes, so that labels mean the same in it, and its ``numbers`` say where its
    images stand in the whole; None for a whole set. ``title``, ``model`` (the embedded model that
    the set was made for) and ``note`` are for people.

    Raises ImageError when these do not fit each other.
    """

    name: str
    images: UInt8[np.ndarray, "image row column channel"]
    labels: Int[np.ndarray, " image"]
    classes: tuple[str, ...]
    domains: tuple[str, ...]
    note: str = ""
    title: str = ""
    model: str = ""
    numbers: Int[np.ndarray, " image"] | None = None

    def __post_init__(self) -> None:
        expect(self.name, str, "name", "a name", "Write for example ImageSet('cups', …).")
        for field in ("classes", "domains"):
            expect(getattr(self, field), (list, tuple), field, "a list of names", _WAY_OUT)
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if why := self._unfit():
            raise ImageError(f"The image set {self.name} cannot be used: {why}.", _WAY_OUT)
        for field, kind in (("images", np.uint8), ("labels", np.int64)):
            held = np.array(getattr(self, field), dtype=kind, order="C")
            held.setflags(write=False)
            object.__setattr__(self, field, held)

    def _unfit(self) -> str:
        """What does not fit, empty for a good set."""
        return self._unfit_arrays() or self._unfit_names()

    def _unfit_arrays(self) -> str:
        images, labels = self.images, self.labels
        if not _array(images, "u") or images.dtype != np.uint8 or images.ndim != 4:
            return f"its images are {_shown(images)}"
        if not images.size or images.shape[3] not in (1, 3):
            return f"its images have the shape {images.shape}"
        if not _array(labels, "iu") or labels.shape != images.shape[:1]:
            return f"for {len(images)} images its labels are {_shown(labels)}"
        if self.numbers is not None and np.shape(self.numbers) != labels.shape:
            return f"for {len(images)} images its numbers are {_shown(self.numbers)}"
        return ""

    def _unfit_names(self) -> str:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            return "it has no classes, or two of one name"
        if len(self.domains) != len(self.classes):
            return f"it has {len(self.classes)} classes and {len(self.domains)} domains"
        if not all(name and str(name) == name for name in (*self.classes, *self.domains)):
            return "a name of a class or of a domain is empty or no text"
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            return f"a label is outside 0 to {len(self.classes) - 1}"
        return ""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each image: its class, and its place among the images of that class."""
        seen = [0] * len(self.classes)
        found = []
        for label in self.labels.tolist():
            found.append(f"{self.classes[label]} {seen[label]}")
            seen[label] += 1
        return tuple(found)

    @property
    def digest(self) -> str:
        """SHA-256 of pixels, labels and classes, by which results know their set."""
        made = hashlib.sha256(repr((self.images.shape, self.classes, self.domains)).encode())
        made.update(self.images.tobytes())
        made.update(self.labels.tobytes())
        return made.hexdigest()

    def image(self, at: SupportsIndex) -> ImageInput:
        """One image, named like ``cup 3``. Raises ImageError when there is no such one."""
        try:
            place = index(at)
        except TypeError:
            raise ImageError(f"The image is {described(at)}.", "Give its number.") from None
        if not 0 <= place < len(self):
            raise ImageError(
                f"{self.name} has no image {place}.", f"Give a number from 0 to {len(self) - 1}."
            )
        label = int(self.labels[place])
        before = int(np.count_nonzero(self.labels[:place] == label))
        number = place if self.numbers is None else int(self.numbers[place])
        source = f"set:{self.name}/{number}"
        return ImageInput(self.images[place], f"{self.classes[label]} {before}", source=source)

    def of(self, wanted: str | Iterable[str]) -> ImageSet:
        """The images of some classes or domains, in their order.

        Raises ImageError for a name that is neither, or when no image is of them.
        """
        names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        for name in names:
            if name not in self.classes and name not in self.domains:
                known = ", ".join(dict.fromkeys((*self.domains, *self.classes)))
                raise ImageError(
                    f"{self.name} has no class or domain {name!r}.", f"It has {known}."
                )
        pairs = zip(self.classes, self.domains, strict=True)
        taken = np.array([bool({*pair} & {*names}) for pair in pairs])[self.labels]
        if not taken.any():
            raise ImageError(f"{self.name} has no image of {', '.join(names) or 'no class'}.")
        return self._part(taken)

    def _part(self, taken: np.ndarray) -> ImageSet:
        whole = np.arange(len(self)) if self.numbers is None else self.numbers
        return replace(
            self, images=self.images[taken], labels=self.labels[taken], numbers=whole[taken]
        )


def _array(value: object, kinds: str) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds


def _shown(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else described(value)
