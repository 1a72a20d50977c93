"""The graph of a discovered circuit: layers upward, heads and MLP across, no positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.circuit import HEAD, MLP, Circuit, EdgeKind
from microtome.records.edges import Edges
from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.presenters.circuit_curves import BUNDLE_GAP, curves
from microtome_desktop.presenters.circuit_kinds import edge_style, node_style
from microtome_desktop.presenters.circuit_layout import Layout
from microtome_desktop.presenters.circuit_text import short_label, signed
from microtome_desktop.presenters.discovery_dial import Ranked

Hues = Callable[[Int[np.ndarray, " edge"]], Int[np.ndarray, " edge"]]  # of rows of the edges
MOST_DRAWN = 1_000  # edges: more show nothing more, and take longer than a turn of the dial
_MARGIN, _TOP, _BOTTOM, _END_ROWS = 14.0, 20.0, 4.0, 0.62


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """All nodes of a model laid out once; a circuit is some of them and the edges among them.

    Nodes stay where they are whatever the dial says.
    """

    ranked: Ranked
    circuit: Circuit  # of all nodes, without edges
    layout: Layout
    texts: tuple[str, ...]

    @classmethod
    def of(cls, ranked: Ranked, told: dict[str, object], width: float, height: float) -> Board:
        """The board of a discovered circuit for a canvas of this many pixels."""
        circuit = _nodes(ranked, told)
        texts = tuple(short_label(circuit, node) for node in range(circuit.n_nodes))
        return cls(ranked, circuit, _lay_out(circuit, ranked.edges, width, height), texts)

    def drawing(
        self,
        kept: Bool[np.ndarray, " edge"],
        hues: Hues | None = None,
    ) -> Drawing:
        """The kept edges, the strongest at most, and what they join.

        ``hues`` colours edges by what they belong to instead of by their signs.
        """
        ranked, whole, layout = self.ranked, self.circuit, self.layout
        rows = ranked.strongest(kept, MOST_DRAWN)
        links = ranked.edges.circuit_of(
            ranked.writer[rows], ranked.reader[rows], ranked.scores[rows], ranked.sums, {}
        )
        there = np.zeros(whole.n_nodes, dtype=np.bool_)
        there[links.edge_source] = there[links.edge_target] = True
        drawn = replace(whole, **{name: getattr(links, name) for name in _EDGE_COLUMNS})
        drawn = drawn.select(there, np.ones(len(rows), dtype=np.bool_))
        nodes = np.flatnonzero(there)
        held = replace(
            layout, x=layout.x[nodes], y=layout.y[nodes], diameter=layout.diameter[nodes]
        )
        largest = float(ranked.strengths.max(initial=0.0))
        lines = curves(drawn, held, apart=_in_their_bundle(drawn), largest=largest)
        if hues is not None:
            lines = replace(lines, hue=hues(rows))
        return Drawing(drawn, held, lines, tuple(self.texts[node] for node in nodes))


_EDGE_COLUMNS = ("edge_source", "edge_target", "edge_kind", "edge_weight", "edge_influence")


def _in_their_bundle(circuit: Circuit) -> Float[np.ndarray, " edge"]:
    """Shifts of edges as if queries, keys and values of each head were all there, and so at rest.

    Edges of other readers are alone.
    """
    kind = circuit.edge_kind.astype(float)
    return np.where(circuit.edge_kind <= EdgeKind.KEY, (kind - 1.0) * BUNDLE_GAP, 0.0)


def _nodes(ranked: Ranked, told: dict[str, object]) -> Circuit:
    """All nodes, named as everywhere in the window, as strong as their strongest edge."""
    none = np.zeros(0, dtype=np.int32)
    made = ranked.edges.circuit_of(none, none, np.zeros(0), ranked.sums, dict(told))
    labels = [
        f"L{layer}H{head}" if kind == HEAD else f"M{layer}" if kind == MLP else name
        for name, kind, layer, head in zip(
            made.node_id, made.node_kind, made.node_layer, made.node_head, strict=True
        )
    ]
    strongest = ranked.strengths
    largest = strongest.max(initial=0.0)
    influence = strongest / largest if largest > 0 else strongest
    return replace(made, node_label=tuple(labels), node_influence=influence.astype(np.float32))


def _lay_out(circuit: Circuit, edges: Edges, width: float, height: float) -> Layout:
    columns_held = edges.n_heads + 1
    step = max(width - 2 * _MARGIN, 1.0) / columns_held
    columns = _MARGIN + (np.arange(columns_held) + 0.5) * step
    shares = np.array([_END_ROWS, *[1.0] * edges.n_layers, _END_ROWS])
    row_heights = shares * max(height - _TOP - _BOTTOM, 1.0) / shares.sum()
    rows = _BOTTOM + np.cumsum(row_heights) - row_heights / 2
    row, x = _rows_and_x(circuit, edges, columns, width)
    lift = np.array([node_style(kind).lift for kind in circuit.node_kind])
    largest = float(np.clip(min(0.52 * step, 0.42 * row_heights[1]), 4.0, 19.0))
    strength = np.sqrt(np.clip(circuit.node_influence.astype(float), 0.0, 1.0))
    return Layout(
        width=width,
        height=height,
        columns=columns,
        column_widths=np.full(columns_held, step),
        tokens=(*(f"H{head}" for head in range(edges.n_heads)), "MLP"),
        rows=rows,
        row_heights=row_heights,
        row_names=("input", *(f"L{layer}" for layer in range(edges.n_layers)), "logits"),
        row_layers=(None, *range(edges.n_layers), None),
        x=x,
        y=rows[row] + lift * row_heights[row],
        diameter=0.42 * largest + 0.58 * largest * strength,
        shrink=1.0,
    )


def _rows_and_x(
    circuit: Circuit, edges: Edges, columns: Float[np.ndarray, " column"], width: float
) -> tuple[Int[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    row = circuit.node_layer + 1
    row[-1] = edges.n_layers + 1
    column = np.where(circuit.node_head >= 0, circuit.node_head, edges.n_heads)
    x = columns[column]
    x[[0, -1]] = width / 2
    return row.astype(np.int64), x


def node_tip(circuit: Circuit, node: int) -> str:
    """The tool tip of a component, plain text."""
    text = f"{circuit.node_label[node]}   sum of its out-edges {signed(circuit.node_score[node])}"
    reads = int((circuit.edge_target == node).sum())
    feeds = int((circuit.edge_source == node).sum())
    return f"{text}\n{reads} edges into it, {feeds} out of it at this size"


def edge_tip(circuit: Circuit, edge: int, change: float | None = None) -> str:  # noqa: ARG001
    """The tool tip of an edge, plain text; edits change no score."""
    source, target = circuit.edge_source[edge], circuit.edge_target[edge]
    score = signed(float(circuit.edge_weight[edge]))
    return (
        f"{circuit.node_label[source]} → {circuit.node_label[target]}\n"
        f"{edge_style(int(circuit.edge_kind[edge])).title}   score {score}"
    )
