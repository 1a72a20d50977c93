"""Which files this process wrote itself or has had looked at, so that they need no other look."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import microtome_resources as resources

Stamp = tuple[int, int, int, int]
_OWN = "own"  # for every kind of reader
_known: set[tuple[str, Stamp]] = set()
_SHIPPED = Path(resources.__file__).resolve().parent


def stamp(path: Path) -> Stamp:
    """What tells whether a file is still the same: device, number, size, time of change."""
    state = path.stat()
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def stamps(paths: Iterable[Path]) -> list[Stamp | None]:
    """Those of several files, None for what is not there."""
    return [_stamp_of(path) for path in paths]


def _stamp_of(path: Path) -> Stamp | None:
    try:
        return stamp(path)
    except OSError:
        return None


def remember(path: Path, kind: str = _OWN) -> None:
    """Note that this process has just written a file, or had it looked at as one of a kind."""
    found = _stamp_of(path)
    if found:
        _known.add((kind, found))


def is_own(path: Path, kind: str = _OWN) -> bool:
    """Whether a file is, unchanged, one of those, or came with the program."""
    found = _stamp_of(path)
    known = found is not None and bool({(_OWN, found), (kind, found)} & _known)
    return known or path.resolve().is_relative_to(_SHIPPED)
