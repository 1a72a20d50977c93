"""A discovered circuit at any size: its edges sorted once, so that a dial can be turned freely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.analysis import Analysis
from microtome.records.edges import Edges
from microtome.records.faithfulness import Faithfulness

STEPS = 1000  # of the slider
_DIMS = 2  # of scores that are summed over positions


@dataclass(frozen=True)
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
        told = analysis.params
        edges = Edges(int(told["n_layers"]), int(told["n_heads"]), bool(told.get("parallel")))
        writer, reader = np.nonzero(edges.exists)
        scores = np.nan_to_num(np.asarray(analysis.array("scores"), dtype=np.float64))
        whole = scores.sum(0) if scores.ndim > _DIMS else scores
        return cls(edges, writer, reader, whole[writer, reader])

    @property
    def count(self) -> int:
        """How many edges there are."""
        return len(self.scores)

    @cached_property
    def _by_score(self) -> Int[np.ndarray, " edge"]:
        return np.argsort(-self.scores, kind="stable")

    @cached_property
    def by_size(self) -> Int[np.ndarray, " edge"]:
        """The edges by the size of their scores, largest first."""
        return np.argsort(-np.abs(self.scores), kind="stable")

    def order(self, *, signed: bool) -> Int[np.ndarray, " edge"]:
        """The edges best first: by score, or by the size of the score."""
        return self._by_score if signed else self.by_size

    def _worth(self, *, signed: bool) -> Float[np.ndarray, " edge"]:
        """What the order goes by, best first."""
        worth = self.scores if signed else np.abs(self.scores)
        return np.asarray(worth[self.order(signed=signed)])

    def threshold(self, count: int, *, signed: bool) -> float:
        """The score of the last of so many best edges; that of the best for none."""
        worth = self._worth(signed=signed)
        return float(worth[min(max(count, 1), self.count) - 1])

    def above(self, threshold: float, *, signed: bool) -> int:
        """How many edges reach a score."""
        worth = self._worth(signed=signed)
        return int(np.searchsorted(-worth, -threshold, side="right"))

    def kept(self, count: int, *, signed: bool) -> Bool[np.ndarray, " edge"]:
        """Which of so many best edges lie on a way from the input to the logits."""
        chosen = np.zeros(self.edges.exists.shape, dtype=np.bool_)
        best = self.order(signed=signed)[:count]
        chosen[self.writer[best], self.reader[best]] = True
        return np.asarray(self.edges.connected(chosen)[self.writer, self.reader])

    def beside(self, other: Ranked) -> Ranked:
        """Both circuits in one: each edge as strong as it is in the one where it is stronger.

        Scores are shares of the largest one, so that methods of any scale stand beside each other.
        """
        own, theirs = (_as_shares(each.scores) for each in (self, other))
        stronger = np.where(np.abs(own) >= np.abs(theirs), own, theirs)
        return Ranked(self.edges, self.writer, self.reader, stronger)

    def nodes(self, kept: Bool[np.ndarray, " edge"]) -> int:
        """How many components the kept edges join, input and logits among them."""
        there = np.zeros(self.edges.n_writers + 1, dtype=np.bool_)
        there[self.writer[kept]] = True
        there[self._node_read[self.reader[kept]]] = True
        return int(there.sum())

    @cached_property
    def _node_read(self) -> Int[np.ndarray, " reader"]:
        """The node of each reader, the logits behind all writers."""
        return np.append(self.edges.node_of[:-1], self.edges.n_writers)


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
