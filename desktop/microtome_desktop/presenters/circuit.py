"""From a circuit to what the canvas draws, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.jobs import Job
from microtome.records.circuit import HEAD, MLP, OUTPUT, UNITS, Circuit
from microtome.records.feature_names import fingerprint_at
from microtome.records.marks import Marks
from microtome_desktop.presenters.circuit_compact import lay_out_compact
from microtome_desktop.presenters.circuit_curves import Curves, curves
from microtome_desktop.presenters.circuit_layout import Layout, lay_out
from microtome_desktop.presenters.circuit_text import short_label
from microtome_desktop.presenters.circuit_view import Placing, View
from microtome_desktop.presenters.marking import marked, members
from microtome_desktop.presenters.unit_layout import lay_out_units
from microtome_desktop.state.units import unit_layers

# Beyond this many curves a picture shows nothing more.
MOST_EDGES = 200_000
_LARGE = 30_000  # edges
NO_MARKS = Marks()


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A pruned circuit with its places and curves; rows agree with the circuit's.

    ``texts`` stand beside the nodes; without columns they tell the token as well. ``changes`` is
    by how much edits of the model change each edge's weight, where that is known. Where circuits
    are compared, nodes have a hue in place of the colour of their kind, and notes tell of each;
    ``node_shapes`` are kinds whose glyphs they have in the place of their own.
    """

    circuit: Circuit
    layout: Layout
    curves: Curves
    texts: tuple[str, ...]
    changes: Float[np.ndarray, " edge"] | None = None
    node_hue: Int[np.ndarray, " node"] | None = None
    node_shapes: tuple[str, ...] | None = None
    node_notes: Callable[[int], str] | None = None
    edge_notes: Callable[[int], str] | None = None

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
    return marked(explored, view, marks)


def edge_names(circuit: Circuit) -> list[tuple[str, str, int]]:
    """How the selection names each edge: source id, target id, kind."""
    ids = circuit.node_id
    ends = zip(circuit.edge_source, circuit.edge_target, circuit.edge_kind, strict=True)
    return [(ids[source], ids[target], int(kind)) for source, target, kind in ends]


def draw(
    circuit: Circuit, width: float, height: float, placing: Placing = Placing.POSITION
) -> Drawing:
    """A circuit laid out for a canvas of this many pixels."""
    plain = lay_out_units if unit_layers(circuit) else lay_out
    place = lay_out_compact if placing is Placing.COMPACT else plain
    layout = place(circuit, width, height)
    bare = not len(layout.columns)
    texts = (
        short_label(circuit, node, with_token=bare, alone=True) for node in range(circuit.n_nodes)
    )
    return Drawing(circuit, layout, curves(circuit, layout), tuple(texts))


def is_large(explored: Circuit) -> bool:
    """Whether pruning and laying out take longer than a slider may wait."""
    return explored.n_edges > _LARGE or explored.n_nodes > _LARGE // 10


def drawn(
    explored: Circuit, view: View, marks: Marks, room: tuple[float, float], job: Job
) -> Drawing:
    """What the sliders ask for, of its edges as many as are drawn, with checkpoints on the way."""
    part = pruned(explored, view, marks)
    if part.n_edges > MOST_EDGES:
        strong = np.zeros(part.n_edges, bool)
        strong[np.argpartition(np.abs(part.edge_weight), -MOST_EDGES)[-MOST_EDGES:]] = True
        part = part.select(np.ones(part.n_nodes, bool), strong)
    job.check()
    return draw(part, *room, view.placing)


def selection_of(circuit: Circuit, node: int) -> dict[str, Any]:
    """The fields of the selection that a click on a node sets; of a feature its card as well."""
    kind = circuit.node_kind[node]
    layer = int(circuit.node_layer[node])
    position = int(circuit.node_position[node])
    print_ = fingerprint_at(circuit, node)
    card = {"feature": (print_, int(circuit.node_feature[node]))} if print_ else {}
    return {
        **card,
        "node": circuit.node_id[node],
        "position": position if position >= 0 else None,
        "layer": layer if layer >= 0 and kind != OUTPUT and kind not in UNITS else None,
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
    """Ids of heads, MLPs and units, also in supernodes: what an ablation can keep or cut."""
    held = drawn if explored is None else explored
    kinds = dict(zip(held.node_id, held.node_kind, strict=True))
    inner = {HEAD, MLP, *UNITS}
    return tuple(node for node in members(marks, drawn.node_id) if kinds.get(node) in inner)
