"""Verifying: every stored chunk, and all else, against checksums taken at the writing."""

from __future__ import annotations

import os
import zlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import h5py
from h5py import h5o

from microtome.errors import SessionDamaged
from microtome.jobs import Job, job_or_default
from microtome.session.chunks import chunk_offsets
from microtome.session.given import as_path
from microtome.session.handle import Handle
from microtome.session.hdf5 import CHANGING_MANIFEST, MANIFEST
from microtome.session.rest import rest_is_good
from microtome.triage.examination import Examination

_TITLE = "Verifying the session"
STRUCTURE = "the structure of the file"
_Chunks = dict[int, tuple[int, int]]  # number → stored bytes, checksum


@dataclass(frozen=True, slots=True)
class Verification:
    """How many chunks and bytes were read, and the datasets whose bytes are not as written.

    ``STRUCTURE`` stands for all that is no dataset.
    """

    chunks: int
    nbytes: int
    damaged: tuple[str, ...]

    def require_good(self, name: str) -> None:
        """Raise SessionDamaged that names the damaged datasets of the file of this name."""
        if self.damaged:
            raise SessionDamaged(
                f"{name} is damaged: these parts are not as they were written: "
                f"{', '.join(self.damaged)}.",
                "Open another copy of the session; what is not named here can still be trusted.",
            )

    @property
    def good(self) -> bool:
        """Whether every byte is as it was written."""
        return not self.damaged


def verify_session(path: str | os.PathLike[str], *, job: Job | None = None) -> Verification:
    """Every chunk of a session file compared with the checksum taken when it was written.

    Progress counts chunks, and each chunk is a checkpoint.
    Raises SessionDamaged when the file's own structure is damaged, what ``open_session`` raises,
    and Cancelled when the job is stopped.
    """
    place = as_path(path)
    job_or_default(job).check()
    if place.is_file():
        Examination("session", [place]).finish(job)
    return compare(place, job=job)


def compare(path: Path, *, job: Job | None = None) -> Verification:
    """The same in this process, for a file that was already tried."""
    work, handle = job_or_default(job), Handle(path)
    with closing(handle), handle.understanding():
        unlisted = _with_values(handle, handle.inspect())
        expected = _manifest(handle)
        total, seen, nbytes, damaged = sum(map(len, expected.values())), 0, 0, []
        for name, chunks in expected.items():
            unlisted.pop(_address(handle, name), None)
            found: _Chunks = {}
            # Closed at once, for after a cancel it must let go of the lock in this thread.
            with closing(_stored(handle, name)) as stored:
                for number, chunk in enumerate(stored):
                    work.progress(_TITLE, min(seen + number, total), total)
                    found[number] = (len(chunk), zlib.crc32(chunk))
                    nbytes += len(chunk)
            seen += len(chunks)
            if found != chunks:
                damaged.append(name)
        damaged += unlisted.values()
        with handle.reading(STRUCTURE) as file, path.open("rb") as stored:
            if not rest_is_good(file, stored):
                damaged.append(STRUCTURE)
        work.progress(_TITLE, total, total)
        return Verification(total, nbytes, tuple(damaged))


def _manifest(handle: Handle) -> dict[str, _Chunks]:
    expected: dict[str, _Chunks] = {}
    for table in (MANIFEST, CHANGING_MANIFEST):
        if table == CHANGING_MANIFEST and handle.kind(f"{table}/path") is None:
            continue  # a file of before there was one
        columns = (
            handle.read(f"{table}/{name}").tolist()
            for name in ("chunk_index", "stored_bytes", "crc32")
        )
        rows = zip(handle.texts(f"{table}/path"), *columns, strict=True)
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


def _stored(handle: Handle, name: str) -> Generator[bytes, None, None]:
    """Every chunk of a dataset as it lies in the file, in the order of the manifest's numbers."""
    with handle.reading(name) as file:
        if name not in file:
            return
        dataset: h5py.Dataset = file[name]
        if dataset.chunks is None:
            yield dataset[...].tobytes()
            return
        for at in chunk_offsets(dataset.shape, dataset.chunks):
            yield dataset.id.read_direct_chunk(at)[1]
