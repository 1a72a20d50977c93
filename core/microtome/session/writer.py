"""Saving: parts appended to a new file, made durable, then folded into the session's place."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from microtome.errors import expect
from microtome.jobs import Job, job_or_default
from microtome.records.session import Session
from microtome.session.contents import estimate, root_attributes, session_parts
from microtome.session.given import as_path
from microtome.session.hdf5 import Staging
from microtome.session.parts import Attributes, Part
from microtome.session.schema import FORMAT, MAJOR, MINOR
from microtome.session.storage import (
    discard,
    prepare_target,
    replace_target,
    storing,
    sync_file,
    temporary_beside,
)
from microtome.session.versions import to_write
from microtome.sites import expect_names
from microtome.triage.trust import remember

__all__ = ["SessionWriter", "estimate", "save_session"]

_TITLE = "Saving the session"


class SessionWriter:
    """Writes one session: ``append`` parts, ``commit`` them to the disk, ``fold`` into place.

    Until ``fold`` the file at ``path`` is untouched; leaving the ``with`` block before it
    removes what was written. ``size`` is the expected number of bytes.
    Every method raises StorageError when the disk refuses, and Cancelled when the job is stopped.
    """

    def __init__(self, path: str | os.PathLike[str], size: int = 0, job: Job | None = None) -> None:
        self._target = prepare_target(path, size)
        self._temporary = temporary_beside(self._target)
        self._size, self._done = size, 0
        self._job = job_or_default(job)
        self._job.check()
        self._folded = False
        try:
            with storing(self._target):
                self._staging = Staging(self._temporary)
        except BaseException:
            discard(self._temporary)
            raise

    def __enter__(self) -> SessionWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._folded:
            # HDF5 tries to write once more when it closes; the first error is the one that counts.
            with contextlib.suppress(OSError, RuntimeError, SystemError, ValueError):
                self._staging.close()
            discard(self._temporary)

    def set_root(self, attributes: Attributes) -> None:
        """Mark the file as a session of this format, with the root's other attributes."""
        mark = {"format": FORMAT, "format_version": f"{MAJOR}.{MINOR}"}
        names = {"NX_class": "NXroot", "default": "entry", "Conventions": "CF-1.10"}
        with storing(self._target):
            self._staging.set_root({**mark, **attributes, **names})

    def append(self, part: Part) -> None:
        """Write one part to the new file."""
        with storing(self._target):
            self._staging.append(part, self._wrote)

    def commit(self) -> None:
        """Make everything appended so far durable, with the checksums of its chunks."""
        self._job.check()
        with storing(self._target):
            self._staging.flush()
            sync_file(self._temporary)

    def fold(self) -> Path:
        """Make the new file the session, in one step; returns its path."""
        with storing(self._target):
            self._staging.close()
            sync_file(self._temporary)
            self._job.check()
            replace_target(self._temporary, self._target)
        self._folded = True
        return self._target

    def _wrote(self, size: int) -> None:
        self._done += size
        self._job.progress(_TITLE, self._done, max(self._size, self._done))


def save_session(
    path: str | os.PathLike[str],
    session: Session,
    *,
    include: Iterable[str] | None = None,
    job: Job | None = None,
) -> Path:
    """Save a session as one HDF5 file and return its path.

    Holds the residual stream, attention patterns, MLP and attention outputs and the top logits;
    ``include`` names further sites, and ``logits`` for all logits. A file that is there is
    replaced in one step at the end: after an error, a cancel or a crash it is as it was.
    Raises StorageError (no space, no permission), InputError for an unknown site.
    """
    place = as_path(path)
    expect(session, Session, "session", "a Session", "Make one with examine(model, question).")
    if include is not None:
        expect_names(include, "include")
    return write_whole(place, session, include, job)


def write_whole(
    place: Path,
    session: Session,
    include: Iterable[str] | None,
    job: Job | None,
    *,
    more: Iterable[Part] = (),
    version: tuple[int, int] = (MAJOR, MINOR),
) -> Path:
    """The same, with ``more`` parts that a file of a newer minor ``version`` held beside."""
    parts = [*session_parts(session, include), *more]
    size = sum(part.nbytes for part in parts)
    with SessionWriter(place, size, job) as writer:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        about = root_attributes(session, str(uuid.uuid4()), now)
        writer.set_root({**about, "format_version": to_write(version)})
        for part in parts:
            writer.append(part)
        writer.commit()
        target = writer.fold()
    remember(target)
    return target
