"""How alike circuits of one model are, and how well scores find a circuit that is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from microtome.errors import InputError, expect
from microtome.records.circuit import Circuit
from microtome.records.edges import Edges, edges_of, scores_of
from microtome.records.positions import summed


def rank_correlation(
    first: Float[np.ndarray, " edge"], second: Float[np.ndarray, " edge"]
) -> float:
    """Spearman's rank correlation of two scores of the same edges; ties have their mean rank.

    Not a number where all scores of one of both are the same.
    """
    return float(rank_correlations((first, second))[0, 1])


def rank_correlations(
    scores: Sequence[Float[np.ndarray, " edge"]],
) -> Float[np.ndarray, "circuit circuit"]:
    """The same of each two of several, with 1 on the diagonal; each is ranked once."""
    found = np.eye(len(scores))
    centred = [ranks - ranks.mean() for ranks in map(_ranks, scores)]
    sizes = [float(np.sqrt((ranks**2).sum())) for ranks in centred]
    for row, one in enumerate(centred):
        for column in range(row):
            size = sizes[row] * sizes[column]
            value = float(one @ centred[column]) / size if size > 0 else float("nan")
            found[row, column] = found[column, row] = value
    return found


def overlap(first: Bool[np.ndarray, "*edges"], second: Bool[np.ndarray, "*edges"]) -> float:
    """The share of the edges of either circuit that both have (Jaccard); 1 for two empty ones."""
    either = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / either if either else 1.0


def _ranks(values: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " edge"]:
    """1 for the smallest; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


def edge_auc(circuit: Circuit, known: Iterable[str]) -> float:
    """How well the sizes of scores tell the edges of a known circuit from all others.

    The area under the receiver operating characteristic: the chance that a known edge scores higher
    than another one, ties counting half. ``known`` are names such as ``input->a0.h1<q>``.
    Edges without a score, as a partial circuit has those that were not tried yet, count as 0.
    Raises InputError for an edge that the model does not have.
    """
    edges, scores, true = _told_apart(circuit, known)
    return _auc(scores[edges.exists], true[edges.exists])


def node_auc(circuit: Circuit, known: Iterable[str]) -> float:
    """The same for nodes: each counts by its strongest edge, known are those of ``known`` edges."""
    edges, scores, true = _told_apart(circuit, known)
    strongest = np.where(edges.exists, scores, 0.0).max(1)
    return _auc(strongest, np.asarray(true.any(1)))


def _told_apart(circuit: Circuit, known: Iterable[str]) -> tuple[Edges, np.ndarray, np.ndarray]:
    """The edges of a circuit, the sizes of their scores, and which of them are known."""
    expect(known, (list, tuple, set, frozenset), "known", "a list of edges", "['input->m0', …].")
    whole = aggregated(circuit)
    edges = edges_of(whole)
    try:
        sizes = np.abs(np.nan_to_num(scores_of(whole)))
        return edges, sizes, edges.mask(str(edge) for edge in known)
    except KeyError as error:
        raise InputError(
            f"The model has no edge {error.args[0]}.", "Write for example input->a0.h1<q>."
        ) from None


def _auc(scores: np.ndarray, true: np.ndarray) -> float:
    if true.all() or not true.any():
        raise InputError(
            "The known circuit has all edges or none, so that nothing can be told apart.",
            "Give some of the model's edges.",
        )
    # Mann and Whitney (1947): ranks in place of a table of known by unknown edges.
    count = int(true.sum())
    least = count * (count + 1) / 2  # of all ranks: each known edge ranks above itself
    return float((_ranks(scores)[true].sum() - least) / (count * (len(true) - count)))


def aggregated(circuit: Circuit) -> Circuit:
    """A discovered circuit, one by position as its sums over positions.

    Raises InputError for a circuit of another kind.
    """
    way_out = "Make one with discover_circuit(model, pairs)."
    expect(circuit, Circuit, "circuit", "a discovered circuit", way_out)
    whole = summed(circuit)
    if "n_heads" in whole.metadata and not (whole.node_position >= 0).any():
        return whole
    raise InputError(
        "This is asked of circuits that were discovered, and this one is the graph of a prompt by "
        "position.",
        way_out,
    )
