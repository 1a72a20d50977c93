"""A first drawing of a hypothesis, from nodes that are selected in the circuit of a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from microtome.records.circuit import HEAD, MLP, OUTPUT, POSITION, TOKEN, Circuit, EdgeKind
from microtome.records.edges import INPUT, LOGITS
from microtome.records.hypothesis import Arrow, Box, Hypothesis

_READERS: Mapping[int, str] = {
    EdgeKind.QUERY: "q", EdgeKind.KEY: "k", EdgeKind.VALUE: "v", EdgeKind.MLP: "mlp",
    EdgeKind.OUT: LOGITS,
}  # fmt: skip
_FIRST = "token(at)"  # what a box claims until somebody says better


def from_nodes(circuit: Circuit, nodes: Sequence[str], title: str) -> Hypothesis:
    """A box for each component among the nodes, and the circuit's arrows between them.

    Positions fall together, claims are still to be written. Token and position embeddings are both
    the input: where both would be read by the same reader, the token is. What feeds the metric
    directly gets an arrow to the logits.
    """
    rows = [circuit.row(name) for name in nodes if name in circuit.node_id]
    boxes = {row: box for row in rows if (box := _box(circuit, row)) is not None}
    arrows: dict[tuple[str, str, str], Arrow] = {}
    for edge in range(circuit.n_edges):
        source, target = int(circuit.edge_source[edge]), int(circuit.edge_target[edge])
        reader = _READERS.get(int(circuit.edge_kind[edge]))
        ends = circuit.node_kind[target] == OUTPUT
        if source not in boxes or reader is None or not (ends or target in boxes):
            continue
        name = LOGITS if ends else boxes[target].name
        arrow = Arrow(boxes[source].name, name, reader)
        brings = ",".join(boxes[source].nodes)
        held = arrows.setdefault((brings, name, reader), arrow)
        if held.source != "token" and arrow.source == "token":
            arrows[brings, name, reader] = arrow
    named = {box.name: box for box in boxes.values()}
    return Hypothesis(tuple(named.values()), tuple(arrows.values()), title)


def _box(circuit: Circuit, row: int) -> Box | None:
    kind, layer = circuit.node_kind[row], int(circuit.node_layer[row])
    if kind in (TOKEN, INPUT):
        return Box("token", (INPUT,), _FIRST)
    if kind == POSITION:
        return Box("where", (INPUT,), "at")
    if kind == HEAD:
        node = f"a{layer}.h{int(circuit.node_head[row])}"
        return Box(node, (node,), _FIRST)
    return Box(f"m{layer}", (f"m{layer}",), _FIRST) if kind == MLP else None
