"""A checksum of what in a file is no stored value: HDF5's own structure, and room of no use.

With the checksums of all chunks it covers every byte. It leaves out the place where it lies, and is
empty from the first edit after a save to the next save.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import h5py

REST = "/manifest/rest"
_OWN = "manifest/"  # the tables of checksums have none
_AT_ONCE = 1 << 20  # bytes
_LENGTH = 32  # digits: 16 of the length, 8 of the checksum, 8 that check these


@runtime_checkable
class _Bytes(Protocol):
    """What a file is read from, as bytes."""

    def seek(self, offset: int, /) -> object: ...
    def read(self, size: int, /) -> bytes: ...


def clear_rest(file: h5py.File) -> None:
    """Say that nothing is known of the rest, which is about to change."""
    if REST not in file:
        file.create_dataset(REST, data=b"", dtype=f"S{_LENGTH}")
    elif file[REST][()]:
        file[REST][()] = b""


def write_rest(file: h5py.File, stored: _Bytes, length: int) -> None:
    """Sum up the rest of a file that was flushed; ``stored`` are its ``length`` bytes.

    A file of before there was such a checksum goes on without.
    """
    if REST in file:
        file[REST][()] = _told(length, _sum(file, stored, length))
        file.flush()


def rest_is_good(file: h5py.File, stored: _Bytes) -> bool:
    """Whether the rest is as it was summed up; True where it was not."""
    told = bytes(file[REST][()]) if REST in file else b""
    if not told:
        return True
    try:
        length = int(told[:16], 16)
    except ValueError:
        return False
    return told == _told(length, _sum(file, stored, length))


def _told(length: int, checksum: int) -> bytes:
    told = f"{length:016x}{checksum:08x}".encode()
    return told + f"{zlib.crc32(told):08x}".encode()


def _sum(file: h5py.File, stored: _Bytes, length: int) -> int:
    checksum = 0
    for start, stop in _between(sorted(_left_out(file)), length):
        stored.seek(start)
        left = stop - start
        while left and (piece := stored.read(min(left, _AT_ONCE))):
            checksum = zlib.crc32(piece, checksum)
            left -= len(piece)
        if left:
            return 0  # cut short
    return checksum


def _left_out(file: h5py.File) -> list[tuple[int, int]]:
    """From where to where what has a checksum of its own lies, and this one itself."""
    at = file[REST].id.get_offset()
    found = [(at, at + _LENGTH)]

    def see(chunk: h5py.h5d.StoreInfo) -> None:
        found.append((chunk.byte_offset, chunk.byte_offset + chunk.size))

    def visit(name: str, held: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(held, h5py.Dataset) or name.startswith(_OWN):
            return
        if held.chunks is not None:
            held.id.chunk_iter(see)
        elif (start := held.id.get_offset()) is not None:
            found.append((start, start + held.id.get_storage_size()))

    file.visititems(visit)
    return found


def _between(left_out: list[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    place = 0
    for start, stop in left_out:
        if place < min(start, length):
            yield place, min(start, length)
        place = max(place, stop)
    if place < length:
        yield place, length
