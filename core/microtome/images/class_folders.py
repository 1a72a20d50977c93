"""A set of images from a folder with one folder a class, as most data sets of images lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from microtome.errors import ImageError
from microtome.images.preprocessing import Preprocessing
from microtome.images.reading import decoded, files_of, in_order, is_image
from microtome.jobs import Job
from microtome.prompts import ImageInput
from microtome.records.image_folder import ImageFolder
from microtome.records.image_set import ImageSet

_MOST_CLASSES = 1000


def class_folders(folder: Path) -> tuple[Path, ...]:
    """The folders inside one that hold images, ``a2`` before ``a10``. Raises ImageError."""
    found = (path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    return tuple(sorted((path for path in found if any(_images(path))), key=in_order))


def set_of_classes(folder: Path, inner: Sequence[Path], edge: int, job: Job) -> ImageSet:
    """The images of the folders ``inner``; each folder's name is a class, and its domain.

    Images that are not all of one size become squares of ``edge``: the shorter edge is made so
    long, and the middle is cut out. The note says so, and what was left out.

    Raises ImageError when there are too many classes or images, or none can be read.
    """
    if len(inner) > _MOST_CLASSES:
        raise ImageError(
            f"{folder.name} holds {len(inner):,} folders of images, and {_MOST_CLASSES:,} may be.",
            "Take a part of it.",
        )
    files = [(path, at) for at, one in enumerate(inner) for path in _images(one)]
    held = decoded([path for path, _ in files], job)
    if not held.images:
        raise ImageError(f"{folder.name} holds no image that can be read. {held.damaged[0]}")
    labels = [at for (_, at), image in zip(files, held.read, strict=True) if image is not None]
    names = tuple(path.name for path in inner)
    values, note = _of_one_size(held.images, edge)
    left_out = ImageFolder(folder.name, held.images, damaged=held.damaged).note
    return ImageSet(
        folder.name, values, np.array(labels), names, names, f"{note} {left_out}".strip()
    )


def _images(folder: Path) -> list[Path]:
    return [path for path in files_of(folder) if is_image(path)]


def _of_one_size(images: Sequence[ImageInput], edge: int) -> tuple[np.ndarray, str]:
    """All images as one array [image, row, column, channel], and what was done for it."""
    channels = max(image.values.shape[2] for image in images)
    sizes = {image.size for image in images}
    steps = Preprocessing(channels=channels, size=None)
    note = ""
    if len(sizes) > 1:
        steps = Preprocessing(channels=channels, size=edge, crop=(edge, edge))
        note = f"Images of {len(sizes)} sizes: the shorter edge is made {edge}, the middle cut out."
    return np.stack([steps.prepare(image).values for image in images]), note
