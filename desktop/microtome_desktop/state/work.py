"""What runs, what waits, and what has ended with its time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from psygnal import Signal

from microtome.jobs import Progress

_KEPT = 200  # ended jobs


class Outcome(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Piece:
    """One job. Times are seconds of a clock that only runs forward.

    ``missed`` says whether somebody asked for it, ``restless`` why it cannot be paused (empty
    when it can), ``memory`` how many bytes it was expected to take. ``parts`` are the partial
    results that are on screen already. A job that is to be paused is at ``rest`` once it has
    come to a place where it can.
    """

    number: int
    title: str
    outcome: Outcome = Outcome.WAITING
    asked: float = 0.0
    began: float | None = None
    ended: float | None = None
    progress: Progress | None = None
    parts: tuple[str, ...] = ()
    rest: bool = False
    problem: str = ""
    details: str = ""  # of the problem, to copy
    missed: bool = True
    restless: str = ""
    memory: int | None = None
    slot: str = ""  # what kind of job it is

    @property
    def under_way(self) -> bool:
        """Whether it can still be stopped."""
        return self.outcome in (Outcome.WAITING, Outcome.RUNNING, Outcome.PAUSED)

    def seconds(self, now: float) -> float:
        """How long it has run, or ran, with the time that it was paused."""
        if self.began is None:
            return 0.0
        return (now if self.ended is None else self.ended) - self.began


class Work:
    """All jobs of this window that a user would call a job, in the order asked."""

    changed = Signal()

    def __init__(self) -> None:
        self._pieces: dict[int, Piece] = {}

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Every job that is remembered, oldest first."""
        return tuple(self._pieces.values())

    def find(self, number: int) -> Piece | None:
        """The job of this number."""
        return self._pieces.get(number)

    def ask(self, number: int, title: str, **about: Any) -> None:
        """A job waits for its turn; ``about`` are fields of the piece."""
        self._pieces[number] = Piece(number, title, asked=time.monotonic(), **about)
        ended = [n for n, piece in self._pieces.items() if not piece.under_way]
        for old in ended[: max(0, len(ended) - _KEPT)]:
            del self._pieces[old]
        self.changed.emit()

    def begin(self, number: int) -> None:
        """A job has begun."""
        self._change(number, outcome=Outcome.RUNNING, began=time.monotonic())

    def progress(self, number: int, progress: Progress) -> None:
        """A job has come this far."""
        self._change(number, progress=progress)

    def part(self, number: int, title: str) -> None:
        """A partial result of a job is on screen."""
        piece = self._pieces.get(number)
        if piece is not None and title and title not in piece.parts:
            self._change(number, parts=(*piece.parts, title))

    def pause(self, number: int) -> None:
        """A job is to rest at its next checkpoint."""
        self._change(number, outcome=Outcome.PAUSED)

    def resume(self, number: int) -> None:
        """A job goes on."""
        self._change(number, outcome=Outcome.RUNNING, rest=False)

    def rest(self, number: int, *, resting: bool) -> None:
        """A job has come to its rest, or has left it."""
        self._change(number, rest=resting)

    def end(self, number: int, outcome: Outcome, problem: str = "", details: str = "") -> None:
        """A job has ended; what is told later of it is ignored."""
        now = time.monotonic()
        self._change(number, outcome=outcome, ended=now, problem=problem, details=details)

    def _change(self, number: int, **fields: Any) -> None:
        piece = self._pieces.get(number)
        if piece is not None and piece.under_way:
            self._pieces[number] = replace(piece, **fields)
            self.changed.emit()
