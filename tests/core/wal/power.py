"""Disks that lose, keep or tear what was not yet synced, and what is written to real ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from microtome.session import disk, editing, unsaved
from microtome.session.log import log_of

SECTOR = 512


class PowerCut(OSError):
    """The machine stopped at this call."""


@dataclass
class Power:
    """Counts calls that change a disk, and stops at one of them."""

    until: int | None = None
    calls: int = 0

    def use(self) -> None:
        self.calls += 1
        if self.until is not None and self.calls >= self.until:
            raise PowerCut


@dataclass
class Platter:
    """A file on a disk with a cache: what is synced lasts, of the rest anything may."""

    power: Power
    kept: bytearray = field(default_factory=bytearray)  # what lasts
    seen: bytearray = field(default_factory=bytearray)  # what reads give
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)

    def size(self) -> int:
        return len(self.seen)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.seen[offset : offset + size])

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self.waiting.append((offset, bytes(data)))
        _write(self.seen, offset, bytes(data))
        self.power.use()

    def truncate(self, size: int) -> None:
        self.waiting.append((size, None))
        _cut(self.seen, size)
        self.power.use()

    def sync(self) -> None:
        self.power.use()  # a cut in a sync: nothing is known
        self.waiting.clear()
        self.kept = bytearray(self.seen)

    def close(self) -> None:
        pass

    def after_cut(self, dice: random.Random, power: Power) -> Platter:
        """The disk as the next start finds it: each waiting call lost, done or torn."""
        found = bytearray(self.kept)
        for offset, data in self.waiting:
            fate = dice.random()
            if fate < 0.3:
                continue
            if data is None:
                _cut(found, offset)
            elif fate < 0.6:
                _write(found, offset, data)
            else:
                _tear(found, offset, data, dice)
        return Platter(power, bytearray(found), bytearray(found))


def _write(held: bytearray, offset: int, data: bytes) -> None:
    if len(held) < offset:
        held.extend(bytes(offset - len(held)))
    held[offset : offset + len(data)] = data


def _cut(held: bytearray, size: int) -> None:
    if size < len(held):
        del held[size:]
    else:
        held.extend(bytes(size - len(held)))


def _tear(held: bytearray, offset: int, data: bytes, dice: random.Random) -> None:
    """Whole sectors of the disk are written or not, in any combination."""
    at = offset
    while at < offset + len(data):
        end = min((at // SECTOR + 1) * SECTOR, offset + len(data))
        if dice.random() < 0.5:
            _write(held, at, data[at - offset : end - offset])
        at = end


@dataclass
class Recorder:
    """Writes down all that is done to a session file and its log, in order.

    Nothing waits for the real disk: what a power cut would leave is made by ``at_cut``.
    """

    path: Path
    start: bytes
    log: bytes | None = None
    events: list[tuple] = field(default_factory=list)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        recorded = _recorded(self.path, self.events)
        for module in (editing, unsaved):
            patch.setattr(module, "DiskFile", recorded)
        for module in (editing, disk):
            patch.setattr(module, "sync_folder", self._folder)

    def _folder(self, _: Path) -> None:
        # The log is removed, and only removed, straight before the folder is synced.
        if not log_of(self.path).exists():
            self.events.append(("gone", "log"))
        self.events.append(("folder", ""))

    def at_cut(self, until: int, dice: random.Random) -> None:
        """Leave the two files as a power cut before an event can leave them."""
        main = _platter(self.start)
        log = None if self.log is None else _platter(self.log)
        going = None  # taken from the folder, and perhaps found there again
        for what, name, *rest in self.events[:until]:
            if what == "made":
                log, going = _platter(b""), None
            elif what == "gone":
                log, going = None, log
            elif what == "folder":
                going = None
            elif what in ("write", "truncate", "sync"):
                file = main if name == "main" else log
                if file is not None:
                    getattr(file, what)(*rest)
        if going is not None and dice.random() < 0.5:
            log = going
        self.path.unlink()  # whoever has it open is dead
        self.path.write_bytes(main.after_cut(dice, Power()).seen)
        log_of(self.path).unlink(missing_ok=True)
        if log is not None:
            log_of(self.path).write_bytes(log.after_cut(dice, Power()).seen)


def recorder(path: Path) -> Recorder:
    """A recorder that starts from the files as they are."""
    log = log_of(path)
    return Recorder(path, path.read_bytes(), log.read_bytes() if log.exists() else None)


def _platter(data: bytes) -> Platter:
    return Platter(Power(), bytearray(data), bytearray(data))


def _recorded(path: Path, events: list[tuple]) -> type[disk.DiskFile]:
    class Recorded(disk.DiskFile):
        def __init__(self, place: Path, *, create: bool = False) -> None:
            self.name = "main" if place == path else "log"
            if create and not place.exists():
                events.append(("made", self.name))
            super().__init__(place, create=create)

        def write(self, offset: int, data: bytes | memoryview) -> None:
            super().write(offset, data)
            events.append(("write", self.name, offset, bytes(data)))

        def truncate(self, size: int) -> None:
            super().truncate(size)
            events.append(("truncate", self.name, size))

        def sync(self) -> None:
            events.append(("sync", self.name))

    return Recorded
