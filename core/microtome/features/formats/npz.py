"""Arrays of NumPy's ``npz``: plain numbers only, and only as many as the file announces."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from microtome.errors import DictionaryError, UnsafeDictionary

_ENDING = ".npy"
_MOST_MEMBERS = 1_000
# Weights hardly shrink; what grows more than so many times was made to fill the memory.
_MOST_GROWTH, _ALWAYS = 50, 64 << 20
# What zipfile raises for parts that are damaged, in a form unknown to it, or encrypted.
_DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError, struct.error)
_COPY = "Copy or download the file again."


def header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each array, from the heads of its parts alone.

    Raises UnsafeDictionary for parts that lie elsewhere, are objects or would fill the memory,
    DictionaryError for a damaged file.
    """
    with _opened(path) as file:
        return {_name(part): _head(file, part)[:2] for part in file.infolist()}


def array(path: Path, name: str) -> NDArray[Any]:
    """One array of the file, in float32."""
    with _opened(path) as file:
        part = next(part for part in file.infolist() if _name(part) == name)
        dtype, shape, fortran = _head(file, part)
        with file.open(part) as stream:
            _start(stream)
            data = stream.read()
    found = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return np.array(found, np.float32)  # in the byte order of this machine


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as file:
            parts = file.infolist()
            inflated = sum(part.file_size for part in parts)
            if len(parts) > _MOST_MEMBERS or inflated > max(
                _ALWAYS, _MOST_GROWTH * path.stat().st_size
            ):
                raise UnsafeDictionary(
                    f"{path.name} announces {len(parts):,} arrays of {inflated:,} bytes, which "
                    f"its {path.stat().st_size:,} bytes cannot hold.",
                    "Do not open it unless you know who made it.",
                )
            yield file
    except _DAMAGE as error:
        raise DictionaryError(
            f"{path.name} is damaged or cut short: {str(error)[:80]}.", _COPY
        ) from error


def _name(part: zipfile.ZipInfo) -> str:
    stem = part.filename.removesuffix(_ENDING)
    if stem == part.filename or not stem or {"/", "\\", "\0"} & set(stem) or stem.startswith("."):
        raise UnsafeDictionary(
            f"The archive holds {part.filename[:60]!r}, which is no plain array.",
            "Do not open it unless you know who made it.",
        )
    return stem


def _head(file: zipfile.ZipFile, part: zipfile.ZipInfo) -> tuple[str, tuple[int, ...], bool]:
    """Type, shape and order; refused unless it is plain numbers of just the announced length."""
    with file.open(part) as stream:
        shape, fortran, dtype = _start(stream)
        begun = stream.tell()
    if dtype.kind not in "fiu":
        raise UnsafeDictionary(
            f"{part.filename[:60]} holds {dtype}, but numbers were expected.",
            "Save the arrays again as numbers.",
        )
    count = math.prod(shape)
    if count * dtype.itemsize != part.file_size - begun:
        raise DictionaryError(
            f"{part.filename[:60]} announces {count:,} numbers, but has "
            f"{part.file_size - begun:,} bytes.",
            _COPY,
        )
    return dtype.newbyteorder("=").name if dtype.isnative else dtype.str, shape, fortran


def _start(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format of arrays")
    return read(stream)
