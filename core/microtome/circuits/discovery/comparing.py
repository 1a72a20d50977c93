"""How alike two circuits of one model are: by the ranks of their scores, and by their edges."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def rank_correlation(
    first: Float[np.ndarray, " edge"], second: Float[np.ndarray, " edge"]
) -> float:
    """Spearman's rank correlation of two scores of the same edges; ties have their mean rank.

    Not a number where all scores of one of both are the same.
    """
    one, other = (ranks - ranks.mean() for ranks in (_ranks(first), _ranks(second)))
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float(one @ other) / size if size > 0 else float("nan")


def overlap(first: Bool[np.ndarray, "*edges"], second: Bool[np.ndarray, "*edges"]) -> float:
    """The share of the edges of either circuit that both have (Jaccard); 1 for two empty ones."""
    either = int((first | second).sum())
    return float((first & second).sum()) / either if either else 1.0


def _ranks(values: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " edge"]:
    """1 for the smallest; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])
