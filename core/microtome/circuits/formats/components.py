"""Circuits of heads and MLPs under the names of EAP-IG and MIB: what edge files have in common.

Nodes are ``input``, ``a{layer}.h{head}``, ``m{layer}`` and ``logits``; an edge is ``a0.h1->m3``, or
``a0.h1->a2.h0<k>`` into a head's queries, keys or values. A node of one position has ``@3`` behind
its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from microtome.circuits.formats.rows import EdgeColumns, NodeRow, made_circuit, node_rows
from microtome.errors import GraphError
from microtome.records.circuit import (
    HEAD,
    INPUT,
    MLP,
    OUTPUT,
    POSITION,
    TOKEN,
    Circuit,
    EdgeKind,
)

LOGITS = "logits"
# Whether ``edge_influence`` is 1 for edges that a file has in its circuit and 0 for others.
MEMBERS = "members"
SIDES: Mapping[str, EdgeKind] = {"q": EdgeKind.QUERY, "k": EdgeKind.KEY, "v": EdgeKind.VALUE}
SIDE_OF: Mapping[int, str] = {int(kind): side for side, kind in SIDES.items()}
_NODE = re.compile(r"(?:(input)|(logits)|a(\d{1,6})\.h(\d{1,6})|m(\d{1,6}))(?:@(\d{1,9}))?")
_ANEW = "Export the graph anew from the tool that made it."
_MOST = 4_000_000  # edges of one model


def component(name: str, n_layers: int) -> NodeRow:
    """The node of a name. Raises GraphError for what is none."""
    found = _NODE.fullmatch(name)
    if not found:
        raise GraphError(
            f"The node {name[:60]!r} is unknown; input, a0.h1, m3 and logits are names of nodes.",
            _ANEW,
        )
    at = -1 if found[6] is None else int(found[6])
    if found[1]:
        return NodeRow(name, INPUT, -1, at, label="input")
    if found[2]:
        return NodeRow(name, OUTPUT, n_layers, at, label="logits")
    if found[3]:
        layer, head = int(found[3]), int(found[4])
        return NodeRow(name, HEAD, layer, at, head, label=f"L{layer}H{head}")
    return NodeRow(name, MLP, int(found[5]), at, label=f"M{found[5]}")


@dataclass(frozen=True)
class Shape:
    """The size of a model, and so which edges there are."""

    n_layers: int
    n_heads: int
    parallel: bool = False
    d_model: int = 0

    def __post_init__(self) -> None:
        edges = self.n_layers * self.n_layers * max(1, self.n_heads) ** 2
        if min(self.n_layers, self.n_heads) < 0 or self.n_layers < 1 or edges > 4 * _MOST:
            raise GraphError(
                f"The file is of a model of {self.n_layers} layers and {self.n_heads} heads.", _ANEW
            )

    @cached_property
    def writers(self) -> tuple[str, ...]:
        """Nodes that write: the input, then of each layer its heads and its MLP."""
        names = [INPUT]
        for layer in range(self.n_layers):
            names += [*(f"a{layer}.h{head}" for head in range(self.n_heads)), f"m{layer}"]
        return tuple(names)

    @cached_property
    def readers(self) -> tuple[tuple[str, EdgeKind, int], ...]:
        """Inputs in the files' order: node, kind of edge, and how many writers stand before it."""
        found = []
        for layer in range(self.n_layers):
            before = self.first(layer)
            for kind in SIDES.values():
                found += [(f"a{layer}.h{head}", kind, before) for head in range(self.n_heads)]
            seen = before if self.parallel else before + self.n_heads
            found.append((f"m{layer}", EdgeKind.MLP, seen))
        return (*found, (LOGITS, EdgeKind.OUT, self.first(self.n_layers)))

    def first(self, layer: int) -> int:
        """How many writers stand before a layer."""
        return 1 + layer * (self.n_heads + 1)

    def told(self) -> dict[str, Any]:
        """What metadata say of it."""
        held: dict[str, Any] = {
            "n_layers": self.n_layers, "n_heads": self.n_heads, "parallel": self.parallel,
        }  # fmt: skip
        return held | ({"d_model": self.d_model} if self.d_model else {})


def shape_of(circuit: Circuit) -> Shape:
    """The model's size, as the metadata or the nodes tell it."""
    told = circuit.metadata
    inner = np.isin(np.array(circuit.node_kind), (HEAD, MLP))
    layers = int(circuit.node_layer[inner].max(initial=-1)) + 1
    heads = int(circuit.node_head.max(initial=-1)) + 1
    return Shape(
        max(int(told.get("n_layers") or 0), layers, 1),
        max(int(told.get("n_heads") or 0), heads),
        bool(told.get("parallel", False)),
        int(told.get("d_model") or 0),
    )


@dataclass(frozen=True, slots=True)
class NamedEdge:
    """An edge by the names of its ends; ``member`` of the circuit or only scored."""

    source: str
    target: str
    kind: EdgeKind
    weight: float
    member: bool = True

    @property
    def name(self) -> str:
        """As edge files write it."""
        side = SIDE_OF.get(int(self.kind))
        return f"{self.source}->{self.target}" + (f"<{side}>" if side else "")


def edge_ends(name: str) -> tuple[str, str, EdgeKind]:
    """Source, target and kind of an edge's name. Raises GraphError for what is none."""
    source, arrow, target = name.partition("->")
    side = SIDES.get(target[-2:-1]) if target.endswith(">") and target[-3:-2] == "<" else None
    node = target[:-3] if side is not None else target
    plain = EdgeKind.OUT if node.startswith(LOGITS) else EdgeKind.MLP
    if (
        not arrow
        or (side is None and node.startswith("a"))
        or (side is not None and node[:1] != "a")
    ):
        raise GraphError(
            f"The edge {name[:80]!r} is unknown; input->m0 and a0.h1->a2.h0<k> are names of edges.",
            _ANEW,
        )
    return source, node, plain if side is None else side


def components_circuit(
    shape: Shape,
    edges: Sequence[NamedEdge],
    metadata: dict[str, Any],
    known: Mapping[str, NodeRow] | None = None,
    *,
    members: bool = True,
) -> Circuit:
    """The circuit of named edges. Nodes of the shape come first, in its order, then others.

    ``known`` are nodes of which the file says more; ``members`` is False for files that do not say
    which edges are in their circuit. Raises GraphError for unknown names.
    """
    known = known or {}
    named = {end for edge in edges for end in (edge.source, edge.target)} | set(known)
    order = [name for name in (*shape.writers, LOGITS) if name in named]
    placed = set(order)
    others = [component(name, shape.n_layers) for name in named - placed]
    others.sort(key=lambda row: (row.position, row.layer, row.head < 0, row.head, row.id))
    rows = [known.get(name) or component(name, shape.n_layers) for name in order]
    rows += [known.get(row.id, row) for row in others]
    place = {row.id: number for number, row in enumerate(rows)}
    columns = EdgeColumns(
        np.array([place[edge.source] for edge in edges], np.int32),
        np.array([place[edge.target] for edge in edges], np.int32),
        np.array([edge.kind for edge in edges], np.int8),
        np.array([edge.weight for edge in edges], np.float64),
        np.array([members and edge.member for edge in edges], np.float32),
    )
    if not np.isfinite(columns.weight).all():
        bad = edges[int(np.flatnonzero(~np.isfinite(columns.weight))[0])]
        raise GraphError(f"The edge {bad.name} has the score {bad.weight}.", _ANEW)
    told = {**shape.told(), "aggregated": True, **metadata}
    return made_circuit(rows, columns, told | ({MEMBERS: True} if members else {}))


def named_edges(circuit: Circuit, what: str) -> list[NamedEdge]:
    """The edges of a circuit of components by name, those of several positions summed.

    In a circuit that does not say which edges are its members, those are the ones that weigh
    anything. Raises GraphError for nodes that are no components.
    """
    names = [_name(row, what) for row in node_rows(circuit)]
    told = bool(circuit.metadata.get(MEMBERS))
    columns = (
        circuit.edge_source.tolist(), circuit.edge_target.tolist(), circuit.edge_kind.tolist(),
        circuit.edge_weight.tolist(), circuit.edge_influence.tolist(),
    )  # fmt: skip
    found: dict[tuple[str, str, EdgeKind], NamedEdge] = {}
    for source, target, kind, weight, influence in zip(*columns, strict=True):
        ends = names[source], names[target], EdgeKind(kind)
        total = weight + (found[ends].weight if ends in found else 0.0)
        found[ends] = NamedEdge(*ends, total, influence > 0 if told else total != 0)
    return list(found.values())


def why_no_components(circuit: Circuit, what: str) -> str:
    """Why a circuit is not one of heads and MLPs alone, empty when it is."""
    others = set(circuit.node_kind) - {INPUT, TOKEN, POSITION, HEAD, MLP, OUTPUT}
    features = circuit.node_feature[np.array(circuit.node_kind) == OUTPUT]
    if others:
        return f"{what} holds heads and MLPs alone; the circuit has nodes of kind {min(others)}."
    return f"{what} has one output, without a token." if (features >= 0).any() else ""


def _name(row: NodeRow, what: str) -> str:
    if row.kind in {INPUT, TOKEN, POSITION}:
        return INPUT
    if row.kind == OUTPUT and row.feature < 0:
        return LOGITS
    if row.kind == HEAD:
        return f"a{row.layer}.h{row.head}"
    if row.kind == MLP:
        return f"m{row.layer}"
    raise GraphError(
        f"{what} holds heads, MLPs, input and logits; the circuit has a {row.kind}, {row.id[:60]}.",
        "Write it as an attribution graph (.json) or as GraphML.",
    )


def turned(edges: Iterable[NamedEdge], factor: int) -> list[NamedEdge]:
    """Edges with their weights multiplied."""
    return [replace(edge, weight=edge.weight * factor) for edge in edges]
