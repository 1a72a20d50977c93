"""The circuit as the user has marked it: pinned, hidden, renamed, and grouped into supernodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.circuit import OUTPUT, Circuit
from microtome.records.feature_names import with_names
from microtome.records.marks import Marks, Supernode
from microtome_desktop.presenters.circuit_view import View, chosen
from microtome_desktop.state.selection import Selected

GROUP = "group"  # the node kind of a collapsed supernode
_PREFIX = "group/"
_EVEN_WITHOUT = 1  # edges each way that a pinned node brings along, however weak


def group_id(name: str) -> str:
    """The id of the node that a collapsed supernode is drawn as."""
    return f"{_PREFIX}{name}"


def group_of(marks: Marks, node: str | None) -> Supernode | None:
    """The supernode that a drawn node stands for, None for any other node."""
    if node is None or not node.startswith(_PREFIX):
        return None
    name = node.removeprefix(_PREFIX)
    return next((group for group in marks.supernodes if group.name == name), None)


def shown_as(marks: Marks, node: str | None) -> str | None:
    """The id under which a node is drawn: that of its supernode while it is collapsed."""
    held = None if node is None else marks.supernode_of(node)
    return group_id(held.name) if held is not None and held.collapsed else node


def shown_selection(marks: Marks, selected: Selected) -> Selected:
    """The selection in terms of what is drawn."""
    if not any(group.collapsed for group in marks.supernodes):
        return selected
    node, edge = shown_as(marks, selected.node), selected.edge
    if edge is not None:
        source, target = (shown_as(marks, end) or end for end in edge[:2])
        edge = (source, target, edge[2])
    others = dict.fromkeys(shown_as(marks, other) or other for other in selected.others)
    return replace(selected, node=node, edge=edge, others=tuple(others))


def members(marks: Marks, nodes: Iterable[str]) -> tuple[str, ...]:
    """Nodes of the model for drawn ones: a collapsed supernode gives all that it holds."""
    found: dict[str, None] = {}
    for node in nodes:
        group = group_of(marks, node)
        found.update(dict.fromkeys((node,) if group is None else group.nodes))
    return tuple(found)


def marked(explored: Circuit, view: View, marks: Marks) -> Circuit:
    """What the sliders ask for of a circuit, as the user has marked it.

    Every node and edge keeps the influence that it has in the whole circuit, so that all panels
    tell the same numbers. A pinned node stays with its edges that are as strong as those drawn,
    and at least the strongest one each way; a hidden one goes. The nodes of a collapsed supernode
    become one: its edges are the sums of theirs that leave it, by the other end and the kind.
    """
    drawn = explored.select(*shown_rows(explored, view, marks))
    for group in marks.supernodes:
        if group.collapsed:
            drawn = _collapsed(drawn, explored, group)
    return named(drawn, marks.names)


def marked_weights(
    explored: Circuit, view: View, marks: Marks, weight: Float[np.ndarray, " edge"]
) -> Float[np.ndarray, " edge"]:
    """Another number of each edge for the edges of ``marked``, added up where groups add up."""
    other = replace(explored, edge_weight=weight)
    drawn = other.select(*shown_rows(explored, view, marks))
    for group in marks.supernodes:
        if group.collapsed:
            drawn = _collapsed(drawn, other, group)
    return drawn.edge_weight.astype(np.float64)


def shown_rows(
    explored: Circuit, view: View, marks: Marks
) -> tuple[Bool[np.ndarray, " node"], Bool[np.ndarray, " edge"]]:
    """Rows of nodes and edges that the sliders keep, with pins and without what is hidden."""
    of_nodes, of_edges = chosen(explored, view)
    if marks.pins:
        of_nodes, of_edges = _with_pins(explored, of_nodes, of_edges, marks.pins)
    if marks.hidden:
        of_nodes = of_nodes & ~_mask(explored, marks.hidden)
    return of_nodes, of_edges


def named(circuit: Circuit, names: Mapping[str, str]) -> Circuit:
    """The circuit with the user's names as labels."""
    return with_names(circuit, names)


def about(explored: Circuit, marks: Marks, node: str | None) -> Circuit:
    """The circuit in which a node's card is read: with the node's own supernode, if it is one."""
    group = group_of(marks, node)
    circuit = explored if group is None else _collapsed(explored, explored, group)
    return named(circuit, marks.names)


def group_text(explored: Circuit, group: Supernode) -> str:
    """What a supernode holds, in words."""
    rows = {node: row for row, node in enumerate(explored.node_id)}
    held = [explored.node_label[rows[node]] for node in group.nodes if node in rows]
    return f"group of {len(group.nodes)}: {', '.join(held)}"


def whole(explored: Circuit, marks: Marks) -> Circuit:
    """Every node and edge with the user's names and collapsed supernodes, nothing hidden."""
    circuit = explored
    for group in marks.supernodes:
        if group.collapsed:
            circuit = _collapsed(circuit, explored, group)
    return named(circuit, marks.names)


def _mask(circuit: Circuit, nodes: Iterable[str]) -> Bool[np.ndarray, " node"]:
    return np.isin(np.array(circuit.node_id, dtype=object), list(nodes))


def _with_pins(
    explored: Circuit,
    nodes: Bool[np.ndarray, " node"],
    edges: Bool[np.ndarray, " edge"],
    pins: tuple[str, ...],
) -> tuple[Bool[np.ndarray, " node"], Bool[np.ndarray, " edge"]]:
    missing = np.flatnonzero(_mask(explored, pins) & ~nodes)
    if not len(missing):
        return nodes, edges
    nodes, edges = nodes.copy(), edges.copy()
    weakest = explored.edge_influence[edges].min(initial=np.inf)
    nodes[missing] = True
    source, target = explored.edge_source, explored.edge_target
    among = nodes[source] & nodes[target]
    for node in missing:
        for end in (source, target):
            rows = np.flatnonzero(among & (end == node))
            rows = rows[np.argsort(-explored.edge_influence[rows], kind="stable")]
            strong = explored.edge_influence[rows] >= weakest
            strong[:_EVEN_WITHOUT] = True
            edges[rows[strong]] = True
    return nodes, edges


def _collapsed(circuit: Circuit, explored: Circuit, group: Supernode) -> Circuit:
    inside = _mask(circuit, group.nodes)
    if not inside.any():
        return circuit
    first = int(np.flatnonzero(inside)[0])  # the group takes the place of its first node
    rows = np.where(inside, first, np.arange(circuit.n_nodes))
    merged = _merged(circuit, rows)
    stays = ~inside
    stays[first] = True
    wide = _as_group(merged, explored, circuit, inside, first, group)
    return wide.select(stays, np.ones(wide.n_edges, dtype=bool))


def _merged(circuit: Circuit, rows: Int[np.ndarray, " node"]) -> Circuit:
    """The circuit with the ends of its edges moved, equal ones added up, inner ones dropped."""
    source, target = rows[circuit.edge_source], rows[circuit.edge_target]
    leaves = source != target
    ends = np.stack([source, target, circuit.edge_kind.astype(np.int64)], axis=1)[leaves]
    unique, which = np.unique(ends, axis=0, return_inverse=True)
    which = which.reshape(-1)

    def summed(values: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " edge"]:
        total = np.bincount(which, values[leaves].astype(np.float64), len(unique))
        return total.astype(values.dtype)

    return replace(
        circuit,
        edge_source=unique[:, 0].astype(np.int32),
        edge_target=unique[:, 1].astype(np.int32),
        edge_kind=unique[:, 2].astype(circuit.edge_kind.dtype),
        edge_weight=summed(circuit.edge_weight),
        edge_influence=summed(circuit.edge_influence),
    )


def _as_group(
    merged: Circuit,
    explored: Circuit,
    drawn: Circuit,
    inside: Bool[np.ndarray, " node"],
    at: int,
    group: Supernode,
) -> Circuit:
    """The row ``at`` becomes the supernode. Its numbers are of all its edges that leave it."""
    whole_inside = _mask(explored, group.nodes)
    leaving = whole_inside[explored.edge_source] & ~whole_inside[explored.edge_target]
    weights = np.maximum(drawn.node_influence[inside].astype(np.float64), 1e-12)
    layers, positions = drawn.node_layer[inside], drawn.node_position[inside]
    changes: dict[str, tuple[Any, Any]] = {
        "node_layer": (at, round(float(np.average(layers, weights=weights)))),
        # A place of a real node: a mean of positions may be a token that nothing sits on.
        "node_position": (at, int(positions[np.argmax(weights)])),
        "node_head": (at, -1),
        "node_feature": (at, -1),
        "node_score": (at, explored.edge_weight[leaving].sum()),
        "node_influence": (at, explored.edge_influence[leaving].sum()),
        "node_bias": (at, explored.node_bias[whole_inside].sum()),
    }
    columns: dict[str, Any] = {}
    for name, (row, value) in changes.items():
        columns[name] = getattr(merged, name).copy()
        columns[name][row] = value
    texts = {"node_id": group_id(group.name), "node_kind": GROUP, "node_label": group.name}
    for name, text in texts.items():
        held = list(getattr(merged, name))
        held[at] = text
        columns[name] = tuple(held)
    return replace(merged, **columns)


def can_be_grouped(circuit: Circuit, nodes: Iterable[str]) -> tuple[str, ...]:
    """Those of some nodes that a supernode may hold: all but the metric."""
    kinds = dict(zip(circuit.node_id, circuit.node_kind, strict=True))
    return tuple(node for node in nodes if node in kinds and kinds[node] != OUTPUT)


def ungrouped(explored: Circuit, drawn: Circuit, marks: Marks) -> tuple[str, ...]:
    """The drawn nodes that are in no group yet, and could be."""
    held = {node for group in marks.supernodes for node in group.nodes}
    return can_be_grouped(explored, (node for node in drawn.node_id if node not in held))
