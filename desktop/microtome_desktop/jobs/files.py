"""The files that the IO thread writes to again and again: the session's own and the kept one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microtome.session.store import SessionStore


class Files:
    """Two stores of sessions, made when the IO thread first asks for them. It alone uses them."""

    def __init__(self) -> None:
        self._own: SessionStore | None = None
        self._kept: SessionStore | None = None
        self._told: set[Path] = set()  # files whose waste was told

    @property
    def own(self) -> SessionStore:
        """Of the file that the user saves to."""
        if self._own is None:
            self._own = _store()
        return self._own

    @property
    def kept(self) -> SessionStore:
        """Of the file that outlives a crash while a session has none of its own."""
        if self._kept is None:
            self._kept = _store()
        return self._kept

    def waste_to_tell(self, path: Path) -> int:
        """Bytes of the session's own file that nothing uses, once where it is much of it."""
        from microtome.session.waste import is_much

        waste, size = self.own.waste()
        if path in self._told or not is_much(waste, size):
            return 0
        self._told.add(path)
        return waste

    def close(self) -> None:
        """Let go of both: the window ends in order, and what is unsaved was given up."""
        for store in (self._own, self._kept):
            if store is not None:
                store.close()


def _store() -> SessionStore:
    from microtome.session.store import SessionStore

    return SessionStore()
