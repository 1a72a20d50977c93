"""A circuit: nodes, weighted edges, and what produced them; the same in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.made import Made


class EdgeKind(IntEnum):
    """Through which input of its target an edge acts. The numbers are part of the file format."""

    VALUE = 0
    QUERY = 1
    KEY = 2
    MLP = 3
    OUT = 4
    FEATURE = 5


# Node kinds are text in the file; these are the ones that a component graph uses.
TOKEN, POSITION, HEAD, MLP, OUTPUT = "token", "position", "head", "mlp", "output"

# Those that graphs from files have besides: the input of all positions, and what replaces MLPs and
# attention in an attribution graph, with what is left of them.
INPUT, FEATURE, ERROR, BIAS, UNKNOWN = "input", "feature", "error", "bias", "unknown"
ATTENTION_FEATURE, ATTENTION_ERROR = "attention feature", "attention error"

# An image, and units of a model that sees, all places of each in one node; their heads are not
# those of a circuit by position, of which a pattern can be explained.
IMAGE = "image"
CHANNEL, NEURON, DIMENSION, UNIT_HEAD = "channel", "neuron", "dimension", "unit head"
UNITS = frozenset({CHANNEL, NEURON, DIMENSION, UNIT_HEAD})
UNIT_LAYERS = "unit_layers"  # in metadata: the names of their layers, which node_layer counts


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """Columns of nodes and edges; positive weights raise the metric.

    ``edge_source`` and ``edge_target`` are row numbers of nodes. -1 in ``node_layer``,
    ``node_position``, ``node_head`` or ``node_feature`` means "has none". ``node_score`` is the
    node's contribution to the metric (in a graph of features a feature's activation and a logit's
    value), ``node_influence`` its share (0 to 1) of what flows into it, or an output's
    probability, ``node_bias`` the part of its score that constants explain. ``edge_influence`` is
    the influence that passes through the edge. Of a unit of a model that sees ``node_feature`` is
    its number, and ``node_id`` reads as ``Unit`` writes it. ``metadata`` holds plain JSON values:
    method, metric name and value, cancellation, unexplored share, settings; its ``source`` keeps
    the unknown keys of a file that the circuit came from. ``made`` is the stamp of the model that
    it was computed on; None until it is part of a session.
    """

    node_id: tuple[str, ...]
    node_kind: tuple[str, ...]
    node_layer: Int[np.ndarray, " node"]
    node_position: Int[np.ndarray, " node"]
    node_head: Int[np.ndarray, " node"]
    node_feature: Int[np.ndarray, " node"]
    node_label: tuple[str, ...]
    node_score: Float[np.ndarray, " node"]
    node_influence: Float[np.ndarray, " node"]
    node_bias: Float[np.ndarray, " node"]
    edge_source: Int[np.ndarray, " edge"]
    edge_target: Int[np.ndarray, " edge"]
    edge_kind: Int[np.ndarray, " edge"]
    edge_weight: Float[np.ndarray, " edge"]
    edge_influence: Float[np.ndarray, " edge"]
    metadata: dict[str, Any] = field(default_factory=dict)
    made: Made | None = None

    @property
    def n_nodes(self) -> int:
        """How many nodes there are."""
        return len(self.node_id)

    @property
    def n_edges(self) -> int:
        """How many edges there are."""
        return len(self.edge_source)

    def row(self, node_id: str) -> int:
        """The row of a node. Raises KeyError when the circuit has no such node."""
        try:
            return self.node_id.index(node_id)
        except ValueError:
            raise KeyError(node_id) from None

    def incoming(self, node: int) -> Int[np.ndarray, " some"]:
        """Rows of the edges that end at a node, strongest first."""
        return self._strongest_first(np.flatnonzero(self.edge_target == node))

    def outgoing(self, node: int) -> Int[np.ndarray, " some"]:
        """Rows of the edges that start at a node, strongest first."""
        return self._strongest_first(np.flatnonzero(self.edge_source == node))

    def _strongest_first(self, edges: Int[np.ndarray, " some"]) -> Int[np.ndarray, " some"]:
        return edges[np.argsort(-np.abs(self.edge_weight[edges]), kind="stable")]

    def select(self, nodes: Bool[np.ndarray, " node"], edges: Bool[np.ndarray, " edge"]) -> Circuit:
        """The circuit of some nodes and some of the edges among them, rows renumbered."""
        kept = edges & nodes[self.edge_source] & nodes[self.edge_target]
        new_row = np.cumsum(nodes) - 1
        rows = np.flatnonzero(nodes)
        texts: dict[str, Any] = {
            name: tuple(getattr(self, name)[row] for row in rows) for name in _TEXT_COLUMNS
        }
        numbers: dict[str, Any] = {name: getattr(self, name)[nodes] for name in _NODE_COLUMNS}
        links: dict[str, Any] = {name: getattr(self, name)[kept] for name in _EDGE_COLUMNS}
        links["edge_source"] = new_row[links["edge_source"]].astype(np.int32)
        links["edge_target"] = new_row[links["edge_target"]].astype(np.int32)
        return replace(self, **texts, **numbers, **links)


_TEXT_COLUMNS = ("node_id", "node_kind", "node_label")
_NODE_COLUMNS = (
    "node_layer", "node_position", "node_head", "node_feature",
    "node_score", "node_influence", "node_bias",
)  # fmt: skip
_EDGE_COLUMNS = ("edge_source", "edge_target", "edge_kind", "edge_weight", "edge_influence")


def component_id(kind: str, layer: int = -1, position: int = -1, head: int = -1) -> str:
    """The id of a component graph's node: ``T@3``, ``P@3``, ``L2H1@7``, ``M2@7``, ``OUT``."""
    if kind == HEAD:
        return f"L{layer}H{head}@{position}"
    prefix = {TOKEN: "T", POSITION: "P", MLP: f"M{layer}"}
    return "OUT" if kind == OUTPUT else f"{prefix[kind]}@{position}"
