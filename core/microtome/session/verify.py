"""Verifying: every stored chunk against the checksum taken when it was written."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import h5py
from h5py import h5o

from microtome.jobs import Job, job_or_default
from microtome.session.chunks import chunk_offsets
from microtome.session.handle import Handle
from microtome.session.hdf5 import MANIFEST
from microtome.session.trial import Trial

_Chunks = dict[int, tuple[int, int]]  # number → stored bytes, checksum


@dataclass(frozen=True, slots=True)
class Verification:
    """How many chunks and bytes were read, and the datasets whose bytes are not as written."""

    chunks: int
    nbytes: int
    damaged: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether every byte is as it was written."""
        return not self.damaged


def verify(path: str | os.PathLike[str], *, job: Job | None = None) -> Verification:
    """Compare every chunk of a session with its checksum.

    Raises SessionDamaged when the file's own structure is damaged, and what opening raises.
    """
    place = Path(path)
    if place.is_file():
        Trial(place).finish()
    return compare(place, job=job)


def compare(path: Path, *, job: Job | None = None) -> Verification:
    """The same in this process, for a file that was already tried."""
    work, handle = job_or_default(job), Handle(path)
    try:
        unlisted = _with_values(handle, handle.inspect())
        expected = _manifest(handle)
        damaged, total = [], 0
        for done, (name, chunks) in enumerate(expected.items()):
            work.progress("Verifying the session", done, len(expected))
            found = _stored(handle, name)
            unlisted.pop(_address(handle, name), None)
            total += sum(size for size, _ in found.values())
            if found != chunks:
                damaged.append(name)
        damaged += unlisted.values()
        return Verification(sum(map(len, expected.values())), total, tuple(damaged))
    finally:
        handle.close()


def _manifest(handle: Handle) -> dict[str, _Chunks]:
    columns = (
        handle.read(f"{MANIFEST}/{name}") for name in ("chunk_index", "stored_bytes", "crc32")
    )
    rows = zip(
        handle.texts(f"{MANIFEST}/path"), *(column.tolist() for column in columns), strict=True
    )
    expected: dict[str, _Chunks] = {}
    for name, number, size, crc in rows:
        expected.setdefault(name, {})[number] = (size, crc)
    return expected


def _with_values(handle: Handle, paths: list[str]) -> dict[int, str]:
    """Datasets that store something, by address: one may go by two names."""
    with handle.reading("The list of contents") as file:
        stored = (path for path in paths if file[path].id.get_storage_size())
        return {
            _address(handle, path): path for path in stored if not path.startswith(f"{MANIFEST}/")
        }


def _address(handle: Handle, path: str) -> int:
    with handle.reading(path) as file:
        return int(h5o.get_info(file.id, path.encode()).addr) if path in file else -1


def _stored(handle: Handle, name: str) -> _Chunks:
    """Size and checksum of every chunk of a dataset as it lies in the file."""
    with handle.reading(name) as file:
        if name not in file:
            return {}
        dataset: h5py.Dataset = file[name]
        if dataset.chunks is None:
            data = dataset[...].tobytes()
            return {0: (len(data), zlib.crc32(data))}
        chunks = (
            dataset.id.read_direct_chunk(at)[1]
            for at in chunk_offsets(dataset.shape, dataset.chunks)
        )
        return {number: (len(chunk), zlib.crc32(chunk)) for number, chunk in enumerate(chunks)}
