"""Opening a session for review: checked first, small things read at once, the rest on demand."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

from microtome.errors import MicrotomeError
from microtome.records.session import Session
from microtome.session.decode import decode_session
from microtome.session.handle import Handle

__all__ = ["SessionFile", "open_session"]


class SessionFile:
    """An open session file and its session, whose arrays read from it until ``close``."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from pathlib import Path
        self._handle = Handle(Path(path))
        try:
            self.session: Session = decode_session(self._handle)
        except BaseException:
            self._handle.close()
            raise

    def close(self) -> None:
        """Let go of the file; arrays that were not read yet raise SessionError from then on."""
        self._handle.close()


def open_session(path: str | os.PathLike[str]) -> Session:
    return SessionFile(path).session
