"""Disks that lose, keep or tear what was not yet synced, and sessions of edits on them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

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


Edit = Callable[[], None]
