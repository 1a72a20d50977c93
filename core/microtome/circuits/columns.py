"""From what a sweep found to the columns of a circuit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from microtome.circuits.sources import Layout
from microtome.circuits.sweep import OUT_ROW, Explored
from microtome.records.circuit import HEAD, OUTPUT, POSITION, TOKEN, Circuit, component_id


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The parts that a circuit is assembled from, still as tensors."""

    explored: Explored
    scores: Tensor  # [component, position]
    bias: Tensor  # [component, position]
    layout: Layout
    output_score: float
    output_bias: float


@dataclass(frozen=True, slots=True)
class NodeTexts:
    """What node labels are made of."""

    tokens: tuple[str, ...]
    metric: str
    position: int  # of the metric


def as_circuit(columns: Columns, texts: NodeTexts) -> Circuit:
    """All embeddings, every node that an edge touches, and the metric as the last row."""
    explored, layout = columns.explored, columns.layout
    n_positions = columns.scores.shape[1]
    source, target = _numpy(explored.source), _numpy(explored.target)
    touched = np.concatenate([source, target[target != OUT_ROW]])
    nodes = np.union1d(np.arange(layout.n_embeddings * n_positions), touched)
    row_of = np.full(layout.n_components * n_positions + 1, -1, np.int32)
    row_of[nodes] = np.arange(len(nodes))
    row_of[OUT_ROW] = len(nodes)  # -1 is the last entry
    return Circuit(
        **_node_columns(columns, nodes, texts),
        edge_source=row_of[source],
        edge_target=row_of[target],
        edge_kind=_numpy(explored.kind).astype(np.int8),
        edge_weight=_numpy(explored.weight).astype(np.float32),
        edge_influence=_numpy(explored.edge_influence).astype(np.float32),
    )


def _node_columns(columns: Columns, nodes: NDArray[np.int64], texts: NodeTexts) -> dict[str, Any]:
    layout = columns.layout
    component, position = np.divmod(nodes, columns.scores.shape[1])
    parts = [layout.component(row) for row in range(layout.n_components)]
    kinds, layers, heads = (np.array(part) for part in zip(*parts, strict=True))
    kind = [str(name) for name in kinds[component]]
    layer, head = layers[component], heads[component]
    rows = list(zip(kind, layer.tolist(), position.tolist(), head.tolist(), strict=True))

    def numbers(tensor: Tensor, last: float) -> NDArray[np.float32]:
        return np.append(_numpy(tensor).reshape(-1)[nodes], last).astype(np.float32)

    return {
        "node_id": (*(component_id(*row) for row in rows), component_id(OUTPUT)),
        "node_kind": (*kind, OUTPUT),
        "node_layer": np.append(layer, layout.n_layers).astype(np.int32),
        "node_position": np.append(position, texts.position).astype(np.int32),
        "node_head": np.append(head, -1).astype(np.int32),
        "node_feature": np.full(len(nodes) + 1, -1, np.int32),
        "node_label": (*(_label(*row, texts) for row in rows), texts.metric),
        "node_score": numbers(columns.scores, columns.output_score),
        "node_influence": numbers(columns.explored.influence, 1.0),
        "node_bias": numbers(columns.bias, columns.output_bias),
    }


def _label(kind: str, layer: int, position: int, head: int, texts: NodeTexts) -> str:
    if kind == TOKEN:
        return texts.tokens[position].strip() or repr(texts.tokens[position])
    if kind == POSITION:
        return f"pos {position}"
    return f"L{layer}H{head}" if kind == HEAD else f"M{layer}"


def _numpy(tensor: Tensor) -> NDArray[Any]:
    return tensor.cpu().numpy()
