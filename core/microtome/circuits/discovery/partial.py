"""Results that are handed out while the work goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from microtome.jobs import Job
from microtome.records.edges import Edges

_EVERY = 0.2  # seconds: a reader of curves follows five a second


@dataclass(slots=True, eq=False)
class Partials:
    """Hands out partial results of one name, made only when one is due and somebody listens.

    ``made`` makes a result of what is known so far and of how far the work is, plain JSON.
    """

    job: Job
    name: str
    made: Callable[[Any, dict[str, Any]], Any]
    _last: float = field(init=False, default=float("-inf"))

    def tell(self, known: Callable[[], Any], **far: int) -> None:
        """Hand out what is known, if the last time was long enough ago.

        ``far`` are counts such as ``examples_done`` of ``examples``.
        """
        now = time.monotonic()
        if not self.job.hears_partials or now - self._last < _EVERY:
            return
        self._last = now
        told = {name.replace("_", " "): count for name, count in far.items()}
        self.job.partial(self.name, self.made(known(), {"partial": True, **told}))


@dataclass(slots=True, eq=False)
class ScoreMean:
    """The mean of edge scores over examples, told as they come."""

    edges: Edges
    count: int  # examples in all
    partials: Partials | None = None
    done: int = field(init=False, default=0)
    _total: Tensor | None = field(init=False, default=None)

    def add(self, scores: Float[Tensor, "*position writer reader"], examples: int = 1) -> None:
        """Add the sum of the scores of so many examples."""
        own = scores.double()
        self._total = own if self._total is None else self._total + own
        self.done += examples
        if self.partials is not None and self.done < self.count:
            self.partials.tell(self.mean, examples_done=self.done, examples=self.count)

    def mean(self) -> Float[np.ndarray, "*position writer reader"]:
        """The mean so far, not a number where a writer does not stand before a reader."""
        assert self._total is not None  # noqa: S101  a task has examples
        found = (self._total / self.done).cpu().numpy()
        return np.where(self.edges.exists, found, np.nan)
