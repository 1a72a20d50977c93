"""The folder of a dictionary: its settings, table of contents and tensors, read with bounds.

Everything here is a stranger's. Only files of the folder are read, links may not leave it, text
and headers are bounded, nothing is unpickled, and every failure says which file it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from microtome.errors import (
    DictionaryError,
    ModelDamaged,
    PickleError,
    UnsafeDictionary,
    UnsafePickle,
)
from microtome.features.formats import npz
from microtome.features.formats.yaml_text import parse_yaml
from microtome.models.weights import read_header
from microtome.pickles.torch_files import load_torch

_MAX_TEXT = 16 << 20
_LARGEST = 1e30  # of a number that anybody could mean
_COPY = "Copy or download the file again."
_FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_WHOLE = {"I64": "int64", "I32": "int32"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor by its header: its type and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, the name that it was asked for by, and the one file of it that was meant."""

    name: str
    folder: Path
    chosen: str = ""
    # Folder names of its source, the repository first: some formats tell model and site in them.
    trail: tuple[str, ...] = ()
    # Files that its settings name in repositories of the hub, by the name that they go by here.
    elsewhere: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))

    def has(self, *names: str) -> bool:
        """Whether all these files are there."""
        return all((self.folder / name).is_file() for name in names)

    def files(self) -> list[str]:
        """Names of the files of the folder, sorted."""
        own = {path.name for path in self.folder.iterdir() if path.is_file()}
        return sorted(own | set(self.elsewhere))

    def path(self, name: str) -> Path:
        """A file of the folder, whose links stay in it or in the hub's cache.

        Raises UnsafeDictionary for a link that leaves, DictionaryError for a missing file.
        """
        if name in self.elsewhere:
            return self.elsewhere[name]
        path, root = self.folder / name, self.folder.resolve()
        # The hub's cache keeps snapshots/<revision>/… as links to blobs/ beside snapshots/.
        for place in (root, *root.parents):
            if place.parent.name == "snapshots":
                root = place.parent.parent
                break
        if not path.resolve().is_relative_to(root):
            raise UnsafeDictionary(
                f"{name} is a link that leaves the folder of the dictionary.",
                "Copy the file into the folder if you trust it.",
            )
        if not path.is_file():
            raise DictionaryError(f"{self.name} has no file {name}.", _COPY)
        return path

    def size(self, names: Sequence[str]) -> int:
        """Bytes of files together."""
        return sum(self.path(name).stat().st_size for name in names)

    def json(self, name: str) -> dict[str, Any]:
        """A JSON object. Raises DictionaryError for what is none."""
        try:
            value = json.loads(self._text(name))
        except (ValueError, RecursionError) as error:
            raise DictionaryError(f"{name} is not readable as JSON: {error}.", _COPY) from error
        return _table(name, value)

    def yaml(self, name: str) -> dict[str, Any]:
        """A YAML mapping of plain values. Raises DictionaryError for what is none."""
        return _table(name, parse_yaml(name, self._text(name)))

    def _text(self, name: str) -> bytes:
        path = self.path(name)
        with _read(name):
            if path.stat().st_size > _MAX_TEXT:
                raise DictionaryError(f"{name} has more than {_MAX_TEXT >> 20} MB.", _COPY)
            return path.read_bytes()

    def header(self, name: str) -> dict[str, Entry]:
        """What a file of tensors holds, by name. Raises DictionaryError for a damaged one."""
        path = self.path(name)
        with _read(name):
            if path.suffix == ".npz":
                return {key: Entry(*held) for key, held in npz.header(path).items()}
            entries = read_header(path).entries
        kinds = _FLOATS | _WHOLE
        for entry in entries:
            if entry.dtype not in kinds:
                raise DictionaryError(
                    f"{name} holds {entry.name} as {entry.dtype}; "
                    f"known are {', '.join(kinds.values())}.",
                    "Save it again in one of these.",
                )
        return {entry.name: Entry(kinds[entry.dtype], entry.shape) for entry in entries}

    def tensors(self, name: str, wanted: Sequence[str]) -> dict[str, Tensor]:
        """Some tensors of a file in float32. Raises DictionaryError for one that is not there."""
        header = self.header(name)
        missing = [each for each in wanted if each not in header]
        if missing:
            raise DictionaryError(
                f"{name} lacks {', '.join(missing)}; it holds {', '.join(sorted(header))}."
            )
        path = self.path(name)
        with _read(name):
            if path.suffix == ".npz":
                return {each: torch.from_numpy(npz.array(path, each)) for each in wanted}
            with safe_open(path, framework="pt") as file:
                return {each: file.get_tensor(each).float() for each in wanted}

    def pickled(self, name: str) -> dict[str, Tensor]:
        """The tensors of a file of ``torch.save``, of which nothing runs.

        Raises UnsafeDictionary for anything but tensors and plain containers.
        """
        with _read(name):
            value = load_torch(self.path(name))
        if not isinstance(value, dict):
            raise DictionaryError(f"{name} holds a {type(value).__name__}, not named tensors.")
        return {
            str(key): torch.from_numpy(np.array(each, np.float32))
            for key, each in value.items()
            if isinstance(each, np.ndarray) and each.dtype.kind in "fiub"
        }


@contextmanager
def _read(name: str) -> Iterator[None]:
    """Say of a file what went wrong in reading it."""
    try:
        yield
    except UnsafePickle as error:
        raise UnsafeDictionary(f"{name}: {error.what}", error.way_out) from error
    except (PickleError, ModelDamaged) as error:
        raise DictionaryError(f"{name}: {error.what}", _COPY) from error
    except SafetensorError as error:
        raise DictionaryError(f"{name} is damaged: {error}.", _COPY) from error
    except OSError as error:
        reason = error.strerror or error
        raise DictionaryError(f"{name} cannot be read ({reason}).", _COPY) from error


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DictionaryError(f"{name} holds {type(value).__name__}, but names and values belong.")
    return {str(key): held for key, held in value.items()}


def whole(held: Mapping[str, Any], key: str, file: str) -> int:
    """A positive whole number of settings. Raises DictionaryError that names file and key."""
    value = held.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 31:
        raise DictionaryError(f"{file} says {key} = {value!r}; a positive whole number belongs.")
    return value


def number(held: Mapping[str, Any], key: str, file: str, otherwise: float | None = None) -> float:
    """A finite number of settings. Raises DictionaryError that names file and key."""
    value = held.get(key, otherwise)
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not abs(value) < _LARGEST:  # NaN, too, and whole numbers without end
        raise DictionaryError(f"{file} says {key} = {value!r}; a finite number belongs.")
    return float(value)


def table(held: Mapping[str, Any], key: str, file: str) -> dict[str, Any]:
    """A part of settings that has names itself, empty when it is not there."""
    value = held.get(key) or {}
    if not isinstance(value, dict):
        raise DictionaryError(f"{file} says {key} = {value!r}; names and values belong.")
    return value
