"""Attribution graphs as circuit-tracer and Neuronpedia write them: JSON of nodes and links.

All generations of ids are read. What no column holds is kept in the circuit's ``source``, so that
writing gives it back.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.circuits.formats.documents import Container, Document
from microtome.circuits.formats.influence import from_cumulative, passed_on, shares
from microtome.circuits.formats.kept_keys import packed
from microtome.circuits.formats.links import Links
from microtome.circuits.formats.reading import Reading, own_metadata
from microtome.circuits.formats.rows import EdgeColumns, NodeRow, counted, made_circuit, with_own
from microtome.circuits.formats.web_ids import Ends, Ids, ends_of, ids_of
from microtome.circuits.formats.web_nodes import current_error_id, read_node, web_node
from microtome.errors import GraphError
from microtome.records.circuit import (
    ERROR,
    FEATURE,
    OUTPUT,
    Circuit,
    EdgeKind,
)

NAME = "attribution-graph"
OWN = "microtome"  # the key under which our own files keep what the schema has no place for
_MISSING = object()
_PROBABILITY = re.compile(r"\(p=([0-9.eE+-]+)\)")
_ANEW = "Export the graph anew from the tool that made it."


def fits(document: Document) -> bool:
    """Whether a document is an attribution graph."""
    arrays = document.nodes is not None and document.links is not None
    return document.container is Container.JSON and arrays and document.holds("metadata")


def read(document: Document, reading: Reading) -> Circuit:
    """The circuit of an attribution graph. Raises GraphError for what its schema does not allow."""
    nodes, links = document.nodes, document.links
    if nodes is None or links is None:
        raise GraphError(f"{document.path.name} has no nodes and links.", _ANEW)
    metadata = _metadata(document)
    ids = ids_of(nodes, str(metadata["scan"]))
    rows = _rows(nodes, ids, metadata["prompt_tokens"])
    ends = ends_of(links, ids)
    edges, extras, notes = _edges(links, ends, ids)
    influence = _influence(nodes, rows, edges)
    rows = [
        replace(row, influence=value) for row, value in zip(rows, influence.tolist(), strict=True)
    ]
    own = [node.get(OWN) for node in nodes]
    rows = [with_own(row, fields) for row, fields in zip(rows, own, strict=True)]
    edges = _with_shares(edges, rows)
    source = _source(document, metadata, nodes, ids, rows) | ({"links": extras} if extras else {})
    told = _told(metadata, rows, nodes) | {
        "notes": [*own_metadata(metadata.get(OWN)).get("notes", ()), *notes],
        **reading.told(NAME),
        "source": source,
    }
    return made_circuit(rows, reading.turned(edges), told)


def _metadata(document: Document) -> dict[str, Any]:
    held = document.value["metadata"]
    if not isinstance(held, dict):
        raise GraphError(f"The metadata of {document.path.name} is no object.", _ANEW)
    kinds = {"slug": str, "scan": str, "prompt": str, "prompt_tokens": list}
    for key, kind in kinds.items():
        if not isinstance(held.get(key), kind):
            raise GraphError(
                f"The metadata of {document.path.name} has {key} = {str(held.get(key))[:60]}, but "
                f"{'a list of texts' if kind is list else 'a text'} was expected.",
                _ANEW,
            )
    if not all(isinstance(token, str) for token in held["prompt_tokens"]):
        raise GraphError(f"The tokens of {document.path.name} are not all texts.", _ANEW)
    return dict(held)


def _rows(nodes: list[Any], ids: Ids, tokens: list[str]) -> list[NodeRow]:
    rows = [read_node(node, n, ids.current[n]) for n, node in enumerate(nodes)]
    rows = [row if row.label else replace(row, label=_token(row, tokens)) for row in rows]
    inner = [row.layer for row in rows if row.kind != OUTPUT]
    top = max(inner, default=0) + 1
    return [
        replace(row, layer=top) if row.kind == OUTPUT and row.layer < 0 else row for row in rows
    ]


def _token(row: NodeRow, tokens: list[str]) -> str:
    text = tokens[row.position] if 0 <= row.position < len(tokens) else ""
    return text.strip() or repr(text)


def _edges(links: Links, ends: Ends, ids: Ids) -> tuple[EdgeColumns, list[Any], list[str]]:
    """Edges whose ends are there, the keys of links that no column holds, and notes."""
    there = (ends.source >= 0) & (ends.target >= 0)
    notes = list(ends.notes)
    if missing := int((~there).sum()):
        were = "was" if missing == 1 else "were"
        told = f"{counted(missing, 'link')} had an end that is no node, and {were} left out."
        notes.append(told)
    kept = [(row, keys) for row, keys in links.extras if there[row]]
    extras = [
        [ids.current[ends.source[row]], ids.current[ends.target[row]], other]
        for row, keys in kept
        if (other := {key: value for key, value in keys.items() if key != OWN})
    ]
    count = int(there.sum())
    edges = EdgeColumns(
        ends.source[there], ends.target[there], np.full(count, EdgeKind.FEATURE, np.int8),
        links.weight[there], np.zeros(count, np.float32),
    )  # fmt: skip
    place = np.cumsum(there) - 1
    own = {int(place[row]): keys[OWN] for row, keys in kept if OWN in keys}
    return (_parted(edges, own) if own else edges), extras, notes


def _parted(edges: EdgeColumns, own: dict[int, Any]) -> EdgeColumns:
    """Links of our own files stand for several edges of different kinds."""
    parts: list[list[Any]] = []
    for row in range(len(edges.source)):
        held = own.get(row, _MISSING)
        if held is _MISSING:
            parts.append([[EdgeKind.FEATURE, float(edges.weight[row]), 0.0]])
        else:
            parts.append(_own_parts(held, row))
    counts = [len(part) for part in parts]
    kinds, weights, influences = zip(*(one for part in parts for one in part), strict=True)
    return EdgeColumns(
        np.repeat(edges.source, counts), np.repeat(edges.target, counts), np.array(kinds, np.int8),
        np.array(weights, np.float64), np.array(influences, np.float32),
    )  # fmt: skip


def _own_parts(held: Any, row: int) -> list[list[Any]]:
    parts = held.get("edges") if isinstance(held, dict) else None
    if isinstance(parts, list) and parts and all(_is_part(part) for part in parts):
        return parts
    raise GraphError(f"Link {row} of the file has the parts {str(held)[:80]}.", _ANEW)


def _is_part(part: Any) -> bool:
    if not isinstance(part, list) or len(part) != 3:
        return False
    numbers = all(type(value) in (int, float) for value in part)
    return numbers and part[0] in set(EdgeKind) and np.isfinite(part[1:]).all().item()


def _influence(
    nodes: list[Any], rows: list[NodeRow], edges: EdgeColumns
) -> Float[np.ndarray, " node"]:
    held = [node.get("influence") for node in nodes]
    if any(type(value) not in (int, float, type(None)) for value in held):
        raise GraphError("A node of the file has an influence that is no number.", _ANEW)
    known = np.array([value is not None for value in held], bool)
    outputs = _probabilities(nodes, rows)
    if not known.any():
        return passed_on(edges.source, edges.target, edges.weight, outputs)
    found = from_cumulative(np.array([value or 0.0 for value in held], np.float64), known)
    return np.where(outputs > 0, outputs, found)


def _probabilities(nodes: list[Any], rows: list[NodeRow]) -> Float[np.ndarray, " node"]:
    """Of each output its probability: as a number, else from its label; alike where unknown."""
    found = np.zeros(len(rows))
    at = [number for number, row in enumerate(rows) if row.kind == OUTPUT]
    for number in at:
        said = nodes[number].get("token_prob")
        match = _PROBABILITY.search(rows[number].label)
        if type(said) in (int, float) and said > 0:
            found[number] = said
        elif match:
            found[number] = float(match[1])
    if at and not found.any():
        found[at] = 1.0 / len(at)
    return found


def _with_shares(edges: EdgeColumns, rows: list[NodeRow]) -> EdgeColumns:
    """What passes through links; parts of our own files know theirs."""
    flow = np.array([row.influence for row in rows])
    through = shares(edges.target, edges.weight, len(rows)) * flow[edges.target]
    plain = edges.kind == EdgeKind.FEATURE
    influence = np.where(plain, through, edges.influence).astype(np.float32)
    return replace(edges, influence=influence)


def _source(
    document: Document, metadata: dict[str, Any], nodes: list[Any], ids: Ids, rows: list[NodeRow]
) -> dict[str, Any]:
    """All of the file that no column holds."""
    view = document.value.get("qParams", {})
    if not isinstance(view, dict):
        raise GraphError(f"The qParams of {document.path.name} are no object.", _ANEW)
    top = {k: v for k, v in document.value.items() if k not in {"metadata", "qParams"}}
    extras = []
    for node, row, current in zip(nodes, rows, ids.current, strict=True):
        if OWN in node:
            extras.append({key: v for key, v in node.items() if key not in _SCHEMA})
        else:
            extras.append(_extra(node, replace(row, id=current)))
    row_ids = [row.id for row in rows]
    names = dict(zip(ids.current, row_ids, strict=True))
    plain = {key: value for key, value in metadata.items() if key != OWN}
    held = {"format": NAME, "metadata": plain, "qParams": renamed_view(view, ids, names)}
    held |= {"top": top} if top else {}
    return held | {"nodes": packed(row_ids, extras)}


# What our own files write of nodes that the schema does not know; the columns hold it.
_SCHEMA = frozenset({
    "node_id", "feature", "layer", "ctx_idx", "feature_type", "jsNodeId", "clerp", "influence",
    "activation", "token_prob", "is_target_logit", "run_idx", "reverse_ctx_idx", OWN,
})  # fmt: skip


def _extra(node: dict[str, Any], row: NodeRow) -> dict[str, Any]:
    written = web_node(row)
    if current_error_id(node) == row.id:
        written["node_id"] = node["node_id"]  # normalised for good
    return {
        key: value
        for key, value in node.items()
        if key not in written or written[key] != value or type(written[key]) is not type(value)
    }


def renamed_view(view: dict[str, Any], ids: Ids, names: dict[str, str]) -> dict[str, Any]:
    """The saved view with today's ids."""

    def today(id_: Any) -> Any:
        return names.get(ids.rename(id_), ids.rename(id_)) if isinstance(id_, str) else id_

    found = dict(view)
    if isinstance(view.get("pinnedIds"), list):
        found["pinnedIds"] = [today(id_) for id_ in view["pinnedIds"]]
    if isinstance(view.get("supernodes"), list):
        found["supernodes"] = [
            [*group[:1], *map(today, group[1:])] if isinstance(group, list) else group
            for group in view["supernodes"]
        ]
    if "clickedId" in view:
        found["clickedId"] = today(view["clickedId"])
    return found


def _told(metadata: dict[str, Any], rows: list[NodeRow], nodes: list[Any]) -> dict[str, Any]:
    """What the circuit itself says of where it is from."""
    inner = [row.layer for row in rows if row.kind in {FEATURE, ERROR}]
    outputs = [(n, row) for n, row in enumerate(rows) if row.kind == OUTPUT]
    target = [row for n, row in outputs if nodes[n].get("is_target_logit") is True]
    best = target or [row for _, row in outputs]
    found = {
        "method": "attribution graph",
        "model": metadata["scan"],
        "prompt": metadata["prompt"],
        "tokens": list(metadata["prompt_tokens"]),
        "n_layers": max(inner, default=-1) + 1,
        "metric": best[0].label if best else "",
    }
    return found | own_metadata(metadata.get(OWN))
