"""Safetensors files on disk: which they are, whether they are whole, and their fingerprint.

Everything is checked from the headers, before transformers opens a file: a shard index may name
only files of its own folder, and a header may describe only bytes that are there.
"""

from __future__ import annotations

import json
import math
import mmap
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microtome.errors import ModelDamaged, UnsafeModel
from microtome.jobs import Job
from microtome.models.fingerprint import StoredTensor, fingerprint
from microtome.triage.plain_json import MOST_BYTES, read_plain

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = {".bin", ".ckpt", ".h5", ".msgpack", ".pickle", ".pkl", ".pt", ".pth"}
_HEADER_LIMIT = 100 << 20
# Vocabularies and lists of tensors are larger than settings ever are.
_LARGE = {"tokenizer.json": 256 << 20, "vocab.json": 64 << 20, _INDEX: 64 << 20}
# Of each type of safetensors that fills whole bytes, how many a number takes.
_WIDTHS = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "U16": 2, "I16": 2,
    "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
_DOWNLOAD_AGAIN = "Download the model again."


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where one tensor lies in a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One safetensors file and its table of contents; entries count from the byte ``first``."""

    path: Path
    entries: tuple[TensorEntry, ...]
    first: int


def find_weights(folder: Path, weights: Path | None = None) -> tuple[WeightFile, ...]:
    """The weight files of a model folder, or the one file given instead.

    Raises UnsafeModel for a folder of pickles or an index that leaves it, ModelDamaged for
    files that are missing or cut short.
    """
    if weights is not None:
        return (read_header(weights),)
    if (folder / _WEIGHTS).exists():
        return (read_header(inside(folder, _WEIGHTS)),)
    if (folder / _INDEX).exists():
        return tuple(read_header(path) for path in _shards(folder))
    raise _no_weights(folder)


def _no_weights(folder: Path) -> Exception:
    names = sorted(path.name for path in folder.iterdir())
    unfinished = [name for name in names if name.endswith((".incomplete", ".part", ".crdownload"))]
    if unfinished:
        return ModelDamaged(
            f"The download of {folder.name} did not finish: {unfinished[0]}.", _DOWNLOAD_AGAIN
        )
    pickles = [name for name in names if Path(name).suffix in _PICKLES]
    if pickles:
        return UnsafeModel(
            f"The weights of {folder.name} are in {pickles[0]}, a format that can run code when it "
            "is opened.",
            "Microtome opens safetensors only; convert the model with save_pretrained.",
        )
    return ModelDamaged(
        f"The folder {folder.name} holds no {_WEIGHTS} and no {_INDEX}.",
        "Choose the folder that holds the weights and config.json.",
    )


def _shards(folder: Path) -> list[Path]:
    index = read_json(inside(folder, _INDEX))
    table = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(table, dict) or not table:
        raise ModelDamaged(f"{_INDEX} has no weight_map.", _DOWNLOAD_AGAIN)
    names = sorted({str(name) for name in table.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UnsafeModel(
                f"{_INDEX} names {name!r}, which is not a safetensors file of its own folder.",
                "Do not open this model unless you know who made it.",
            )
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise ModelDamaged(
            f"{len(missing)} of {len(names)} weight files are missing: {', '.join(missing[:3])}"
            f"{' …' if len(missing) > 3 else ''}.",
            _DOWNLOAD_AGAIN,
        )
    return [inside(folder, name) for name in names]


def inside(folder: Path, name: str) -> Path:
    """A file of a model folder, whose links stay in it or in the hub's cache of the model.

    Raises UnsafeModel for a link that leaves, ModelDamaged for one that leads nowhere.
    """
    path = folder / name
    root = folder.resolve()
    # The hub's cache keeps snapshots/<revision>/<file> as links to blobs/ beside snapshots/.
    root = root.parent.parent if root.parent.name == "snapshots" else root
    target = path.resolve()
    if not target.is_relative_to(root):
        raise UnsafeModel(
            f"{name} is a link that leaves the folder of the model.",
            "Copy the file into the folder if you trust it.",
        )
    if not target.is_file():
        raise ModelDamaged(f"{folder.name} has no file {name}.", _DOWNLOAD_AGAIN)
    return path


def read_json(path: Path) -> Any:
    """The value of a JSON file of a model.

    Raises ModelDamaged when it cannot be read, is not JSON, or larger or deeper than any such.
    """
    try:
        return read_plain(path, most=_LARGE.get(path.name, MOST_BYTES))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise ModelDamaged(f"{path.name} {error}.", _DOWNLOAD_AGAIN) from error


def unreadable(path: Path, error: OSError) -> ModelDamaged:
    """The error for a file or folder that the system does not let us read."""
    return ModelDamaged(
        f"{path} cannot be read ({error.strerror or error}).", "Check its permissions."
    )


def read_header(path: Path) -> WeightFile:
    """The table of contents of a safetensors file.

    Raises ModelDamaged when the file is cut short or its header is not one.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            lead = file.read(8)
            length = struct.unpack("<Q", lead)[0] if len(lead) == 8 else -1
            if not 0 < length <= min(size - 8, _HEADER_LIMIT):
                raise _cut_short(path, size)
            text = file.read(length)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        header = json.loads(text, object_pairs_hook=_without_repeats)
        entries = tuple(_entry(name, row) for name, row in header.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelDamaged(
            f"The header of {path.name} is damaged: {error}.", _DOWNLOAD_AGAIN
        ) from error
    if max((entry.end for entry in entries), default=0) != size - 8 - length:
        raise _cut_short(path, size)
    return WeightFile(path, entries, 8 + length)


def _cut_short(path: Path, size: int) -> ModelDamaged:
    return ModelDamaged(
        f"{path.name} is not whole: its {size} bytes do not hold what its header announces.",
        _DOWNLOAD_AGAIN,
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _entry(name: str, row: dict[str, Any]) -> TensorEntry:
    start, end = (int(offset) for offset in row["data_offsets"])
    shape = tuple(int(length) for length in row["shape"])
    if not 0 <= start <= end or any(length < 0 for length in shape):
        raise ValueError(f"the tensor {name} has impossible offsets or shape")
    width = _WIDTHS.get(str(row["dtype"]))
    if width is not None and math.prod(shape) * width != end - start:
        numbers, held = math.prod(shape), end - start
        raise ValueError(f"the tensor {name} announces {numbers:,} numbers, but has {held:,} bytes")
    return TensorEntry(name, str(row["dtype"]), shape, start, end)


def element_count(files: tuple[WeightFile, ...]) -> int:
    """How many numbers the files hold."""
    return sum(math.prod(entry.shape) for file in files for entry in file.entries)


def fingerprint_of_files(files: tuple[WeightFile, ...], job: Job | None = None) -> str:
    """The fingerprint of all tensors in the files, read through memory maps."""
    with ExitStack() as stack:
        return fingerprint([tensor for file in files for tensor in _map(file, stack)], job)


def _map(file: WeightFile, stack: ExitStack) -> Iterator[StoredTensor]:
    handle = stack.enter_context(file.path.open("rb"))
    # On leaving, the views are released before the map that they look into is closed.
    data = memoryview(stack.enter_context(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)))
    stack.callback(data.release)
    for entry in file.entries:
        view = data[file.first + entry.start : file.first + entry.end]
        stack.callback(view.release)
        yield StoredTensor(entry.name, entry.dtype, entry.shape, view)
