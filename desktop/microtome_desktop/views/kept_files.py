"""The files in which unsaved sessions outlive a crash, one for each window."""

from __future__ import annotations

import uuid
from pathlib import Path

from PySide6.QtCore import QLockFile

from microtome.session.log import log_of

_NAMES = "kept-*.h5"


class KeptFiles:
    """This window's file, and those of windows that ended without a word.

    A lock beside each file says that its window lives; the system lets go of it with the process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.own = folder / f"kept-{uuid.uuid4().hex[:12]}.h5"
        self._locks: dict[Path, QLockFile] = {}

    def prepare(self) -> Path:
        """This window's file, its folder made and its lock taken."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._take(self.own)
        return self.own

    def orphans(self) -> tuple[Path, ...]:
        """Files of windows that are gone, newest first; from now on they are this window's."""
        found = [path for path in self._folder.glob(_NAMES) if path != self.own]
        mine = [path for path in found if self._take(path)]
        return tuple(sorted(mine, key=lambda path: -path.stat().st_mtime))

    def leave(self, path: Path) -> None:
        """Let the next start offer a file again."""
        lock = self._locks.pop(path, None)
        if lock is not None:
            lock.unlock()

    def remove(self, path: Path) -> None:
        """Throw a file away."""
        for file in (path, log_of(path)):
            file.unlink(missing_ok=True)
        self.leave(path)

    def clear(self) -> None:
        """Throw away all that this window holds: it ends in order."""
        for path in list(self._locks):
            self.remove(path)

    def _take(self, path: Path) -> bool:
        if path in self._locks:
            return True
        lock = QLockFile(str(path.with_suffix(".lock")))
        lock.setStaleLockTime(0)  # only a process that is gone lets go
        if lock.tryLock(0):
            self._locks[path] = lock
            return True
        return False
