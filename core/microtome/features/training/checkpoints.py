"""Checkpoints: all of a training in one safetensors file, put in its place whole or not at all.

The file's own header holds the plan, the step and the curve as JSON, so that there are never two
files that do not belong together. A training that goes on from one gives the numbers, to the last
bit, of one that was never stopped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from microtome.errors import DictionaryError
from microtome.session.storage import (
    discard,
    prepare_target,
    replace_target,
    storage_error,
    sync_file,
    temporary_beside,
)

CHECKPOINT = "checkpoint.safetensors"
_HEADER = "microtome"
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Tensors by name, and plain values: ``question``, ``step``, ``points`` and so on."""

    tensors: dict[str, Tensor]
    told: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Put a checkpoint in the place of the one before.

    Raises StorageError when the disk refuses; the one before stays.
    """
    tensors = {name: each.detach().contiguous() for name, each in checkpoint.tensors.items()}
    size = sum(each.nbytes for each in tensors.values())
    path = folder / CHECKPOINT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = prepare_target(path, size)
        temporary = temporary_beside(target)
        header = {_HEADER: json.dumps({"version": _VERSION, **checkpoint.told})}
        try:
            save_file(tensors, temporary, metadata=header)
            sync_file(temporary)
            replace_target(temporary, target)
        finally:
            discard(temporary)
    except (SafetensorError, OSError) as error:
        raise storage_error(path, error) from error


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint in a folder, None where there is none.

    Raises DictionaryError for one that is damaged or of another version.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()[_HEADER])
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        version = told.pop("version")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DictionaryError(
            f"The checkpoint in {folder.name} cannot be read.",
            "Delete it to start anew, or choose another folder.",
        ) from error
    if version != _VERSION:
        raise DictionaryError(f"The checkpoint in {folder.name} is of another version.")
    return Checkpoint(tensors, told)


def expect_finite(tensors: dict[str, Tensor]) -> bool:
    """Whether all weights are numbers: nothing else may become a checkpoint."""
    return all(bool(torch.isfinite(each).all()) for name, each in tensors.items() if name != "cut")
