"""Requests that read images of files, folders and the clipboard; the core decodes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from microtome.jobs import Job
from microtome.prompts import ImageInput
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.albums import Album, asking
from microtome_desktop.state.desk import Desk

if TYPE_CHECKING:
    from microtome.records.image_folder import ImageFolder

PASTED = "pasted image"


def show_image(desk: Desk, image: ImageInput, *, corrupt: bool) -> None:
    """Ask about an image, and tell what reading it has left away."""
    words = desk.library.shelf.facts.words
    desk.draft.update(**asking(desk.draft.text, image, corrupt=corrupt, words=words))
    if image.note:
        desk.notices.info(f"{image.name}: {image.note}")


@dataclass(frozen=True, slots=True)
class OpenImage(Request):
    """Read the image of a file, or of the bytes of one, and ask about it."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "image"
    replaces: ClassVar[frozenset[str]] = frozenset({"image"})

    path: Path | None = None
    data: bytes = field(default=b"", repr=False)
    corrupt: bool = False  # as the second image

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Reading {PASTED if self.path is None else self.path.name}"

    def perform(self, engine: Engine, job: Job) -> ImageInput:
        """The pixels, decoded in a process of its own."""
        if self.path is None:
            from microtome.images.decoder import decode_bytes

            return decode_bytes(self.data, PASTED, job)
        from microtome.images.reading import read_image

        return replace(read_image(self.path, job=job), source=str(self.path))

    def deliver(self, desk: Desk, result: ImageInput) -> None:
        """Show it in the prompt panel."""
        show_image(desk, result, corrupt=self.corrupt)


@dataclass(frozen=True, slots=True)
class OpenImages(Request):
    """Read the images of a folder, or of several files, as an album to choose from.

    A folder with a folder of images for each class is a set with labels.
    """

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "image"
    replaces: ClassVar[frozenset[str]] = frozenset({"image"})

    paths: tuple[Path, ...]  # a folder, or files
    corrupt: bool = False

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        one = self.paths[0].name if len(self.paths) == 1 else f"{len(self.paths)} images"
        return f"Reading {one}"

    def perform(self, engine: Engine, job: Job) -> tuple[Album, str]:
        """The album, and what was left out as sentences."""
        if len(self.paths) == 1:
            return _read_folder(self.paths[0], job)
        return _read_files(self.paths, job)

    def deliver(self, desk: Desk, result: Any) -> None:
        """Offer the album, and ask about its first image."""
        album, note = result
        desk.albums.add(album)
        show_image(desk, album.image(0), corrupt=self.corrupt)
        if note:
            count = "1 image" if len(album) == 1 else f"{len(album)} images"
            desk.notices.info(f"{album.title}: {count}. {note}")


def _read_files(paths: tuple[Path, ...], job: Job) -> tuple[Album, str]:
    from microtome.errors import ImageError
    from microtome.images.reading import decoded

    found = decoded(list(paths), job)
    if not found.images:
        raise ImageError(f"None of {len(paths)} files can be read. {found.damaged[0]}")
    pairs = zip(paths, found.read, strict=True)
    images = tuple(replace(one, source=str(path)) for path, one in pairs if one is not None)
    name = f"{len(images)} files of {paths[0].parent.name}"
    return Album(name, name, images), " ".join(found.damaged)


def _read_folder(folder: Path, job: Job) -> tuple[Album, str]:
    from microtome.images.class_folders import class_folders
    from microtome.images.reading import files_of, is_image, read_images
    from microtome.images.sets import load_image_set

    alone = folder.is_dir() and not any(is_image(path) for path in files_of(folder))
    if (folder / "set.json").exists() or (alone and class_folders(folder)):
        held = load_image_set(folder, job=job)
        return Album(str(folder), f"set {held.title or held.name}", held), held.note
    found: ImageFolder = read_images(folder, job=job)
    images = tuple(replace(one, source=str(folder / one.name)) for one in found)
    return Album(str(folder), f"folder {found.name}", images), found.note
