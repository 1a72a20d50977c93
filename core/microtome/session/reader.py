"""Opening a session for review: checked first, small things read at once, the rest on demand."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from microtome.errors import SessionDamaged
from microtome.jobs import Job
from microtome.session.given import as_path
from microtome.session.log import log_of
from microtome.session.versions import note
from microtome.triage.examination import Examination
from microtome.triage.trust import is_own

if TYPE_CHECKING:
    from microtome.records.session import Session

__all__ = ["SessionFile", "info", "open_session"]


class SessionFile:
    """An open session file; arrays of its ``session`` read from it until ``close``.

    A file of a newer major version is ``read_only``, as its ``note`` says: it holds what this
    version can read of it, and is not to be written to.

    A file that this process did not write itself is first read by a child process.
    Raises SessionError when the file cannot be read, NotASession, NewerSession, or
    SessionDamaged; each names its reason, and Cancelled when ``job`` is stopped meanwhile.
    """

    session: Session
    note: str  # what is to be known of a file that is not to be changed, empty for any other

    def __init__(self, path: str | os.PathLike[str], *, job: Job | None = None) -> None:
        place = as_path(path)
        if log_of(place).exists():
            _finish_save(place)
        look = _begin_look(place)
        try:
            # Imported while the child is already at work: both take a tenth of a second.
            from microtome.session.decode import decode_session
            from microtome.session.handle import Handle
        except BaseException:
            if look:
                look.cancel()
            raise
        examined = look.finish(job) if look else is_own(place)
        self._handle = Handle(place)
        try:
            if not examined:
                self._handle.inspect()
            self.note = note(self._handle.version)
            with self._handle.understanding():
                self.session = decode_session(self._handle)
        except SessionDamaged as error:
            self._handle.close()
            raise _naming(place, error) from error
        except BaseException:
            self._handle.close()
            raise

    @property
    def read_only(self) -> bool:
        """Whether a newer Microtome, of another major version, made the file."""
        return bool(self.note)

    def __enter__(self) -> SessionFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was not read yet raises SessionError from then on."""
        self._handle.close()

    def analysis_groups(self) -> dict[str, str]:
        """The names of the groups that hold analyses, by the ids of those in ``session``."""
        groups = {
            self._handle.attributes(f"/analyses/{name}").get("id"): name
            for name in self._handle.members("/analyses")
        }
        held = self.session.analyses.items()
        return {one.id: groups[stored] for stored, one in held if stored in groups}

    def summary(self) -> dict[str, Any]:
        """What the file holds, as plain JSON values."""
        from microtome.session.summary import summarise

        return summarise(self._handle, self.session)


def _naming(path: Path, error: SessionDamaged) -> SessionDamaged:
    """The error with the file's name and a way out, where it lacks them."""
    named = error.what if path.name in error.what else f"{path.name} is damaged. {error.what}"
    return SessionDamaged(named, error.way_out or "Open another copy of the session.")


def _finish_save(path: Path) -> None:
    """Finish a save that was cut off half-way: before that the file alone is not whole."""
    from microtome.session.unsaved import unsaved

    unsaved(path)


def _begin_look(path: Path) -> Examination | None:
    try:
        plain = path.is_file() and path.stat().st_size > 0
    except OSError:
        plain = False
    return Examination("session", [path]) if plain and not is_own(path) else None


def open_session(path: str | os.PathLike[str]) -> Session:
    """The session of a file, without torch; arrays are read when they are indexed.

    The file stays open as long as the session or one of its arrays is used; a file that is
    replaced meanwhile stays readable as it was.
    Raises SessionError, NotASession, NewerSession or SessionDamaged.
    """
    return SessionFile(path).session


def info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a session file holds, as plain JSON values.

    Raises what ``open_session`` raises.
    """
    with SessionFile(path) as file:
        return file.summary()
