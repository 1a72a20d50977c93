"""The ``.pt`` of EAP-IG: scores of all edges as one matrix [writer, reader]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.circuits.formats.components import (
    LOGITS,
    NamedEdge,
    component,
    components_circuit,
    turned,
)
from microtome.circuits.formats.documents import Container, Document
from microtome.circuits.formats.eap import matrices, shape_of_config
from microtome.circuits.formats.reading import Reading
from microtome.circuits.formats.rows import NodeRow, node_rows
from microtome.circuits.formats.torch_write import saving_torch
from microtome.errors import GraphError
from microtome.jobs import Job
from microtome.records.circuit import Circuit, EdgeKind

NAME = "eap-pt"
_KEYS = ("cfg", "src_nodes", "dst_nodes", "edges_scores", "edges_in_graph")
_NEURONS = ("neurons_in_graph", "neurons_scores")
_ANEW = "Export the graph anew from the tool that made it."


def fits(document: Document) -> bool:
    """Whether a document is such a file."""
    return document.container is Container.PICKLE and document.holds(*_KEYS)


def read(document: Document, reading: Reading) -> Circuit:
    """The circuit of the matrices. Raises GraphError for shapes that do not fit the model."""
    held = document.value
    shape = shape_of_config(held["cfg"])
    size = len(shape.writers), len(shape.readers)
    scores, inside = (_matrix(held, key, size) for key in ("edges_scores", "edges_in_graph"))
    edges = [
        NamedEdge(shape.writers[row], name, kind, float(scores[row, at]), bool(inside[row, at]))
        for at, (name, kind, before) in enumerate(shape.readers)
        for row in range(before)
    ]
    nodes = [reading.turned_row(row) for row in _nodes(held, shape.writers, shape.n_layers)]
    neurons = {key: np.asarray(held[key]).tolist() for key in _NEURONS if held.get(key) is not None}
    source = {
        "format": NAME, "cfg": held["cfg"], "nodes_scores": held.get("nodes_scores") is not None,
        **neurons,
    }  # fmt: skip
    metadata = {"method": "EAP scores", **reading.told(NAME), "source": source}
    return components_circuit(
        shape, turned(edges, reading.factor), metadata, {row.id: row for row in nodes}
    )


def _matrix(held: dict[str, Any], key: str, size: tuple[int, int]) -> NDArray[Any]:
    found = held[key]
    if not isinstance(found, np.ndarray) or found.shape != size:
        shape = getattr(found, "shape", type(found).__name__)
        raise GraphError(f"{key} has the shape {shape}, but {size} was expected.", _ANEW)
    return found


def _nodes(held: dict[str, Any], writers: tuple[str, ...], n_layers: int) -> list[NodeRow]:
    inside = _column(held, "nodes_in_graph", len(writers), True)
    scores = _column(held, "nodes_scores", len(writers), 0.0)
    rows = [component(name, n_layers) for name in writers]
    return [
        NodeRow(
            row.id, row.kind, row.layer, -1, row.head, -1, row.label,
            float(scores[at]), float(bool(inside[at])),
        )
        for at, row in enumerate(rows)
    ]  # fmt: skip


def _column(held: dict[str, Any], key: str, count: int, usual: float) -> NDArray[Any]:
    """One number for each writer; a file may count the logits too."""
    found = held.get(key)
    if found is None:
        return np.full(count, usual)
    if not isinstance(found, np.ndarray) or found.ndim != 1 or len(found) not in (count, count + 1):
        raise GraphError(f"{key} has not one number for each of the {count} nodes.", _ANEW)
    if not np.isfinite(found).all():
        raise GraphError(f"{key} holds numbers that are not finite.", _ANEW)
    return found[:count]


def write(circuit: Circuit, path: Path, job: Job) -> None:
    """Write the matrices. Raises GraphError for nodes that are no components."""
    job.check()
    held = circuit.metadata.get("source")
    source = held if isinstance(held, dict) and held.get("format") == NAME else {}
    shape, scores, inside = matrices(circuit)
    rows = {row.id: row for row in node_rows(circuit)}
    told = [rows.get(name) for name in shape.writers]
    touched = inside.any(1)
    made = {
        "n_layers": shape.n_layers, "n_heads": shape.n_heads,
        "parallel_attn_mlp": shape.parallel, "d_model": shape.d_model,
    }  # fmt: skip
    with saving_torch(path) as file:
        file.update(
            {
                "cfg": source.get("cfg", made),
                "src_nodes": list(shape.writers),
                "dst_nodes": [_reader(name, kind) for name, kind, _ in shape.readers],
                "edges_scores": scores.astype(np.float32),
                "edges_in_graph": inside,
                "nodes_in_graph": np.array([row is not None and row.influence > 0 for row in told])
                if source
                else touched,
            }
        )
        if source.get("nodes_scores"):
            file["nodes_scores"] = np.array([row.score if row else 0 for row in told], np.float32)
        file.update({key: np.array(source[key]) for key in _NEURONS if key in source})


def _reader(name: str, kind: EdgeKind) -> str:
    return name if name == LOGITS else NamedEdge("", name, kind, 0.0).name.removeprefix("->")
