"""What runs, what waits, and what has ended with its time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import StrEnum

from psygnal import Signal

_KEPT = 200  # ended jobs


class Outcome(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Piece:
    """One job. Times are seconds of a clock that only runs forward."""

    number: int
    title: str
    outcome: Outcome = Outcome.WAITING
    asked: float = 0.0
    began: float | None = None
    ended: float | None = None
    fraction: float = 0.0
    doing: str = ""
    remaining: float | None = None
    problem: str = ""

    @property
    def under_way(self) -> bool:
        """Whether it can still be stopped."""
        return self.outcome in (Outcome.WAITING, Outcome.RUNNING)

    def seconds(self, now: float) -> float:
        """How long it has run, or ran."""
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

    def ask(self, number: int, title: str) -> None:
        """A job waits for its turn."""
        self._pieces[number] = Piece(number, title, asked=time.monotonic())
        ended = [n for n, piece in self._pieces.items() if not piece.under_way]
        for old in ended[: max(0, len(ended) - _KEPT)]:
            del self._pieces[old]
        self.changed.emit()

    def begin(self, number: int) -> None:
        """A job has begun."""
        self._change(number, outcome=Outcome.RUNNING, began=time.monotonic())

    def progress(self, number: int, doing: str, fraction: float, remaining: float | None) -> None:
        """A job has come this far; ``remaining`` in seconds, None where nobody can tell."""
        self._change(number, doing=doing, fraction=fraction, remaining=remaining)

    def end(self, number: int, outcome: Outcome, problem: str = "") -> None:
        """A job has ended; what is told later of it is ignored."""
        self._change(number, outcome=outcome, ended=time.monotonic(), problem=problem)

    def _change(self, number: int, **fields: object) -> None:
        piece = self._pieces.get(number)
        if piece is not None and piece.under_way:
            self._pieces[number] = replace(piece, **fields)  # type: ignore[arg-type]
            self.changed.emit()
