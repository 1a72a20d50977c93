"""What differs between the circuits of two slices. Without torch, so that a window can ask it."""

from __future__ import annotations

import numpy as np

from microtome.circuits.discovery.comparing import overlap, rank_correlation
from microtome.errors import InputError
from microtome.records.slice_circuits import CircuitDifference, SliceCircuits

SHARE = 0.02  # of all edges, the strongest of which are taken as the circuit


def compare_slices(
    circuits: SliceCircuits, first: str, second: str, share: float = SHARE
) -> CircuitDifference:
    """What the strongest ``share`` of the edges of two slices have in common.

    Raises InputError for a slice without a circuit, or a share outside 0 to 1.
    """
    if not 0 < share <= 1:
        raise InputError(f"The share of edges is {share}.", "Give for example 0.02.")
    edges = circuits.edges
    names = [
        f"{edges.writer_names[writer]}->{edges.reader_names[reader]}"
        for writer, reader in np.argwhere(edges.exists)
    ]
    one, other = (circuits.scores[circuits.row(each)][edges.exists] for each in (first, second))
    count = max(1, int(share * len(names)))
    orders = [np.argsort(-np.abs(each), kind="stable")[:count] for each in (one, other)]
    ours, theirs = (np.isin(np.arange(len(names)), order) for order in orders)
    return CircuitDifference(
        first,
        second,
        tuple(names[at] for at in orders[0] if theirs[at]),
        tuple(names[at] for at in orders[0] if not theirs[at]),
        tuple(names[at] for at in orders[1] if not ours[at]),
        overlap(ours, theirs),
        rank_correlation(one, other),
    )
