"""Changes that a crash left in the log beside a session: found, recovered or thrown away.

Nothing is decided here but one thing: a save that was cut off half-way is finished, because it
was asked for, and the file alone is not whole before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from microtome.errors import StorageError
from microtome.session.disk import DiskFile
from microtome.session.editing import InUse, NotEditable, discard_log, locked_log
from microtome.session.locks import lock
from microtome.session.log import Held, belongs, log_of, read_log
from microtome.session.logged import Logged
from microtome.session.storage import storing


@dataclass(frozen=True, slots=True)
class Unsaved:
    """Changes beside a session file: how many commits, and when the last one was made (UTC)."""

    path: Path
    commits: int
    when: datetime


@dataclass(frozen=True, slots=True)
class _Log:
    main: DiskFile
    log: DiskFile
    held: Held


def unsaved(path: Path) -> Unsaved | None:
    """The changes that wait beside a session for a word of the user, None when there are none.

    None as well while another program edits the session, and where neither can be written. A
    save that was cut off is finished first. Raises StorageError where the disk refuses that.
    """
    with _open(path) as found:
        if found is None:
            return None
        if found.held.folding is not None:
            _fold(path, found)
            return None
        last = found.held.commits[-1]
        when = datetime.fromtimestamp(last.time, UTC)
        return Unsaved(path, len(found.held.commits), when)


def recover(path: Path) -> None:
    """Bring a session file to the last commit in its log; without one nothing happens.

    Can be cut off anywhere and done again. Raises StorageError where the disk refuses, InUse
    while another program has the file.
    """
    with _open(path) as found:
        if found is not None:
            _fold(path, found)


def throw_away(path: Path) -> None:
    """Forget the changes in the log of a session: the file stays as it was saved.

    Raises StorageError where the disk refuses.
    """
    with _open(path) as found:
        if found is None:
            return
        if found.held.folding is not None:
            _fold(path, found)
        else:
            with storing(path):
                discard_log(path, found.log, found.main, found.held.base)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[_Log | None]:
    """A log with commits that belongs to its file, both open and locked; None for all else."""
    with contextlib.ExitStack() as closing:
        yield _found(path, closing)


def _found(path: Path, closing: contextlib.ExitStack) -> _Log | None:
    try:
        if not log_of(path).is_file() or not path.is_file():
            return None
        log = locked_log(path)
        closing.callback(log.close)
        main = DiskFile(path)
        closing.callback(main.close)
        held = read_log(log)
    except (InUse, NotEditable, OSError):
        return None
    whole = held is not None and (held.commits or held.folding is not None)
    return _Log(main, log, held) if held is not None and whole and belongs(held, main) else None


def _fold(path: Path, found: _Log) -> None:
    if not lock(found.main.descriptor, alone=True):
        raise InUse(f"{path.name} is being read by another program.", "Close it there first.")
    with storing(path):
        Logged(found.main, found.log, found.held).fold()
        discard_log(path, found.log, found.main, found.main.size())


__all__ = ["StorageError", "Unsaved", "recover", "throw_away", "unsaved"]
