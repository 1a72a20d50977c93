"""Scores and circuits of EAP-IG and MIB: JSON, and the matrices of their ``.pt``.

Source: ``src/eap/graph.py`` of EAP-IG. Scores there are of a loss by custom, so that positive
means that the edge matters, which is Microtome's sign; a file does not say it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from microtome.circuits.formats.components import (
    LOGITS,
    NamedEdge,
    Shape,
    component,
    components_circuit,
    edge_ends,
    named_edges,
    shape_of,
    turned,
)
from microtome.circuits.formats.documents import Container, Document
from microtome.circuits.formats.reading import Reading, sign_of_file
from microtome.circuits.formats.rows import NodeRow, node_rows
from microtome.errors import GraphError
from microtome.jobs import Job
from microtome.records.circuit import (
    INPUT,
    Circuit,
)

NAME = "eap"
_ANEW = "Export the graph anew from the tool that made it."


def fits(document: Document) -> bool:
    """Whether a document is such JSON."""
    return document.container is Container.JSON and document.holds("cfg", "nodes", "edges")


def read(document: Document, reading: Reading) -> Circuit:
    """The circuit of a JSON file. Raises GraphError for what is not as published."""
    held = document.value
    shape = shape_of_config(held["cfg"])
    nodes, edges = held["nodes"], held["edges"]
    if not isinstance(nodes, dict) or not isinstance(edges, dict):
        raise GraphError("The nodes and edges of the file are no objects.", _ANEW)
    known = {name: reading.turned_row(_node(name, node, shape)) for name, node in nodes.items()}
    found = [_edge(name, edge) for name, edge in edges.items()]
    source = {
        "format": NAME,
        "cfg": held["cfg"],
        "top": {key: value for key, value in held.items() if key not in {"cfg", "nodes", "edges"}},
        "nodes": {name: rest for name, node in nodes.items() if (rest := _kept(name, node, shape))},
        "edges": {name: rest for name, edge in edges.items() if (rest := _rest(edge, _EDGE))},
        "scored": [name for name, node in nodes.items() if "score" in node],
    }
    metadata = {"method": "EAP scores", **reading.told(NAME), "source": source}
    return components_circuit(shape, turned(found, reading.factor), metadata, known)


_SIZES = ("n_layers", "n_heads")
_NODE, _EDGE = frozenset({"in_graph", "score"}), frozenset({"in_graph", "score"})


def _rest(held: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in held.items() if key not in known}


def shape_of_config(cfg: Any) -> Shape:
    """The model's size. Raises GraphError where a file does not tell it."""
    if not isinstance(cfg, dict) or not all(type(cfg.get(key)) is int for key in _SIZES):
        raise GraphError(
            f"The file's cfg is {str(cfg)[:80]}, but n_layers and n_heads were expected.", _ANEW
        )
    width = cfg.get("d_model")
    parallel = bool(cfg.get("parallel_attn_mlp", False))
    return Shape(
        cfg["n_layers"], cfg["n_heads"], parallel, width if type(width) is int and width > 0 else 0
    )


def _node(name: str, node: Any, shape: Shape) -> NodeRow:
    row = component(name, shape.n_layers)
    if not isinstance(node, dict) or type(node.get("in_graph")) is not bool:
        raise GraphError(f"The node {name} is {str(node)[:60]}; in_graph was expected.", _ANEW)
    score = node.get("score", 0.0)
    if type(score) not in (int, float) or not math.isfinite(score):
        raise GraphError(f"The node {name} has the score {str(score)[:30]}.", _ANEW)
    _expect_inside(row, shape)
    fields = {"score": float(score), "influence": float(node["in_graph"])}
    return NodeRow(row.id, row.kind, row.layer, row.position, row.head, -1, row.label, **fields)


def _expect_inside(row: NodeRow, shape: Shape) -> None:
    if (
        row.layer > shape.n_layers
        or row.head >= shape.n_heads
        or (row.layer == shape.n_layers and row.id != LOGITS)
    ):
        raise GraphError(
            f"The node {row.id} lies outside of a model of {shape.n_layers} layers and "
            f"{shape.n_heads} heads.",
            _ANEW,
        )


def _edge(name: str, edge: Any) -> NamedEdge:
    source, target, kind = edge_ends(name)
    good = isinstance(edge, dict) and type(edge.get("in_graph")) is bool
    if not good or type(edge.get("score")) not in (int, float):
        raise GraphError(
            f"The edge {name} is {str(edge)[:60]}; score and in_graph were expected.", _ANEW
        )
    return NamedEdge(source, target, kind, float(edge["score"]), edge["in_graph"])


def _kept(name: str, node: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Neurons and unknown keys; of a head whose file lists all heads of its layer, its own row."""
    rest = _rest(node, _NODE)
    head = component(name, shape.n_layers).head
    for key in ("neurons", "neurons_scores"):
        listed = rest.get(key)
        if head >= 0 and isinstance(listed, list) and listed and isinstance(listed[0], list):
            if len(listed) != shape.n_heads:
                raise GraphError(f"{key} of {name} has {len(listed)} rows.", _ANEW)
            rest[key] = {"row": listed[head]}
    return rest


def write(circuit: Circuit, path: Path, job: Job) -> None:
    """All nodes and edges of the model: those that the circuit lacks score 0 and are not in it."""
    shape = shape_of(circuit)
    held = circuit.metadata.get("source")
    source = held if isinstance(held, dict) and held.get("format") == NAME else {}
    edges = named_edges(circuit, "An EAP file")
    own = source.get("edges", {})
    factor = sign_of_file(circuit.metadata)
    written: dict[str, Any] = (
        {} if source else {name: {"score": 0.0, "in_graph": False} for name in all_edges(shape)}
    )
    for edge in edges:
        job.check()
        written[edge.name] = {
            "score": edge.weight * factor, "in_graph": bool(edge.member), **own.get(edge.name, {}),
        }  # fmt: skip
    made = {
        "n_layers": shape.n_layers, "n_heads": shape.n_heads,
        "parallel_attn_mlp": shape.parallel, "d_model": shape.d_model,
    }  # fmt: skip
    value = {
        "cfg": source.get("cfg", made),
        "nodes": _nodes(circuit, shape, source, edges),
        "edges": written,
        **source.get("top", {}),
    }
    path.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")


def all_edges(shape: Shape) -> list[str]:
    """Names of all edges of a model."""
    return [
        NamedEdge(source, target, kind, 0.0).name
        for target, kind, before in shape.readers
        for source in shape.writers[:before]
    ]


def _nodes(
    circuit: Circuit, shape: Shape, source: dict[str, Any], edges: list[NamedEdge]
) -> dict[str, Any]:
    if source:
        return _nodes_as_read(circuit, source)
    touched = {end for edge in edges if edge.member for end in (edge.source, edge.target)}
    inside = touched | {INPUT, LOGITS}
    return {name: {"in_graph": name in inside} for name in (*shape.writers, LOGITS)}


def _nodes_as_read(circuit: Circuit, source: dict[str, Any]) -> dict[str, Any]:
    rows, kept = {row.id: row for row in node_rows(circuit)}, source.get("nodes", {})
    scored, factor = set(source.get("scored", ())), sign_of_file(circuit.metadata)
    found = {}
    for name, row in rows.items():
        score = {"score": row.score * factor} if name in scored else {}
        rest = {key: _whole(kept, row, key, value) for key, value in kept.get(name, {}).items()}
        found[name] = {"in_graph": row.influence > 0, **score, **rest}
    return found


def _whole(kept: dict[str, Any], row: NodeRow, key: str, value: Any) -> Any:
    """A list of all heads of the layer again, where the file had one."""
    if not (isinstance(value, dict) and list(value) == ["row"]):
        return value
    prefix = row.id.partition(".")[0]
    heads = {
        component(name, 0).head: rest[key]["row"]
        for name, rest in kept.items()
        if name.startswith(f"{prefix}.") and isinstance(rest.get(key), dict)
    }
    width = len(value["row"])
    return [heads.get(head, [0] * width) for head in range(max(heads) + 1)]


def matrices(circuit: Circuit) -> tuple[Shape, np.ndarray, np.ndarray]:
    """Scores and membership of all edges [writer, reader]."""
    shape = shape_of(circuit)
    writer = {name: row for row, name in enumerate(shape.writers)}
    reader = {(name, kind): row for row, (name, kind, _) in enumerate(shape.readers)}
    scores = np.zeros((len(writer), len(reader)))
    inside = np.zeros(scores.shape, np.bool_)
    for edge in named_edges(circuit, "An EAP file"):
        try:
            place = writer[edge.source], reader[edge.target, edge.kind]
        except KeyError:
            raise GraphError(
                f"The edge {edge.name} is none of a model of {shape.n_layers} layers and "
                f"{shape.n_heads} heads.",
                "Write it as JSON or GraphML.",
            ) from None
        scores[place], inside[place] = edge.weight, edge.member
    return shape, scores * sign_of_file(circuit.metadata), inside
