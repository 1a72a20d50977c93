"""Which files this process wrote itself, so that they need no trial reading."""

from __future__ import annotations

from pathlib import Path

Stamp = tuple[int, int, int, int]
_written: set[Stamp] = set()


def stamp(path: Path) -> Stamp:
    """What tells whether a file is still the same: device, number, size, time of change."""
    state = path.stat()
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def remember(path: Path) -> None:
    """Note that this process has just written a file."""
    _written.add(stamp(path))


def is_own(path: Path) -> bool:
    """Whether a file is, unchanged, one that this process wrote."""
    try:
        return stamp(path) in _written
    except OSError:
        return False
