"""From a circuit to what the canvas draws, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from microtome.records.circuit import HEAD, MLP, OUTPUT, Circuit
from microtome.records.marks import Marks
from microtome_desktop.presenters.circuit_compact import lay_out_compact
from microtome_desktop.presenters.circuit_curves import Curves, curves
from microtome_desktop.presenters.circuit_layout import Layout, lay_out
from microtome_desktop.presenters.marking import marked, members

NODES = (10, 150)  # ends of the slider
DEFAULT_NODES, DEFAULT_EDGE_SHARE = 40, 0.8
# Beyond this many curves a picture shows nothing more, and a repaint takes ten seconds.
MOST_EDGES = 50_000
NO_MARKS = Marks()


class Placing(StrEnum):
    """How the nodes are laid out."""

    POSITION = "by position"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class View:
    """How much of a circuit is wanted: the two sliders; and how it is laid out."""

    nodes: int = DEFAULT_NODES
    edge_share: float = DEFAULT_EDGE_SHARE
    placing: Placing = Placing.POSITION


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A pruned circuit with its places and curves; rows agree with the circuit's.

    ``changes`` is by how much edits of the model change each edge's weight, where that is known.
    """

    circuit: Circuit
    layout: Layout
    curves: Curves
    changes: Float[np.ndarray, " edge"] | None = None

    def change(self, edge: int) -> float | None:
        """The change of one edge's weight, None where it is not known."""
        change = np.nan if self.changes is None else float(self.changes[edge])
        return None if np.isnan(change) else change

    @property
    def n_edges(self) -> int:
        """How many edges are really drawn, the strongest."""
        return min(self.circuit.n_edges, MOST_EDGES)


def pruned(explored: Circuit, view: View, marks: Marks = NO_MARKS) -> Circuit:
    """The part of a circuit that the sliders ask for, as the user has marked it."""
    return marked(explored, view.nodes, view.edge_share, marks)


def edge_names(circuit: Circuit) -> list[tuple[str, str, int]]:
    """How the selection names each edge: source id, target id, kind."""
    ids = circuit.node_id
    ends = zip(circuit.edge_source, circuit.edge_target, circuit.edge_kind, strict=True)
    return [(ids[source], ids[target], int(kind)) for source, target, kind in ends]


def draw(
    circuit: Circuit, width: float, height: float, placing: Placing = Placing.POSITION
) -> Drawing:
    """A circuit laid out for a canvas of this many pixels."""
    place = lay_out_compact if placing is Placing.COMPACT else lay_out
    layout = place(circuit, width, height)
    return Drawing(circuit, layout, curves(circuit, layout))


def selection_of(circuit: Circuit, node: int) -> dict[str, str | int | None]:
    """The fields of the selection that a click on a node sets."""
    kind = circuit.node_kind[node]
    layer = int(circuit.node_layer[node])
    position = int(circuit.node_position[node])
    return {
        "node": circuit.node_id[node],
        "position": position if position >= 0 else None,
        "layer": layer if layer >= 0 and kind != OUTPUT else None,
        "head": int(circuit.node_head[node]) if kind == HEAD else None,
    }


def kin(circuit: Circuit, layer: int | None, head: int | None) -> tuple[int, ...]:
    """The nodes that are one component at any position: head ``head`` of a layer."""
    if layer is None or head is None:
        return ()
    same = (circuit.node_layer == layer) & (circuit.node_head == head)
    return tuple(int(row) for row in np.flatnonzero(same))


def inner_nodes(
    drawn: Circuit, explored: Circuit | None = None, marks: Marks = NO_MARKS
) -> tuple[str, ...]:
    """Ids of the heads and MLPs, also those in supernodes: what an ablation can keep or cut."""
    held = drawn if explored is None else explored
    kinds = dict(zip(held.node_id, held.node_kind, strict=True))
    return tuple(node for node in members(marks, drawn.node_id) if kinds.get(node) in {HEAD, MLP})
