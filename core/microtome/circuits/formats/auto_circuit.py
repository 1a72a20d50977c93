"""Scores of auto-circuit: of each module that reads, a tensor [(position,) (head,) writer].

Positive = the edge matters, when the loss falls with the answer, as that tool has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.circuits.formats.components import (
    LOGITS,
    NamedEdge,
    Shape,
    components_circuit,
    named_edges,
    shape_of,
    turned,
)
from microtome.circuits.formats.documents import Container, Document
from microtome.circuits.formats.reading import Reading, sign_of_file
from microtome.circuits.formats.torch_write import saving_torch
from microtome.errors import GraphError
from microtome.jobs import Job
from microtome.records.circuit import Circuit, EdgeKind

NAME = "auto-circuit"
_MODULE = re.compile(r"blocks\.(\d{1,6})\.hook_(q_input|k_input|v_input|attn_in|mlp_in|resid_post)")
_ANEW = "Export the scores anew from auto-circuit."


@dataclass(frozen=True, slots=True)
class Reader:
    """A hook of auto-circuit: which edges end there, and whether each head has its own."""

    hook: str
    kind: EdgeKind
    by_head: bool = True


_READERS: Mapping[str, Reader] = {
    reader.hook: reader
    for reader in (
        Reader("q_input", EdgeKind.QUERY),
        Reader("k_input", EdgeKind.KEY),
        Reader("v_input", EdgeKind.VALUE),
        Reader("attn_in", EdgeKind.VALUE),  # not split: the note says so
        Reader("mlp_in", EdgeKind.MLP, by_head=False),
        Reader("resid_post", EdgeKind.OUT, by_head=False),
    )
}
_HOOK_OF = {EdgeKind.QUERY: "q_input", EdgeKind.KEY: "k_input", EdgeKind.VALUE: "v_input"}
_UNSPLIT = "Edges into heads are not split into queries, keys and values; they stand as values."


def fits(document: Document) -> bool:
    """Whether a document is a dict of such tensors."""
    held = document.value
    if document.container is not Container.PICKLE or not isinstance(held, dict) or not held:
        return False
    return all(
        isinstance(key, str) and _MODULE.fullmatch(key) and isinstance(value, np.ndarray)
        for key, value in held.items()
    )


def read(document: Document, reading: Reading) -> Circuit:
    """The circuit of the scores. Raises GraphError for shapes that fit no model."""
    held = document.value
    shape, by_position = _shape(held)
    edges: list[NamedEdge] = []
    for name, found in held.items():
        layer, reader = _module(name)
        scores = found.astype(np.float64)
        for at in range(len(scores)) if by_position else (-1,):
            part = scores[at] if by_position else scores
            edges += _edges(shape, layer, reader, part, at)
    unsplit = any(name.endswith("attn_in") for name in held)
    metadata = {
        "method": "auto-circuit scores",
        "aggregated": not by_position,
        "notes": [_UNSPLIT] if unsplit else [],
        **reading.told(NAME),
        "source": {
            "format": NAME, "unsplit": unsplit, "by_position": by_position, "modules": list(held),
        },
    }  # fmt: skip
    return components_circuit(shape, turned(edges, reading.factor), metadata, members=False)


def _module(name: str) -> tuple[int, Reader]:
    found = _MODULE.fullmatch(name)
    if not found:
        raise GraphError(f"The module {name[:60]} is unknown.", _ANEW)
    return int(found[1]), _READERS[found[2]]


def _shape(held: dict[str, NDArray[Any]]) -> tuple[Shape, bool]:
    """The model's size and whether scores are by position, from the tensors' shapes."""
    modules = [(*_module(name), scores) for name, scores in held.items()]
    n_layers = max(layer for layer, _, _ in modules) + 1
    extra = {scores.ndim - (2 if reader.by_head else 1) for _, reader, scores in modules}
    if extra not in ({0}, {1}):
        raise GraphError(f"Scores have {sorted(extra)} axes before head and writer.", _ANEW)
    heads = [scores.shape[-2] for _, reader, scores in modules if reader.by_head]
    n_heads = max(heads, default=0) or _heads_by_count(modules, n_layers)
    shape = Shape(n_layers, n_heads)
    narrow = [
        scores.shape[-1] == shape.first(layer)
        for layer, reader, scores in modules
        if reader.kind is EdgeKind.MLP
    ]
    shape = Shape(n_layers, n_heads, parallel=bool(narrow) and all(narrow) and n_heads > 0)
    for (layer, reader, scores), name in zip(modules, held, strict=True):
        wanted = (shape.n_heads,) if reader.by_head else ()
        wanted = (*wanted, _before(shape, layer, reader))
        if scores.shape[-len(wanted) :] != wanted:
            raise GraphError(
                f"The scores of {name} have the shape {scores.shape}, but {wanted} was expected at "
                "their end.",
                _ANEW,
            )
    if len({scores.shape[0] for _, _, scores in modules}) > 1 and extra == {1}:
        raise GraphError("The modules have different numbers of positions.", _ANEW)
    return shape, extra == {1}


def _heads_by_count(modules: list[tuple[int, Reader, NDArray[Any]]], n_layers: int) -> int:
    """Heads of a file without modules of heads: the output reads 1 + layers × (heads + 1)."""
    ends = [scores.shape[-1] for _, reader, scores in modules if reader.kind is EdgeKind.OUT]
    return max(0, (ends[0] - 1) // n_layers - 1) if ends else 0


def _before(shape: Shape, layer: int, reader: Reader) -> int:
    if reader.kind is EdgeKind.OUT:
        return shape.first(layer + 1)
    own = 0 if reader.by_head or shape.parallel else shape.n_heads
    return shape.first(layer) + own


def _edges(
    shape: Shape, layer: int, reader: Reader, scores: NDArray[Any], at: int
) -> list[NamedEdge]:
    place = "" if at < 0 else f"@{at}"
    rows = scores if reader.by_head else scores[None]
    return [
        NamedEdge(f"{writer}{place}", f"{_target(layer, reader, head)}{place}", reader.kind, weight)
        for head, row in enumerate(rows.tolist())
        for writer, weight in zip(shape.writers, row, strict=False)
    ]


def _target(layer: int, reader: Reader, head: int) -> str:
    if reader.kind is EdgeKind.OUT:
        return LOGITS
    return f"a{layer}.h{head}" if reader.by_head else f"m{layer}"


def write(circuit: Circuit, path: Path, job: Job) -> None:
    """Write one tensor for each module. Raises GraphError for nodes that are no components."""
    job.check()
    held = circuit.metadata.get("source")
    source = held if isinstance(held, dict) and held.get("format") == NAME else {}
    if source.get("by_position") or (not source and circuit.metadata.get("by_position")):
        parts = _by_position(circuit)
        each = [_tensors(shape_of(circuit), circuit.select(*part), source) for part in parts]
        tensors = {name: np.stack([one[name] for one in each]) for name in each[0]}
    else:
        tensors = _tensors(shape_of(circuit), circuit, source)
    with saving_torch(path) as file:
        file.update({name: tensors[name] for name in source.get("modules", tensors)})


def _by_position(circuit: Circuit) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Nodes and edges of each position."""
    positions = range(int(circuit.node_position.max(initial=0)) + 1)
    every = np.ones(circuit.n_edges, np.bool_)
    return [(circuit.node_position == at, every) for at in positions]


def _tensors(shape: Shape, circuit: Circuit, source: dict[str, Any]) -> dict[str, NDArray[Any]]:
    unsplit = bool(source.get("unsplit"))
    hooks = ("attn_in",) if unsplit else ("q_input", "k_input", "v_input")
    made: dict[str, NDArray[Any]] = {}
    for layer in range(shape.n_layers):
        for hook in hooks if shape.n_heads else ():
            size = shape.n_heads, shape.first(layer)
            made[f"blocks.{layer}.hook_{hook}"] = np.zeros(size, np.float32)
        before = _before(shape, layer, _READERS["mlp_in"])
        made[f"blocks.{layer}.hook_mlp_in"] = np.zeros(before, np.float32)
    top = shape.n_layers - 1
    made[f"blocks.{top}.hook_resid_post"] = np.zeros(shape.first(shape.n_layers), np.float32)
    writer = {name: row for row, name in enumerate(shape.writers)}
    factor = sign_of_file(circuit.metadata)
    for edge in named_edges(circuit, "A file of auto-circuit"):
        hook, head = _place(edge, top, unsplit=unsplit)
        scores = made[hook] if head < 0 else made[hook][head]
        if writer[edge.source] >= len(scores):
            raise GraphError(f"The edge {edge.name} leads back.", "Write it as GraphML.")
        scores[writer[edge.source]] = edge.weight * factor
    return made


def _place(edge: NamedEdge, top: int, *, unsplit: bool) -> tuple[str, int]:
    """The module that an edge ends in, and the head there, -1 without heads."""
    if edge.target == LOGITS:
        return f"blocks.{top}.hook_resid_post", -1
    if edge.target.startswith("m"):
        return f"blocks.{edge.target[1:]}.hook_mlp_in", -1
    layer, _, head = edge.target[1:].partition(".h")
    return f"blocks.{layer}.hook_{'attn_in' if unsplit else _HOOK_OF[edge.kind]}", int(head)
