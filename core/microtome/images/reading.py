"""Images of files and folders, as what a model is asked about."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from microtome.errors import ImageError, expect, expect_count, megabytes
from microtome.images.decoder import Decoder, expect_size
from microtome.images.formats import HEAD, NAMES, kind_of
from microtome.jobs import Job, job_or_default
from microtome.prompts import ImageInput
from microtome.records.image_folder import ImageFolder

MOST_FILES = 10_000  # that a folder may hold of any kind
_MOST_TOGETHER = 2_000_000_000  # bytes of the pixels of a folder's images
_EXAMPLE = "Write for example 'cup.png'."


def read_image(path: str | Path, *, job: Job | None = None) -> ImageInput:
    """The image of a file, uint8 [row, column, 1 or 3], named as the file.

    It is decoded in a process of its own with limits of time and memory. Its ``note`` says what
    was left away: pictures after the first, transparency (laid on white), more than 8 bits.

    Raises ImageError for a file that cannot be read, is no image, is too large or damaged, or
    makes that process crash or hang; Cancelled when ``job`` is stopped.
    """
    expect(path, (str, Path), "path", "a file of an image", _EXAMPLE)
    place = Path(path).expanduser()
    with Decoder() as decoder:
        return decoder.decode(_bytes(place), place.name, job_or_default(job), str(place))


def read_images(folder: str | Path, *, limit: int = 1000, job: Job | None = None) -> ImageFolder:
    """The images of a folder, ``a2`` before ``a10``; folders inside it are not looked into.

    At most ``limit`` images are read. What is no image, or cannot be read, is left out and told
    by the result. Raises ImageError when there is no such folder or no image in it, or they do
    not fit into memory together; InputError for a limit below 1; Cancelled.
    """
    expect(folder, (str, Path), "folder", "a folder of images", "Write for example 'pictures'.")
    expect_count(limit, "limit")
    place, given = Path(folder).expanduser(), job_or_default(job)
    files = files_of(place)
    found = [path for path in files if is_image(path)]
    held = decoded(found[:limit], given)
    if not held.images:
        why = held.damaged[0] if held.damaged else ""
        raise ImageError(
            f"The folder {place.name or place} holds no image that can be read. {why}",
            f"Choose a folder with {NAMES} files.",
        )
    beyond = max(0, len(found) - limit)
    return ImageFolder(place.name, held.images, len(files) - len(found), held.damaged, beyond)


def is_image(path: Path) -> bool:
    """Whether a file begins as an image of a known kind does."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return bool(kind_of(file.read(HEAD)))
    except OSError:
        return False


def in_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """What to sort by, so that ``a2`` comes before ``a10``."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return tuple((0, int(one), one) if one.isdecimal() else (1, 0, one) for one in parts)


def files_of(folder: Path) -> list[Path]:
    """The files of a folder in order, hidden ones left out. Raises ImageError."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise ImageError(f"The folder {folder} {what}.", "Choose a folder that holds images.")
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise ImageError(
            f"The folder {folder} cannot be read ({error.strerror}).", "Choose another folder."
        ) from error
    if len(found) > MOST_FILES:
        raise ImageError(
            f"The folder {folder.name} holds {len(found):,} files; {MOST_FILES:,} are the most.",
            "Take a part of it.",
        )
    return sorted((path for path in found if path.is_file()), key=in_order)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of files: an image of each, or None, and what is wrong with those."""

    read: tuple[ImageInput | None, ...]
    damaged: tuple[str, ...]

    @property
    def images(self) -> tuple[ImageInput, ...]:
        """Those that could be read."""
        return tuple(image for image in self.read if image is not None)


def decoded(files: list[Path], job: Job) -> Decoded:
    """The images of files, all by one child. Raises ImageError for too many, and Cancelled."""
    read: list[ImageInput | None] = []
    damaged: list[str] = []
    together = 0
    with Decoder() as decoder:
        for at, path in enumerate(files):
            job.progress("Reading images", at, len(files))
            image = None
            try:
                image = decoder.decode(_bytes(path), path.name, job, str(path))
            except ImageError as error:
                damaged.append(error.what)
            read.append(image)
            together += 0 if image is None else image.values.nbytes
            _expect_room(together, len(read))
        job.progress("Reading images", len(files), len(files))
    return Decoded(tuple(read), tuple(damaged))


def _expect_room(together: int, count: int) -> None:
    if together > _MOST_TOGETHER:
        raise ImageError(
            f"The first {count} images have {megabytes(together)} of pixels; "
            f"{megabytes(_MOST_TOGETHER)} are the most.",
            "Take fewer, or make them smaller.",
        )


def _bytes(path: Path) -> bytes:
    """What a file holds. Raises ImageError when it cannot be read or is too large."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ImageError(f"{path} is a folder.", "Choose a file, or read it as a folder.")
        if not stat.S_ISREG(found.st_mode):
            raise ImageError(f"{path} is no file.", _EXAMPLE)
        expect_size(found.st_size, path.name)
        return path.read_bytes()
    except OSError as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else error.strerror
        raise ImageError(f"{path} cannot be read: it {why}.", "Choose another file.") from error
