"""Which files this process wrote itself, so that they need no trial reading."""

from __future__ import annotations

import os
from pathlib import Path

_written: set[tuple[int, int, int, int]] = set()


def _stamp(path: Path) -> tuple[int, int, int, int]:
    state = os.stat(path)
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def remember(path: Path) -> None:
    """Note that this process has just written a file."""
    _written.add(_stamp(path))


def is_own(path: Path) -> bool:
    """Whether a file is, unchanged, one that this process wrote."""
    return _stamp(path) in _written
