"""Marks that a window runs, so that the next start notices one that ended without a word.

It is made before the first frame: nothing else of the program is imported here.
"""

from __future__ import annotations

import faulthandler
import json
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from PySide6.QtCore import QLockFile

_NAMES = "running-*.json"
_CRASH_BYTES = 100_000  # of a crash file that are read: thirty threads, deep in calls


@dataclass(frozen=True, slots=True)
class Crash:
    """A window that is gone without having ended. ``text`` is what Python wrote meanwhile."""

    pid: int
    started: str
    session: str  # the name of its session's file, empty where it had none
    text: str


class StartMark:
    """This window's mark, a lock that the system lets go of with the process, a crash file.

    A number of a process is given again; the lock beside the mark tells truly who lives. Where the
    folder cannot be written there is no mark, and the window goes on without.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = folder / f"running-{uuid.uuid4().hex[:12]}.json"
        self._lock = QLockFile(str(self._mark.with_suffix(".lock")))
        self._crash: IO[str] | None = None
        self._about = {
            "pid": os.getpid(),
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "session": "",
        }

    def begin(self) -> None:
        """Write the mark, and have Python tell there why it is ended, if it is."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.setStaleLockTime(0)
            if self._lock.tryLock(0):
                self._write()
                self._crash = self._mark.with_suffix(".crash").open("w", encoding="utf-8")
                faulthandler.enable(self._crash)

    def hold(self, session: str) -> None:
        """Note the name of the session's file."""
        self._about["session"] = session
        if self._lock.isLocked():
            with suppress(OSError):
                self._write()

    def _write(self) -> None:
        # No rename: who reads half a mark still knows that there was a window.
        self._mark.write_text(json.dumps(self._about), encoding="utf-8")

    def end(self) -> None:
        """The window ends in order: nothing of it stays."""
        if self._crash is not None:
            faulthandler.disable()
            self._crash.close()
            self._crash = None
        if self._lock.isLocked():
            _forget(self._mark)
            self._lock.unlock()

    def crashes(self) -> tuple[Crash, ...]:
        """Windows that are gone without a word, newest first; each is told of once."""
        found: list[tuple[float, Crash]] = []
        for mark in self._folder.glob(_NAMES):
            lock = QLockFile(str(mark.with_suffix(".lock")))
            lock.setStaleLockTime(0)
            if mark != self._mark and lock.tryLock(0):
                with suppress(OSError):
                    found.append((mark.stat().st_mtime, _read(mark)))
                _forget(mark)
                lock.unlock()
        return tuple(crash for _, crash in sorted(found, key=lambda pair: -pair[0]))


def _read(mark: Path) -> Crash:
    try:
        held = json.loads(mark.read_text(encoding="utf-8", errors="replace"))
    except ValueError:  # half a mark
        held = None
    held = held if isinstance(held, dict) else {}
    pid = held.get("pid")
    text = ""
    with suppress(OSError), mark.with_suffix(".crash").open("rb") as stream:
        text = stream.read(_CRASH_BYTES).decode("utf-8", "replace")
    return Crash(
        pid if isinstance(pid, int) else 0,
        str(held.get("started", "")),
        str(held.get("session", "")),
        text,
    )


def _forget(mark: Path) -> None:
    for path in (mark, mark.with_suffix(".crash")):
        with suppress(OSError):
            path.unlink(missing_ok=True)
