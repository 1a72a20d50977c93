"""Sets of labelled images: those embedded in the package, and folders of the same form.

A folder of a set holds ``images.safetensors`` (``images``, uint8 [image, row, column, channel],
and ``labels``, whole numbers [image]) and ``set.json`` with ``name``, ``classes`` and ``domains``,
one for each class; ``title``, ``model`` and ``note`` may stand beside them. Or it holds one folder
of image files for each class.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import microtome_resources as resources
from microtome.errors import ImageError, expect, expect_count, megabytes
from microtome.jobs import Job, job_or_default
from microtome.records.image_set import ImageSet

_TENSORS, _SETTINGS = "images.safetensors", "set.json"
_LARGEST = 1 << 30  # bytes of the images of a set
_LARGEST_SETTINGS = 4 << 20
_FORM = f"A set is a folder with {_TENSORS} and {_SETTINGS}, or with a folder of images a class."


def load_image_set(name: str | Path, *, edge: int = 256, job: Job | None = None) -> ImageSet:
    """An embedded set, or that of a folder.

    A folder holds a set in the form above, or one folder of images for each class; the classes
    are their own domains then, and images that are not all of one size become squares of
    ``edge`` pixels.

    Raises ImageError that names what is missing or wrong in it, InputError for an edge below 1,
    Cancelled when ``job`` is stopped.
    """
    expect(
        name, (str, Path), "name", "an image set's name or folder", "Write for example 'shapes'."
    )
    expect_count(edge, "edge")
    text = str(name)
    if text in image_set_names():
        return _read(resources.image_set_path(text))
    folder = Path(text).expanduser().resolve()
    if not folder.is_dir():
        known = ", ".join(image_set_names())
        raise ImageError(
            f"There is no image set {text!r}, embedded or as a folder.", f"Embedded: {known}."
        )
    # Late, so that the names of sets cost a window no library of images.
    from microtome.images.class_folders import class_folders, set_of_classes

    if not any((folder / own).exists() for own in (_TENSORS, _SETTINGS)):
        if inner := class_folders(folder):
            return set_of_classes(folder, inner, edge, job_or_default(job))
        raise _bad(folder, f"it has no {_SETTINGS}, and no folders of images")
    return _read(folder)


def image_set_names(model: str | None = None) -> tuple[str, ...]:
    """The names of the embedded sets, or of those made for one model."""
    if model is not None and model.partition("@")[0] not in resources.model_names():
        return ()
    return tuple(resources.image_set_names(model))


def _read(folder: Path) -> ImageSet:
    settings, arrays = _settings(folder), _arrays(folder)
    classes, domains = (_texts(folder, settings, key) for key in ("classes", "domains"))
    return ImageSet(
        name=_text(folder, settings, "name") or folder.name,
        images=arrays["images"],
        labels=arrays["labels"],
        classes=classes,
        domains=domains,
        note=_text(folder, settings, "note"),
        title=_text(folder, settings, "title"),
        model=_text(folder, settings, "model"),
    )


def _settings(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads(_file(folder, _SETTINGS, _LARGEST_SETTINGS).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(folder, f"{_SETTINGS} is not readable as JSON: {error}") from error
    if not isinstance(found, dict):
        raise _bad(folder, f"{_SETTINGS} is no object")
    return found


def _arrays(folder: Path) -> dict[str, np.ndarray]:
    """Both arrays. Raises ImageError for a file without them, or that is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = _file(folder, _TENSORS, _LARGEST)
    try:
        arrays: dict[str, np.ndarray] = load_file(path)
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise _bad(folder, f"{_TENSORS} cannot be read: {error}") from error
    for wanted in ("images", "labels"):
        if wanted not in arrays:
            raise _bad(folder, f"{_TENSORS} holds no {wanted}")
    return arrays


def _file(folder: Path, name: str, most: int) -> Path:
    path = folder / name
    if not path.is_file():
        raise _bad(folder, f"it has no {name}")
    if (size := path.stat().st_size) > most:
        raise _bad(folder, f"{name} has {megabytes(size)}, and {megabytes(most)} is the most")
    return path


def _texts(folder: Path, settings: dict[str, Any], key: str) -> tuple[str, ...]:
    found = settings.get(key)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _bad(folder, f"{_SETTINGS} has no list of {key}")
    return tuple(found)


def _text(folder: Path, settings: dict[str, Any], key: str) -> str:
    found = settings.get(key, "")
    if not isinstance(found, str):
        raise _bad(folder, f"the {key} in {_SETTINGS} is no text")
    return found


def _bad(folder: Path, why: str) -> ImageError:
    return ImageError(f"{folder.name} is no set of images: {why}.", _FORM)
