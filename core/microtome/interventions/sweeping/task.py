"""What one sweep has to do, as a value that each of the three ways can compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.interventions.means import drawn
from microtome.interventions.sweeping.cells import Cells
from microtome.metrics import Metric, reads_everywhere
from microtome.models.model import Model
from microtome.models.tokens import Tokens

How = Literal["patch", "zero", "mean", "position mean", "resample"]


@dataclass(frozen=True, slots=True, eq=False)
class Put:
    """What is put into a cell: the value of another run, or something in its place.

    ``over`` are the prompts that means are taken over or, by ``seed``, one is drawn from. For a
    patch each example has its source.
    """

    how: How = "patch"
    over: tuple[Tokens, ...] = ()
    seed: int = 0

    @property
    def used(self) -> tuple[Tokens, ...]:
        """The prompts whose values are used."""
        if self.how != "resample":
            return self.over
        return (self.over[drawn(self.seed, len(self.over))],)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One prompt that is changed, and where the values come from.

    ``places[p]`` is the position of the source that stands for position p, -1 where there is
    none. ``noise`` is added to the embeddings of the base.
    """

    base: Tokens
    source: Tokens | None
    places: Int[np.ndarray, " position"]
    metric: Metric
    noise: Float[np.ndarray, "position d_model"] | None = None

    def read_at(self, tokens: Tokens) -> Int[np.ndarray, " place"]:
        """The positions that the metric reads in a run."""
        if reads_everywhere(self.metric):
            return np.arange(len(tokens))
        return np.array([self.metric.position % len(tokens)])

    @property
    def differs(self) -> Bool[np.ndarray, " position"]:
        """Positions where the input of base and source differs, or has no partner."""
        if self.source is None or self._reads_otherwise:
            return np.ones(len(self.base), dtype=np.bool_)
        other = self.source.ids[np.maximum(self.places, 0)]
        differs = (self.places != np.arange(len(self.base))) | (other != self.base.ids)
        if self.noise is not None:
            differs |= self.noise.any(1)
        return np.asarray(differs, dtype=np.bool_)

    def unmatched(self, cells: Cells) -> Bool[np.ndarray, " cell"]:
        """Cells none of whose positions has a partner in the source."""
        partners = np.concatenate([[0], np.cumsum(self.places >= 0)])
        return np.asarray(partners[cells.stop] == partners[cells.start])

    @property
    def _reads_otherwise(self) -> bool:
        """Whether an encoder reads something else for the source."""
        ours, theirs = self.base.source, None if self.source is None else self.source.source
        if ours is None or theirs is None:
            return False
        return not np.array_equal(ours.ids, theirs.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """The metric of the two runs that a sweep lies between; no ``source`` for ablations."""

    base: float
    source: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Values of a metric [example, cell], NaN where there is no cell, and the runs between.

    ``skipped`` counts the cells that were known to change nothing.
    """

    values: Float[np.ndarray, "example cell"]
    ends: tuple[Ends, ...]
    skipped: int


# Told after each pass: the values [example, cell] so far, NaN where there is none yet, and the
# ends of the examples, NaN where they are not known yet.
Told = Callable[[Float[np.ndarray, "example cell"], Sequence[Ends]], None]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Examples of one length that are swept together over the same cells."""

    model: Model
    cells: Cells
    examples: tuple[Example, ...]
    put: Put
    skip: bool
    budget: int  # bytes
