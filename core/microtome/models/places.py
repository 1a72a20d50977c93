"""From the name of a model to the folder that holds it."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import microtome_resources as resources
from microtome.errors import ModelDamaged, ModelNotFound, expect
from microtome.jobs import Job
from microtome.models.vetting import files_of
from microtome.models.weights import unreadable
from microtome.triage.examination import examine

_EXAMPLE = "Write for example load_model('words-4l')."
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")


@dataclass(frozen=True, slots=True)
class Place:
    """A model's folder; ``weights`` is set when one file in it is meant, as for a checkpoint."""

    name: str
    folder: Path
    weights: Path | None = None


def find_place(name: str | Path, *, allow_download: bool, job: Job) -> Place:
    """Where a model lies: an embedded name first, then a folder, then the hub's local cache.

    Raises ModelNotFound with near names, ModelDamaged for a folder that cannot be used, Offline
    when only the network could help and may not be used.
    """
    expect(name, (str, os.PathLike), "The model", "a name or folder", _EXAMPLE)
    text = os.fspath(name).strip()
    if text.partition("@")[0] in resources.model_names():
        return _embedded(text)
    folder = Path(text).expanduser()
    if text and folder.exists():
        return Place(_name_of(folder.resolve()), _usable(folder))
    if _HUB_ID.match(text):
        from microtome.models.hub import snapshot

        return Place(text, snapshot(text, allow_download=allow_download, job=job))
    raise _not_found(text)


def look_at(place: Place, job: Job) -> None:
    """Have a child look at the files of a model first, unless they came with the program.

    Raises ModelDamaged and UnsafeModel, and Cancelled when the job is stopped.
    """
    named = () if place.weights is None else (place.weights,)
    files = files_of(place.folder, place.weights)
    examine("model", (place.folder, *named), files, job=job)


def _embedded(name: str) -> Place:
    try:
        found = resources.embedded_model(name)
    except ValueError as error:
        raise ModelNotFound(str(error)) from error
    return Place(name, found.folder, None if found.checkpoint is None else found.weights)


def _name_of(folder: Path) -> str:
    """A folder's name; with its parent's where an embedded model, whose prompts are known, has it.

    Those prompts, read by another model, would give numbers that mean nothing.
    """
    taken = folder.name.partition("@")[0] in resources.model_names()
    return f"{folder.parent.name}/{folder.name}" if taken else folder.name


def _usable(folder: Path) -> Path:
    if not folder.is_dir():
        raise ModelNotFound(
            f"{folder.name} is a file, but a model is a folder.",
            "Choose the folder that holds config.json and the weights.",
        )
    try:
        empty = next(folder.iterdir(), None) is None
    except OSError as error:
        raise unreadable(folder, error) from error
    if empty:
        raise ModelDamaged(
            f"The folder {folder.name} is empty.",
            "Choose the folder that holds config.json and the weights.",
        )
    return folder


def _not_found(name: str) -> ModelNotFound:
    known = resources.model_names()
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return ModelNotFound(
        f"There is no model {name!r}: neither an embedded model nor a folder.",
        f"{hint}Embedded models: {', '.join(known) or 'none'}. A model of the hub is named "
        "owner/model.",
    )
