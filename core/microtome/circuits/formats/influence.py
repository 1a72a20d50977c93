"""How much of the outputs passes through nodes and edges of an attribution graph.

Ameisen et al., "Circuit Tracing" (2025): the weights into each node, their sizes scaled to sum to
one, pass influence on from the outputs down.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

_MOST_STEPS = 1000
_LITTLE = 1e-9


def passed_on(
    source: Int[np.ndarray, " edge"],
    target: Int[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    outputs: Float[np.ndarray, " node"],
) -> Float[np.ndarray, " node"]:
    """The influence of each node when outputs begin with the given amounts.

    Ends after as many steps as the longest path has; in a graph with cycles when little moves, or
    after a thousand.
    """
    from scipy.sparse import coo_array

    n, share = len(outputs), shares(target, weight, len(outputs))
    back = coo_array((share, (source, target)), shape=(n, n)).tocsr()
    total = outputs.astype(np.float64)
    moving = total
    for _ in range(min(n, _MOST_STEPS)):
        moving = back @ moving
        if moving.max(initial=0) < _LITTLE:
            break
        total = total + moving
    return total


def shares(
    target: Int[np.ndarray, " edge"], weight: Float[np.ndarray, " edge"], nodes: int
) -> Float[np.ndarray, " edge"]:
    """Each edge's share of the weights into its target, by size."""
    size = np.abs(weight)
    total = np.bincount(target, size, nodes)
    scale: Float[np.ndarray, " node"] = np.where(total > 0, total, 1.0)
    found: Float[np.ndarray, " edge"] = size / scale[target]
    return found


def from_cumulative(
    cumulative: Float[np.ndarray, " node"], known: Bool[np.ndarray, " node"]
) -> Float[np.ndarray, " node"]:
    """Each node's own share, where a file says the share that is reached with it.

    The file sorts nodes by influence, strongest first, and adds up; so a small number is a strong
    node. Nodes of which it says nothing get 0.
    """
    found = np.zeros(len(cumulative))
    rows = np.flatnonzero(known)
    order = rows[np.argsort(cumulative[rows], kind="stable")]
    found[order] = np.maximum(0.0, np.diff(cumulative[order], prepend=0.0))
    return found


def cumulative(influence: Float[np.ndarray, " node"]) -> Float[np.ndarray, " node"]:
    """The share that is reached with each node, strongest first: what files write."""
    order = np.argsort(-influence, kind="stable")
    total = influence.sum()
    found = np.ones(len(influence))
    if total > 0:
        found[order] = np.minimum(1.0, np.cumsum(influence[order]) / total)
    return found
