"""Models of the hub: from its local cache, or over the network when that is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from microtome.errors import ModelDamaged, ModelNotFound, Offline, UnsafeModel
from microtome.jobs import Job
from microtome.models.download import fetch, look_up
from microtome.models.weights import find_weights

# What opening a model reads beside its weights; those are looked for by their own rules.
_TEXTS = ["*.json", "*.txt", "tokenizer.model"]


def cached(name: str) -> Path | None:
    """The folder of a hub model in the local cache, None unless all of it is there.

    Raises ModelNotFound for what can be no hub id.
    """
    if name.count("/") != 1:
        raise _no_name(name)
    try:
        found = huggingface_hub.snapshot_download(
            name, allow_patterns=_TEXTS, ignore_patterns=["*/*"], local_files_only=True
        )
        find_weights(Path(found))
    except HFValidationError as error:
        raise _no_name(name) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ModelDamaged, UnsafeModel):
        return None
    return Path(found)


def cached_part(name: str, folder: str, files: Sequence[str]) -> Path | None:
    """A folder of a hub repository in the local cache, None unless all of it is there.

    ``files`` are patterns of the files meant, which lie directly in the folder.
    Raises ModelNotFound for what can be no hub id.
    """
    start = f"{folder}/" if folder else ""
    try:
        found = huggingface_hub.snapshot_download(
            name, allow_patterns=[start + each for each in files],
            ignore_patterns=[f"{start}*/*"], local_files_only=True,
        )  # fmt: skip
    except HFValidationError as error:
        raise _no_name(name) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        return None
    part = Path(found) / folder
    return part if part.is_dir() and any(path.is_file() for path in part.iterdir()) else None


def _no_name(name: str) -> ModelNotFound:
    return ModelNotFound(f"{name!r} is no name of a hub model.", "Such a name is owner/model.")


def snapshot(name: str, *, allow_download: bool, job: Job) -> Path:
    """The folder of a hub model.

    The job is handed what will be fetched as the partial result ``download`` (a ``Download``),
    and then the bytes as they come. Raises Offline when the model is not in the local cache and
    the network may not be used or does not answer, ModelNotFound when the hub does not have it,
    UnsafeModel when its weights are pickles, StorageError when the disk is too small.
    """
    found = cached(name)
    if found is not None:
        return found
    if not allow_download:
        raise Offline(
            f"The model {name} is not on this computer.",
            "Allow the download (Model > Open hub id in the window, allow_download=True in Python, "
            "--download on the command line), or give the folder of a local copy.",
        )
    job.progress(f"Asking the hub for {name}", 0, 1)
    plan = look_up(name)
    job.partial("download", plan)
    return fetch(plan, job)
