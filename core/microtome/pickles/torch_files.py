"""Files of ``torch.save``, read without torch and without running them."""

from __future__ import annotations

import mmap
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from microtome.errors import PickleError, UnsafePickle
from microtome.pickles.arrays import BFLOAT16, CONSTRUCTS, STORAGES, Storage
from microtome.pickles.machine import load_pickle
from microtome.pickles.records import Name

_MAX_PICKLE = 256 << 20
_LOCAL_HEADER = 30  # bytes before the name of a member
_PIECE = 16 << 20
_COPY = "Copy the file again."


def load_torch(path: Path) -> Any:
    """The value that ``torch.save`` wrote: plain values, and NumPy arrays that lie in the file.

    bfloat16 becomes float32. Raises UnsafePickle for anything but tensors, plain containers and
    known records, PickleError for a file that is damaged, packed, or of a torch before 1.6.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as held:
            members = _Members(_mapped(path), {one.filename: one for one in held.infolist()})
    except (zipfile.BadZipFile, ValueError, RuntimeError) as error:
        raise PickleError(
            f"{path.name} is damaged or cut short: {str(error)[:80]}.", _COPY
        ) from error
    pickled = [name for name in members.by_name if name.rpartition("/")[2] == "data.pkl"]
    if len(pickled) != 1:
        raise PickleError(
            f"{path.name} is a zip file with {len(pickled)} data.pkl; torch.save writes one.",
            "Choose a file that torch.save wrote.",
        )
    folder = pickled[0].rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    if members.text(f"{prefix}byteorder") not in {"", "little"}:
        raise PickleError(f"{path.name} was written on a machine of the other byte order.", _COPY)
    if members.by_name[pickled[0]].file_size > _MAX_PICKLE:
        raise PickleError(f"The pickle in {path.name} has over {_MAX_PICKLE >> 20} MB.", _COPY)
    data = bytes(members.data(pickled[0]))
    return load_pickle(data, CONSTRUCTS, lambda given: _storage(members, prefix, given))


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


@dataclass(slots=True, eq=False)
class _Members:
    whole: memoryview
    by_name: dict[str, zipfile.ZipInfo]

    def text(self, name: str) -> str:
        """A short member as text, empty without it."""
        return (
            bytes(self.data(name)[:64]).decode("ascii", "replace") if name in self.by_name else ""
        )

    def data(self, name: str) -> memoryview:
        """The bytes of a member, compared with their checksum."""
        found = self.by_name[name]
        if found.compress_type != zipfile.ZIP_STORED or found.compress_size != found.file_size:
            raise UnsafePickle(f"The part {name[:60]} is packed; torch.save packs nothing.", _COPY)
        start = found.header_offset
        header = bytes(self.whole[start : start + _LOCAL_HEADER])
        lengths = np.frombuffer(header[26:30], "<u2")
        start += _LOCAL_HEADER + int(lengths.sum())
        held = self.whole[start : start + found.file_size]
        if len(header) < _LOCAL_HEADER or len(held) != found.file_size or _sum(held) != found.CRC:
            raise PickleError(f"The part {name[:60]} is damaged or cut short.", _COPY)
        return held


def _sum(data: memoryview) -> int:
    total = 0
    for at in range(0, len(data), _PIECE):
        total = zlib.crc32(data[at : at + _PIECE], total)
    return total


def _storage(members: _Members, prefix: str, given: tuple[Any, ...]) -> Storage:
    kind, named, key, _, count = given if len(given) == 5 else (None,) * 5
    if kind != "storage" or not isinstance(named, Name) or named.name not in STORAGES:
        raise UnsafePickle(f"The file holds data of the kind {str(kind)[:40]}.", _COPY)
    name = f"{prefix}data/{key}"
    if name not in members.by_name:
        raise PickleError(f"The file lacks the part {name[:60]}.", _COPY)
    dtype = np.dtype(STORAGES[named.name])
    data = members.data(name)
    if type(count) is not int or not 0 <= count * dtype.itemsize <= len(data):
        raise PickleError(
            f"The part {name[:60]} has {len(data):,} bytes, not {count} numbers.", _COPY
        )
    return Storage(np.frombuffer(data, dtype, count), named.name == BFLOAT16)
