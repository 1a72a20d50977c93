"""Images to choose from: the embedded sets, and the folders and files that were opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from psygnal import Signal

from microtome.prompts import ImageInput
from microtome.records.image_set import ImageSet
from microtome_desktop.state.draft import DraftText

SET = "set:"  # begins the source of an image of an embedded set
_MOST = 8  # opened albums that are kept; the oldest goes first


@dataclass(frozen=True, eq=False)
class Album:
    """Images by number, of an embedded set or of a folder; ``classes`` is empty without labels."""

    name: str
    title: str
    images: ImageSet | Sequence[ImageInput]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that at least one image has."""
        if not isinstance(self.images, ImageSet):
            return ()
        held = np.unique(self.images.labels).tolist()
        return tuple(self.images.classes[label] for label in held)

    def places(self, wanted: str = "") -> tuple[int, ...]:
        """The numbers of the images of a class; of all without one."""
        images = self.images
        if not wanted or not isinstance(images, ImageSet) or wanted not in images.classes:
            return tuple(range(len(images)))
        return tuple(np.flatnonzero(images.labels == images.classes.index(wanted)).tolist())

    def image(self, at: int) -> ImageInput:
        """One image, which knows where it is from."""
        if isinstance(self.images, ImageSet):
            return replace(self.images.image(at), source=f"{SET}{self.name}/{at}")
        return self.images[at]

    @cached_property
    def _numbers(self) -> dict[tuple[str, str], int]:
        return {(image.source, image.digest): at for at, image in enumerate(self._all())}

    def _all(self) -> list[ImageInput]:
        return [] if isinstance(self.images, ImageSet) else list(self.images)

    def find(self, image: ImageInput | None) -> int | None:
        """The number of an image that was taken from here."""
        if image is None:
            return None
        if not isinstance(self.images, ImageSet):
            return self._numbers.get((image.source, image.digest))
        name, _, number = image.source.removeprefix(SET).rpartition("/")
        known = image.source.startswith(SET) and name == self.name and number.isdecimal()
        at = int(number) if known else len(self)
        return at if at < len(self) and image == self.images.image(at) else None


def album_of(held: ImageSet) -> Album:
    """An embedded set as an album."""
    return Album(held.name, held.title or held.name, held)


def label_of(image: ImageInput | None) -> str:
    """The class of an image that was taken from a set with labels; empty for any other."""
    labelled = image is not None and image.source.startswith(SET)
    return image.name.rpartition(" ")[0] if image is not None and labelled else ""


def asking(
    text: DraftText, image: ImageInput, *, corrupt: bool, words: tuple[str, ...]
) -> dict[str, Any]:
    """What changes in a draft that asks about an image, or takes it as the corrupt one.

    Its class becomes the answer (of the corrupt one the wrong answer) if the model knows it; what
    was typed stays, the class of the image before does not.
    """
    field, answer = ("corrupt_image", "wrong") if corrupt else ("image", "answer")
    held, before, label = getattr(text, answer), label_of(getattr(text, field)), label_of(image)
    changes: dict[str, Any] = {field: image}
    if not held or held == before:
        changes[answer] = label if label in words else ""
    return changes


class Albums:
    """The folders and files that were opened in this window, and what a choice is for."""

    changed = Signal(object)  # the album that was opened
    aimed = Signal(bool)

    def __init__(self) -> None:
        self._opened: tuple[Album, ...] = ()
        self._corrupt = False

    @property
    def corrupt(self) -> bool:
        """Whether a choice is for the corrupt image, not for the image that is asked about."""
        return self._corrupt

    def aim(self, *, corrupt: bool) -> None:
        """Choose for one of the two images from now on."""
        if corrupt != self._corrupt:
            self._corrupt = corrupt
            self.aimed.emit(corrupt)

    @property
    def opened(self) -> tuple[Album, ...]:
        """The newest first."""
        return self._opened

    def add(self, album: Album) -> None:
        """Offer an album; one of the same name makes room for it."""
        others = tuple(one for one in self._opened if one.name != album.name)
        self._opened = (album, *others)[:_MOST]
        self.changed.emit(album)
