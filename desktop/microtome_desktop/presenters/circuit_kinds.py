"""How each kind of node and edge is drawn: one table each, for canvas, legend and card."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.records.circuit import (
    CHANNEL,
    DIMENSION,
    HEAD,
    IMAGE,
    INPUT,
    MLP,
    NEURON,
    OUTPUT,
    POSITION,
    TOKEN,
    UNIT_HEAD,
    EdgeKind,
)


@dataclass(frozen=True, slots=True)
class NodeStyle:
    """A node kind: its name in the legend, its glyph, and its place in a layer's band.

    ``symbol`` is a pyqtgraph symbol. ``lift`` runs from -0.5 (bottom of the band) to 0.5: heads
    lie below the MLP that reads them.
    """

    kind: str
    title: str
    symbol: str
    lift: float


@dataclass(frozen=True, slots=True)
class EdgeStyle:
    """An edge kind: its name, the one-letter mark, its dashes, and which way it swings.

    ``dashes`` counts line widths (empty: solid). -1 is left, 1 right: ``side`` is where it
    arrives, ``bow`` how it passes the nodes between when it stays in its column.
    """

    title: str
    mark: str
    dashes: tuple[float, ...]
    side: int = 0
    bow: int = 1


RISES, FALLS = "rises", "falls"
FALLS_EDGE = -2  # the kind of an edge whose weight falls, where a change is drawn
NODE_STYLES: dict[str, NodeStyle] = {
    style.kind: style
    for style in (
        NodeStyle(TOKEN, "token", "o", 0.0),
        NodeStyle(POSITION, "position", "t1", 0.0),
        NodeStyle(HEAD, "head", "s", -0.2),
        NodeStyle(MLP, "MLP", "d", 0.24),
        NodeStyle(INPUT, "input", "o", 0.0),
        NodeStyle(IMAGE, "image", "o", 0.0),
        NodeStyle(CHANNEL, "channel", "s", 0.0),
        NodeStyle(UNIT_HEAD, "head", "s", 0.0),
        NodeStyle(NEURON, "neuron", "d", 0.0),
        NodeStyle(DIMENSION, "dimension", "o", 0.0),
        NodeStyle(OUTPUT, "metric", "star", 0.0),
        NodeStyle("feature", "feature", "h", 0.05),
        NodeStyle("group", "group", "p", 0.0),
        # Where a change is drawn, in the place of a node's own kind.
        NodeStyle(RISES, "rises", "t1", 0.0),
        NodeStyle(FALLS, "falls", "t", 0.0),
    )
}
OTHER_NODE = NodeStyle("other", "other", "t", 0.0)

EDGE_STYLES: dict[int, EdgeStyle] = {
    EdgeKind.VALUE: EdgeStyle("value", "V", (), bow=-1),
    EdgeKind.QUERY: EdgeStyle("query", "Q", (0.6, 2.6), side=1),
    EdgeKind.KEY: EdgeStyle("key", "K", (4.5, 2.8), side=-1, bow=-1),
    EdgeKind.MLP: EdgeStyle("MLP input", "", (), bow=-1),
    EdgeKind.OUT: EdgeStyle("direct", "", ()),
    EdgeKind.FEATURE: EdgeStyle("feature", "", ()),
    FALLS_EDGE: EdgeStyle("falls", "", (4.0, 2.4)),
}
OTHER_EDGE = EdgeStyle("edge", "", ())


def node_style(kind: str) -> NodeStyle:
    """The style of a node kind; kinds of other tools share one."""
    return NODE_STYLES.get(kind, OTHER_NODE)


def edge_style(kind: int) -> EdgeStyle:
    """The style of an edge kind; kinds of other tools share one."""
    return EDGE_STYLES.get(kind, OTHER_EDGE)
