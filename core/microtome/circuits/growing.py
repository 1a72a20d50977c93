"""The circuit of a search that takes long: what it has found is handed out now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from microtome.jobs import Job
from microtome.records.circuit import Circuit

# Seconds before a partial circuit, and how many times as long as the last one took to make.
EVERY, TIMES = 1.0, 10

FoundT = TypeVar("FoundT")


@dataclass(slots=True, eq=False)
class Growing(Generic[FoundT]):
    """Hands out the circuit of a long search as ``circuit``, if somebody listens.

    ``made`` makes one of what is found, with more metadata. ``started`` is when the whole work
    was, by ``time.perf_counter``.
    """

    job: Job
    made: Callable[[FoundT, dict[str, Any]], Circuit]
    started: float
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self._next = self.started + EVERY

    def tell(self, lowest: int, found: Callable[[], FoundT]) -> None:
        """Hand out what is found, if it is time; ``lowest`` is the lowest layer that is done."""
        begun = time.perf_counter()
        if not self.job.hears_partials or begun < self._next:
            return
        # How much is not explored is not known before the end.
        more = {"partial": True, "lowest": lowest, "unexplored": None}
        self.job.partial("circuit", self.made(found(), more))
        ended = time.perf_counter()
        self._next = ended + max(EVERY, TIMES * (ended - begun))
