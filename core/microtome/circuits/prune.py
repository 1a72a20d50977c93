"""Which part of a circuit to show. Numpy only, so that it works in offline review too."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.errors import expect
from microtome.records.circuit import (
    ATTENTION_ERROR,
    ATTENTION_FEATURE,
    BIAS,
    ERROR,
    IMAGE,
    INPUT,
    OUTPUT,
    POSITION,
    TOKEN,
    Circuit,
)

_EMBEDDINGS = (TOKEN, POSITION, INPUT, IMAGE)
_SOURCES = (*_EMBEDDINGS, ERROR, ATTENTION_ERROR, BIAS)  # nothing flows into these
_ATTENTION = (ATTENTION_FEATURE, ATTENTION_ERROR)

# Less influence than this is rounding: the metric itself has 1.
_ROUNDING = 1e-7

# In-edges of one node that are this strong beside its strongest belong together: with 0.4 a
# hand-compiled circuit is whole at any share, and a trained one grows by a third.
_NEAR_STRONGEST = 0.4


def prune(circuit: Circuit, nodes: int = 40, edge_share: float = 0.8) -> Circuit:
    """The part of a circuit that carries most of the influence.

    Keeps the ``nodes`` most influential components, with all embeddings as candidates, and lets
    the influence flow again over the edges among them. Of these edges the strongest stay, up to
    ``edge_share`` (0 to 1) of all that flows; a component that is reached from the metric also
    keeps the in-edges that come near its strongest one, so that no path ends in mid-air. What is
    not reached is dropped, and so are components without an in-edge. Influences are those of the
    second flow. A node count is used because cumulative thresholds keep ten times more on long
    prompts.
    """
    expect(circuit, Circuit, "circuit", "a Circuit", "Make one with component_graph.")
    found = kept(circuit, nodes, edge_share)
    flowed = replace(
        circuit,
        node_influence=found.influence.astype(circuit.node_influence.dtype),
        edge_influence=found.through.astype(circuit.edge_influence.dtype),
    )
    return flowed.select(found.nodes, found.edges)


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What pruning keeps of a circuit, and the influence when it flows over the candidates."""

    nodes: Bool[np.ndarray, " node"]
    edges: Bool[np.ndarray, " edge"]
    influence: Float[np.ndarray, " node"]
    through: Float[np.ndarray, " edge"]


def kept(circuit: Circuit, nodes: int, edge_share: float) -> Kept:
    """The rows of a circuit that ``prune`` keeps."""
    chosen = _candidates(circuit, nodes)
    among = chosen[circuit.edge_source] & chosen[circuit.edge_target]
    influence, through = flow(circuit, among)
    edges = _reached(circuit, through, _strongest(through, edge_share))
    held = _connected(circuit, chosen, edges)
    edges &= held[circuit.edge_source] & held[circuit.edge_target]
    return Kept(held, edges, influence, through)


def _candidates(circuit: Circuit, nodes: int) -> Bool[np.ndarray, " node"]:
    kinds = np.array(circuit.node_kind)
    always = np.isin(kinds, (*_EMBEDDINGS, OUTPUT))
    ranked = np.flatnonzero(~always)
    ranked = ranked[np.argsort(-circuit.node_influence[ranked], kind="stable")]
    chosen = always.copy()
    chosen[ranked[: max(0, nodes)]] = True
    return chosen


def flow(
    circuit: Circuit, edges: Bool[np.ndarray, " edge"]
) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " edge"]]:
    """The influence of nodes and edges when it flows over some edges only, from the metric down.

    Each target hands its influence to its sources in proportion to the size of the edges.
    """
    size = np.where(edges, np.abs(circuit.edge_weight.astype(np.float64)), 0.0)
    total = np.bincount(circuit.edge_target, size, circuit.n_nodes)
    share = size / np.where(total > 0, total, 1.0)[circuit.edge_target]
    influence = (np.array(circuit.node_kind) == OUTPUT).astype(np.float64)
    through = np.zeros(circuit.n_edges)
    depth = _depth(circuit)[circuit.edge_target]
    for level in np.unique(depth)[::-1]:
        here = depth == level
        through[here] = share[here] * influence[circuit.edge_target[here]]
        influence += np.bincount(circuit.edge_source[here], through[here], circuit.n_nodes)
    return influence, through


def _depth(circuit: Circuit) -> Int[np.ndarray, " node"]:
    """A number that grows along every edge: embeddings, then heads and MLP layer by layer."""
    kinds = np.array(circuit.node_kind)
    is_attention = (circuit.node_head >= 0) | np.isin(kinds, _ATTENTION)
    depth = 2 * circuit.node_layer.astype(np.int64) + ~is_attention
    return np.where(kinds == OUTPUT, depth.max(initial=0) + 2, depth)


def _strongest(through: Float[np.ndarray, " edge"], share: float) -> Bool[np.ndarray, " edge"]:
    """The fewest edges that together hold the share."""
    order = np.argsort(-through, kind="stable")
    before = np.cumsum(through[order]) - through[order]
    kept = np.zeros(len(through), bool)
    kept[order] = (before < share * through.sum()) & (through[order] > _ROUNDING)
    return kept


def _reached(
    circuit: Circuit, through: Float[np.ndarray, " edge"], strongest: Bool[np.ndarray, " edge"]
) -> Bool[np.ndarray, " edge"]:
    """The edges that are met on the way down from the metric."""
    source, target = circuit.edge_source, circuit.edge_target
    best = np.zeros(circuit.n_nodes)
    np.maximum.at(best, target, through)
    near = (through >= _NEAR_STRONGEST * best[target]) & (through > _ROUNDING)
    reached = np.array(circuit.node_kind) == OUTPUT
    kept = np.zeros(circuit.n_edges, bool)
    depth = _depth(circuit)[target]
    for level in np.unique(depth)[::-1]:
        here = (depth == level) & reached[target] & (strongest | near)
        kept |= here
        reached[source[here]] = True
    return kept


def _connected(
    circuit: Circuit, nodes: Bool[np.ndarray, " node"], edges: Bool[np.ndarray, " edge"]
) -> Bool[np.ndarray, " node"]:
    """The nodes that stay when those without an out-edge or an in-edge are dropped repeatedly."""
    kinds = np.array(circuit.node_kind)
    is_output, is_source = kinds == OUTPUT, np.isin(kinds, _SOURCES) | _to_come(circuit)
    while True:
        live = edges & nodes[circuit.edge_source] & nodes[circuit.edge_target]
        has_out = np.bincount(circuit.edge_source[live], minlength=circuit.n_nodes) > 0
        has_in = np.bincount(circuit.edge_target[live], minlength=circuit.n_nodes) > 0
        kept: Bool[np.ndarray, " node"] = nodes & (is_output | has_out & (is_source | has_in))
        if kept.sum() == nodes.sum():
            return kept
        nodes = kept


def _to_come(circuit: Circuit) -> Bool[np.ndarray, " node"]:
    """The nodes whose in-edges a search that still goes on has not come to."""
    lowest = circuit.metadata.get("lowest") if circuit.metadata.get("partial") else None
    return circuit.node_layer < (lowest if isinstance(lowest, int) else 0)
