"""What a selected node or edge hangs together with, among the edges that are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from microtome.records.circuit import Circuit
from microtome_desktop.state.selection import Selected


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """Masks over the nodes and edges of a circuit: what stays bright while the rest is dimmed."""

    nodes: Bool[np.ndarray, " node"]
    edges: Bool[np.ndarray, " edge"]


def focus_of(circuit: Circuit, selected: Selected, *, downstream: bool = False) -> Focus | None:
    """All that feeds the selected node, and with ``downstream`` all that it feeds.

    For an edge without a node: what feeds its source, the edge, and its target. None when
    nothing that is drawn is selected: then nothing is dimmed.
    """
    rows = {node_id: row for row, node_id in enumerate(circuit.node_id)}
    if selected.node is not None and selected.node in rows:
        focus = _upstream(circuit, rows[selected.node])
        if downstream:
            below = _downstream(circuit, rows[selected.node])
            focus = Focus(focus.nodes | below.nodes, focus.edges | below.edges)
    else:
        focus = None
    edge = edge_row(circuit, selected.edge)
    if edge is None:
        return focus
    if focus is None:
        focus = _upstream(circuit, int(circuit.edge_source[edge]))
    focus.nodes[[circuit.edge_source[edge], circuit.edge_target[edge]]] = True
    focus.edges[edge] = True
    return focus


def edge_row(circuit: Circuit, edge: tuple[str, str, int] | None) -> int | None:
    """The row of an edge named by its ends and kind; None when it is not drawn."""
    if edge is None:
        return None
    source, target, kind = edge
    if source not in circuit.node_id or target not in circuit.node_id:
        return None
    rows = np.flatnonzero(circuit.edge_source == circuit.row(source))
    ends = (circuit.edge_target[rows] == circuit.row(target)) & (circuit.edge_kind[rows] == kind)
    found = rows[ends]
    return int(found[0]) if len(found) else None


def edge_name(circuit: Circuit, row: int) -> tuple[str, str, int]:
    """How the selection names an edge: source id, target id, kind."""
    source, target = circuit.edge_source[row], circuit.edge_target[row]
    return circuit.node_id[source], circuit.node_id[target], int(circuit.edge_kind[row])


def _upstream(circuit: Circuit, node: int) -> Focus:
    return _reached(circuit.n_nodes, node, circuit.edge_target, circuit.edge_source)


def _downstream(circuit: Circuit, node: int) -> Focus:
    return _reached(circuit.n_nodes, node, circuit.edge_source, circuit.edge_target)


def _reached(
    n_nodes: int, start: int, tail: Int[np.ndarray, " edge"], tip: Int[np.ndarray, " edge"]
) -> Focus:
    """Everything that can be walked to from ``start`` along edges from tail to tip."""
    nodes = np.zeros(n_nodes, dtype=bool)
    nodes[start] = True
    while True:
        edges = nodes[tail]
        grown = nodes.copy()
        grown[tip[edges]] = True
        if (grown == nodes).all():
            return Focus(nodes, edges)
        nodes = grown
