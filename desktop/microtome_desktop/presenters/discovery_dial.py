"""A discovered circuit at any size: its edges sorted once, so that a dial can be turned freely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.analysis import Analysis
from microtome.records.edges import Edges
from microtome.records.faithfulness import Faithfulness

STEPS = 1000  # of the slider
_DIMS = 2  # of scores that are summed over positions
LARGE = 200_000  # scores: sorting more takes longer than a frame
_FEW = 20_000  # edges that are sorted sooner than looked for among all


def edges_shown(told: Mapping[str, Any]) -> Edges:
    """The edges that a discovery's parameters tell of; rivals of one model share them."""
    return _edges(int(told["n_layers"]), int(told["n_heads"]), bool(told.get("parallel")))


@lru_cache(maxsize=4)
def _edges(n_layers: int, n_heads: int, parallel: bool) -> Edges:
    return Edges(n_layers, n_heads, parallel)


@lru_cache(maxsize=4)
def _places(edges: Edges) -> tuple[Int[np.ndarray, " edge"], Int[np.ndarray, " edge"]]:
    """Writer and reader of each edge, in the order of the writers and then of the readers."""
    writer, reader = np.nonzero(edges.exists)
    return writer.astype(np.int32), reader.astype(np.int32)


def takes_long(analysis: Analysis) -> bool:
    """Whether a discovery has to be sorted by a worker."""
    return prod(analysis.arrays["scores"].values.shape) > LARGE


@dataclass(frozen=True, eq=False)
class Ranked:
    """Edges with their scores [edge], in the order of the writers and then of the readers.

    An edge that a partial result did not try scores 0.
    """

    edges: Edges
    writer: Int[np.ndarray, " edge"]
    reader: Int[np.ndarray, " edge"]
    scores: Float[np.ndarray, " edge"]

    @classmethod
    def of(cls, analysis: Analysis) -> Ranked:
        """The edges of a discovery's analysis; of one that kept positions apart their sums."""
        edges = edges_shown(analysis.params)
        scores = np.nan_to_num(np.asarray(analysis.array("scores"), dtype=np.float64))
        whole = scores.sum(0) if scores.ndim > _DIMS else scores
        return cls(edges, *_places(edges), whole[edges.exists])

    @classmethod
    def ready(cls, analysis: Analysis) -> Ranked:
        """The same with all that a turn of the dial needs, so that none has to wait for it."""
        made = cls.of(analysis)
        return made.made_ready()

    def made_ready(self) -> Ranked:
        """Itself, after what is computed once has been."""
        for signed in (True, False):
            self._ranks(signed=signed)
        self.sums, self.strengths  # noqa: B018  # kept from now on
        return self

    @property
    def large(self) -> bool:
        """Whether what reads all edges takes longer than a frame."""
        return self.edges.exists.size > LARGE

    @property
    def nbytes(self) -> int:
        """Bytes that it takes; writers and readers are shared."""
        return int(self.scores.nbytes + 4 * self.count * 2 + 4 * self.edges.exists.size * 2)

    @cached_property
    def count(self) -> int:
        """How many edges there are."""
        return len(self.scores)

    @cached_property
    def _by_score(self) -> Int[np.ndarray, " edge"]:
        return np.argsort(-self.scores, kind="stable").astype(np.int32)

    @cached_property
    def by_size(self) -> Int[np.ndarray, " edge"]:
        """The edges by the size of their scores, largest first."""
        return np.argsort(-np.abs(self.scores), kind="stable").astype(np.int32)

    def order(self, *, signed: bool) -> Int[np.ndarray, " edge"]:
        """The edges best first: by score, or by the size of the score."""
        return self._by_score if signed else self.by_size

    @cached_property
    def _ranks_by_score(self) -> Int[np.ndarray, "writer reader"]:
        return self._ranked(self._by_score)

    @cached_property
    def _ranks_by_size(self) -> Int[np.ndarray, "writer reader"]:
        return self._ranked(self.by_size)

    def _ranks(self, *, signed: bool) -> Int[np.ndarray, "writer reader"]:
        """The place of each edge in the order."""
        return self._ranks_by_score if signed else self._ranks_by_size

    def _ranked(self, order: Int[np.ndarray, " edge"]) -> Int[np.ndarray, "writer reader"]:
        found = np.full(self.edges.exists.shape, np.iinfo(np.int32).max, dtype=np.int32)
        found[self.writer[order], self.reader[order]] = np.arange(self.count, dtype=np.int32)
        return found

    def threshold(self, count: int, *, signed: bool) -> float:
        """The score of the last of so many best edges; that of the best for none."""
        last = self.scores[self.order(signed=signed)[min(max(count, 1), self.count) - 1]]
        return float(last if signed else abs(last))

    def above(self, threshold: float, *, signed: bool) -> int:
        """How many edges reach a score."""
        worth = self.scores if signed else np.abs(self.scores)
        return int(np.count_nonzero(worth >= threshold))

    def kept(self, count: int, *, signed: bool) -> Bool[np.ndarray, " edge"]:
        """Which of so many best edges lie on a way from the input to the logits."""
        chosen = self._ranks(signed=signed) < count
        return np.asarray(self.edges.connected(chosen)[self.edges.exists])

    def strongest(self, kept: Bool[np.ndarray, " edge"], most: int) -> Int[np.ndarray, " edge"]:
        """The rows of the kept edges with the largest scores, largest first."""
        order, found = self.by_size, []
        if np.count_nonzero(kept) <= _FEW:
            rows = np.flatnonzero(kept)
            return rows[np.argsort(-np.abs(self.scores[rows]), kind="stable")][:most]
        left, step = most, 16 * most  # among many the first ones come soon
        for at in range(0, self.count, step):
            part = order[at : at + step]
            found.append(part[kept[part]][:left])
            left -= len(found[-1])
            if not left:
                break
        return np.concatenate(found)

    def beside(self, other: Ranked) -> Ranked:
        """Both circuits in one: each edge as strong as it is in the one where it is stronger.

        Scores are shares of the largest one, so that methods of any scale stand beside each other.
        """
        own, theirs = (_as_shares(each.scores) for each in (self, other))
        stronger = np.where(np.abs(own) >= np.abs(theirs), own, theirs)
        return Ranked(self.edges, self.writer, self.reader, stronger)

    def nodes(self, kept: Bool[np.ndarray, " edge"]) -> int:
        """How many components the kept edges join, input and logits among them.

        Every kept edge lies on a way to the logits, so that all components but these write one.
        """
        starts = np.searchsorted(self.writer, np.arange(self.edges.n_writers))
        writing = int(np.count_nonzero(np.logical_or.reduceat(kept, starts)))
        return writing + 1 if writing else 0

    @cached_property
    def sums(self) -> Float[np.ndarray, " writer"]:
        """Of each writer the sum of its edges' scores."""
        return np.bincount(self.writer, self.scores, self.edges.n_writers)

    @cached_property
    def strengths(self) -> Float[np.ndarray, " node"]:
        """Of each component its strongest edge, in or out, the logits last."""
        sizes = np.zeros(self.edges.exists.shape)
        sizes[self.edges.exists] = np.abs(self.scores)
        found = np.append(sizes.max(1), 0.0)
        np.maximum.at(found, self.edges.node_read, sizes.max(0))
        return found


def _as_shares(scores: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " edge"]:
    largest = float(np.abs(scores).max(initial=0.0))
    return scores / largest if largest > 0 else scores


def count_at(step: int, total: int) -> int:
    """How many of ``total`` edges a step of the slider stands for: the steps are logarithmic."""
    return round(float(np.power(total, step / STEPS)))


def step_at(count: int, total: int) -> int:
    """The step of the slider nearest to so many edges."""
    if total < 2:
        return STEPS
    return round(STEPS * float(np.log(max(count, 1)) / np.log(total)))


@dataclass(frozen=True, slots=True)
class Reading:
    """Faithfulness at one size; ``measured`` there, or read between the sizes beside it."""

    value: float
    measured: bool
    band: tuple[float, float] | None = None


def reading_at(curve: Faithfulness, count: int, total: int, *, signed: bool) -> Reading | None:
    """Faithfulness of so many best edges of ``total``; None beyond what was measured.

    Between two sizes it is read along a line over the logarithm of the size.
    """
    values = curve.faithfulness if signed else curve.by_magnitude
    known = np.isfinite(values)
    counts = np.floor(curve.sizes * total + 1e-9)[known]
    values, sizes = values[known], np.log(np.maximum(counts, 1e-9))
    if not len(counts) or count < counts[0] or count > counts[-1]:
        return None
    band = curve.band[:, known] if curve.band is not None and signed else None
    at = np.log(max(count, 1))
    ends = None if band is None else (float(np.interp(at, sizes, band[0])),
                                      float(np.interp(at, sizes, band[1])))  # fmt: skip
    return Reading(float(np.interp(at, sizes, values)), bool((counts == count).any()), ends)
