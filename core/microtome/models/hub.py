"""Models of the hub: from its local cache, or over the network when that is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from microtome.errors import ModelNotFound, Offline, StorageError
from microtome.jobs import Job

# Nothing else of a repository is ever fetched: no pickles, no code.
_PATTERNS = ["*.safetensors", "*.json", "tokenizer.model", "*.txt"]


def snapshot(name: str, *, allow_download: bool, job: Job) -> Path:
    """The folder of a hub model.

    Raises Offline when it is not in the local cache and the network may not be used or does
    not answer, ModelNotFound when the hub does not have it.
    """
    try:
        return _fetch(name, local_files_only=True)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        if not allow_download:
            raise Offline(
                f"The model {name} is not on this computer.",
                "Allow the download (allow_download=True in Python, --download on the command "
                "line), or give the folder of a local copy.",
            ) from error
    except HFValidationError as error:
        raise ModelNotFound(f"{name!r} is no name of a hub model.") from error
    job.progress(f"Downloading {name}", 0, 1)
    return _download(name)


def _fetch(name: str, *, local_files_only: bool) -> Path:
    found: Any = huggingface_hub.snapshot_download(
        name, allow_patterns=_PATTERNS, local_files_only=local_files_only
    )
    return Path(found)


def _download(name: str) -> Path:
    try:
        return _fetch(name, local_files_only=False)
    except RepositoryNotFoundError as error:
        raise ModelNotFound(
            f"The hub has no model {name}, or it needs permission.",
            "Check the spelling; log in to the hub for models with restricted access.",
        ) from error
    except OfflineModeIsEnabled as error:
        raise Offline(
            f"The model {name} is not on this computer, and HF_HUB_OFFLINE forbids the network.",
            "Unset HF_HUB_OFFLINE, or give the folder of a local copy.",
        ) from error
    except (LocalEntryNotFoundError, HTTPError) as error:
        raise Offline(
            f"The hub could not be reached for {name}.",
            "Check the network, or give the folder of a local copy.",
        ) from error
    except OSError as error:
        raise StorageError(f"The download of {name} could not be stored: {error}.") from error
