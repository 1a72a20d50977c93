"""The record of a folder of images: those that could be read, and why others could not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from microtome.prompts import ImageInput

_NAMED = 3  # files in a note


@dataclass(frozen=True, slots=True, eq=False)
class ImageFolder:
    """The images of a folder, in the order of their names.

    ``others`` counts files that are no images; ``damaged`` says of each image that could not be
    read why; ``beyond`` counts images that were not read because there were too many.
    """

    name: str
    images: tuple[ImageInput, ...]
    others: int = 0
    damaged: tuple[str, ...] = ()
    beyond: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageInput]:
        return iter(self.images)

    def __getitem__(self, at: int) -> ImageInput:
        return self.images[at]

    @property
    def note(self) -> str:
        """What was left out, as sentences; empty when nothing was."""
        found = []
        if self.others:
            are = "file is no image" if self.others == 1 else "files are no images"
            found.append(f"{self.others} {are}.")
        if self.beyond:
            found.append(f"{self.beyond} more images were not read: there are too many.")
        found += self.damaged[:_NAMED]
        if more := len(self.damaged) - _NAMED:
            found += [f"{more} more images cannot be read."] if more > 0 else []
        return " ".join(found)
