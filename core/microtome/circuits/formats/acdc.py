"""Circuits of ACDC: a dict of which edges are there (``.pth``), or a pickled list of those left.

An edge is (child hook, child index, parent hook, parent index). Edges that add a parent's output to
the residual stream are a circuit's; edges inside a component (``hook_q_input`` to ``hook_q``, and
from there to ``hook_result``) are kept as they are.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

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
from microtome.circuits.formats.rows import counted
from microtome.circuits.formats.torch_write import saving_torch
from microtome.errors import GraphError
from microtome.jobs import Job
from microtome.pickles.records import Record
from microtome.records.circuit import (
    INPUT,
    Circuit,
    EdgeKind,
)

PRESENT, EFFECTS = "acdc", "acdc-edges"
Key = tuple[str, tuple[int | None, ...], str, tuple[int | None, ...]]

_HOOK = re.compile(r"(?:blocks\.(\d{1,6})\.)?(attn\.)?hook_(\w+)")
_READS: Mapping[str, EdgeKind] = {
    "q_input": EdgeKind.QUERY, "k_input": EdgeKind.KEY, "v_input": EdgeKind.VALUE,
    "mlp_in": EdgeKind.MLP, "resid_post": EdgeKind.OUT,
}  # fmt: skip
_HOOK_OF = {kind: hook for hook, kind in _READS.items()}
_INPUTS = frozenset({"resid_pre", "embed", "pos_embed"})
_ANEW = "Export the edges anew from ACDC."


def fits(document: Document) -> bool:
    """Whether a document is the dict of a subgraph."""
    held = document.value
    return document.container is Container.PICKLE and isinstance(held, dict) and _keys(list(held))


def fits_edges(document: Document) -> bool:
    """Whether a document is the list of edges with their effects."""
    held = document.value
    if document.container is not Container.PICKLE or not isinstance(held, list):
        return False
    return _keys([pair[0] if isinstance(pair, tuple | list) and pair else None for pair in held])


def _keys(keys: list[Any]) -> bool:
    return bool(keys) and all(isinstance(key, tuple | list) and len(key) == 4 for key in keys)


def read(document: Document, reading: Reading) -> Circuit:
    """The circuit of a subgraph: edges that are there weigh 1, others 0."""
    return _circuit(list(document.value.items()), reading, PRESENT)


def read_edges(document: Document, reading: Reading) -> Circuit:
    """The circuit of the edges that were left, with their effects as weights."""
    return _circuit([tuple(pair) for pair in document.value], reading, EFFECTS)


def _circuit(pairs: list[tuple[Any, ...]], reading: Reading, name: str) -> Circuit:
    edges: list[NamedEdge] = []
    inside: list[Any] = []
    of_inputs: list[Any] = []
    for pair in pairs:
        if len(pair) != 2:
            raise GraphError(f"An entry of the file is {str(pair)[:80]}.", _ANEW)
        key, value = _key(pair[0]), _number(pair[1], name)
        edge = _edge(key, value, name)
        if edge is None:
            inside.append([*_plain(key), value])
        else:
            edges.append(edge)
            of_inputs += [[*_plain(key), value]] if edge.source == INPUT else []
    if not edges:
        raise GraphError("The file has no edge between heads, MLPs, input and output.", _ANEW)
    inputs = sorted({one[2] for one in of_inputs})
    edges = _joined(edges, inputs)
    absent = sum(not one[-1] for one in inside) if name == PRESENT else 0
    notes = [f"{counted(absent, 'edge')} inside components taken away."] if absent else []
    metadata = {
        "method": "ACDC",
        "scale": "1 = the edge was kept" if name == PRESENT else "change of ACDC's metric",
        "notes": notes,
        **reading.told(name),
        "source": {
            "format": name, "inside": inside, "inputs": inputs,
            "of_inputs": of_inputs if len(inputs) > 1 else [],
        },
    }  # fmt: skip
    return components_circuit(_shape(edges), turned(edges, reading.factor), metadata)


def _key(given: Any) -> Key:
    child, child_index, parent, parent_index = given
    if not isinstance(child, str) or not isinstance(parent, str):
        raise GraphError(f"An edge of the file is {str(given)[:80]}.", _ANEW)
    return child, _index(child_index), parent, _index(parent_index)


def _index(given: Any) -> tuple[int | None, ...]:
    """(None, None, 3): the third head. Slices, as their index class keeps them, are None."""
    if isinstance(given, Record) and given.kind == "TorchIndex":
        given = given.fields.get("hashable_tuple", given.fields.get("as_index"))
    parts = given if isinstance(given, tuple | list) else (given,)
    found = [
        None if part is None or (isinstance(part, Record) and part.kind == "slice") else part
        for part in parts
    ]
    if any(type(part) not in (int, type(None)) for part in found):
        raise GraphError(f"An edge of the file has the index {str(given)[:60]}.", _ANEW)
    return tuple(found)


def _number(value: Any, name: str) -> float:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0].item()
    if name == PRESENT and type(value) is bool:
        return float(value)
    if type(value) not in (int, float) or not math.isfinite(value):
        raise GraphError(f"An edge of the file has the value {str(value)[:40]}.", _ANEW)
    return float(value)


def _edge(key: Key, value: float, name: str) -> NamedEdge | None:
    """The edge between components, None for one inside a component."""
    child, child_index, parent, parent_index = key
    to, source = _HOOK.fullmatch(child), _HOOK.fullmatch(parent)
    if not to or not source:
        raise GraphError(f"The hook {child[:40]} or {parent[:40]} is unknown.", _ANEW)
    if to[3] not in _READS or source[3] in _READS:
        return None
    kind = _READS[to[3]]
    member = value != 0 if name == PRESENT else True
    return NamedEdge(_writer(source, parent_index), _reader(to, child_index), kind, value, member)


def _writer(hook: re.Match[str], index: tuple[int | None, ...]) -> str:
    if hook[3] in _INPUTS:
        return INPUT
    if hook[3] == "mlp_out" and hook[1]:
        return f"m{hook[1]}"
    if hook[3] == "result" and hook[1] and index[-1] is not None:
        return f"a{hook[1]}.h{index[-1]}"
    raise GraphError(f"The parent {hook[0]} with the index {index} is unknown.", _ANEW)


def _reader(hook: re.Match[str], index: tuple[int | None, ...]) -> str:
    if hook[3] == "resid_post":
        return LOGITS
    if hook[3] == "mlp_in" and hook[1]:
        return f"m{hook[1]}"
    if hook[1] and index[-1] is not None:
        return f"a{hook[1]}.h{index[-1]}"
    raise GraphError(f"The child {hook[0]} with the index {index} is unknown.", _ANEW)


def _joined(edges: list[NamedEdge], inputs: list[str]) -> list[NamedEdge]:
    """Token and position embeddings are one input: of two edges the stronger stands for both."""
    if len(inputs) < 2:
        return edges
    best: dict[str, NamedEdge] = {}
    for edge in edges:
        held = best.get(edge.name)
        if held is None or abs(edge.weight) > abs(held.weight):
            best[edge.name] = edge
    return list(best.values())


def _plain(key: Key) -> list[Any]:
    child, child_index, parent, parent_index = key
    return [child, list(child_index), parent, list(parent_index)]


def _shape(edges: list[NamedEdge]) -> Shape:
    names = {end for edge in edges for end in (edge.source, edge.target)}
    heads = [tuple(map(int, n[1:].split(".h"))) for n in names if n.startswith("a")]
    layers = [layer for layer, _ in heads] + [int(n[1:]) for n in names if n.startswith("m")]
    return Shape(max(layers, default=0) + 1, max((head for _, head in heads), default=-1) + 1)


def _entries(circuit: Circuit, name: str) -> dict[Key, tuple[float, bool]]:
    """Weight and membership of every edge of a circuit by its key, in its order."""
    top = shape_of(circuit).n_layers - 1
    source, factor = _source(circuit, name), sign_of_file(circuit.metadata)
    inputs = source.get("inputs") or ["blocks.0.hook_resid_pre"]
    apart = dict(_listed(source.get("of_inputs", ())))
    found: dict[Key, tuple[float, bool]] = {}
    for edge in named_edges(circuit, "A file of ACDC"):
        for parent in _parents(edge.source, inputs):
            key = (*_child(edge, top), *parent)
            weight = apart.get(key, edge.weight * factor)
            found[key] = (
                weight,
                edge.member and (name == EFFECTS or key not in apart or weight != 0),
            )
    return found


def _source(circuit: Circuit, name: str) -> dict[str, Any]:
    held = circuit.metadata.get("source")
    return held if isinstance(held, dict) and held.get("format") == name else {}


def _child(edge: NamedEdge, top: int) -> tuple[str, tuple[int | None, ...]]:
    if edge.target == LOGITS:
        return f"blocks.{top}.hook_resid_post", (None,)
    if edge.target.startswith("m"):
        return f"blocks.{edge.target[1:]}.hook_mlp_in", (None,)
    layer, _, head = edge.target[1:].partition(".h")
    return f"blocks.{layer}.hook_{_HOOK_OF[edge.kind]}", (None, None, int(head))


def _parents(name: str, inputs: list[str]) -> list[tuple[str, tuple[int | None, ...]]]:
    if name == INPUT:
        return [(hook, (None,)) for hook in inputs]
    if name.startswith("m"):
        return [(f"blocks.{name[1:]}.hook_mlp_out", (None,))]
    layer, _, head = name[1:].partition(".h")
    return [(f"blocks.{layer}.attn.hook_result", (None, None, int(head)))]


def _listed(entries: Any) -> list[tuple[Key, float]]:
    """Edges as the file had them."""
    return [((one[0], tuple(one[1]), one[2], tuple(one[3])), one[4]) for one in entries]


def write(circuit: Circuit, path: Path, job: Job) -> None:
    """Write which edges are there. Raises GraphError for nodes that are no components."""
    job.check()
    with saving_torch(path) as file:
        file.update({key: member for key, (_, member) in _entries(circuit, PRESENT).items()})
        inside = _listed(_source(circuit, PRESENT).get("inside", ()))
        file.update({key: bool(value) for key, value in inside})


def write_edges(circuit: Circuit, path: Path, job: Job) -> None:
    """Write the edges that are there with their weights as effects, as a pickled list."""
    job.check()
    entries = _entries(circuit, EFFECTS).items()
    kept = [(key, weight) for key, (weight, member) in entries if member]
    inside = _listed(_source(circuit, EFFECTS).get("inside", ()))
    path.write_bytes(pickle.dumps([*kept, *inside], protocol=4))
