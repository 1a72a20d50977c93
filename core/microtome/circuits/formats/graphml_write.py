"""GraphML written: columns as data of nodes and edges, metadata as JSON of the graph."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from microtome.circuits.formats.graphml import EDGE, EXACT, METADATA, NAME, NODE, Data
from microtome.circuits.formats.kept_keys import unpacked
from microtome.circuits.formats.reading import sign_of_file
from microtome.circuits.formats.rows import node_rows
from microtome.errors import GraphError
from microtome.jobs import Job
from microtome.records.circuit import Circuit, EdgeKind

_SPACE = "http://graphml.graphdrawing.org/xmlns"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(circuit: Circuit, path: Path, job: Job) -> None:
    """Write columns and metadata. Raises GraphError for ids that XML cannot hold."""
    for id_ in circuit.node_id:
        if _NOT_XML.search(id_):
            raise GraphError(
                f"The id {id_[:60]!r} has characters that XML cannot hold.",
                "Write an attribution graph (.json) instead.",
            )
    with path.open("w", encoding="utf-8") as file:
        for line in _lines(circuit, job):
            file.write(line)


def _lines(circuit: Circuit, job: Job) -> Iterator[str]:
    held = circuit.metadata.get("source")
    source = held if isinstance(held, dict) and held.get("format") == NAME else {}
    extras = unpacked(source.get("nodes"), circuit.node_id)
    by_ends = _by_ends(source.get("edges", ()))
    graph: Data = source.get("graph", {})
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="{_SPACE}">\n'
    yield from _keys("node", NODE, [*extras, {EXACT: ""}])
    yield from _keys("edge", EDGE, [one for held in by_ends.values() for one in held])
    yield from _keys("graph", {METADATA: "string"}, [graph])
    yield '<graph edgedefault="directed">\n'
    told = {k: v for k, v in circuit.metadata.items() if k not in {"source", "format", "sign_read"}}
    text = json.dumps(told, default=lambda value: np.asarray(value).tolist())
    yield _data("graph", {METADATA: text, **graph}) + "\n"
    factor = sign_of_file(circuit.metadata)
    for row, extra in zip(node_rows(circuit), extras, strict=True):
        job.check()
        values = {name: getattr(row, name) for name in NODE} | {"score": row.score * factor}
        if _NOT_XML.search(row.label):
            values |= {"label": _NOT_XML.sub("\ufffd", row.label), EXACT: json.dumps(row.label)}
        yield f"<node id={quoteattr(row.id)}>{_data('node', values | extra)}</node>\n"
    ends = (circuit.edge_source.tolist(), circuit.edge_target.tolist())
    numbers = (
        circuit.edge_kind.tolist(),
        circuit.edge_weight.tolist(),
        circuit.edge_influence.tolist(),
    )
    for at, (a, b, kind, weight, influence) in enumerate(zip(*ends, *numbers, strict=True)):
        job.progress("Writing the graph", at, circuit.n_edges)
        source_id, target_id = circuit.node_id[a], circuit.node_id[b]
        values = {
            "kind": EdgeKind(kind).name.lower(), "weight": weight * factor, "influence": influence,
        }  # fmt: skip
        rest = by_ends.get((source_id, target_id))
        values |= rest.pop() if rest else {}
        yield (
            f'<edge id="e{at}" source={quoteattr(source_id)} target={quoteattr(target_id)}>'
            f"{_data('edge', values)}</edge>\n"
        )
    yield "</graph>\n</graphml>\n"


def _by_ends(kept: Any) -> dict[tuple[str, str], list[Data]]:
    found: dict[tuple[str, str], list[Data]] = {}
    for source, target, rest in kept:
        found.setdefault((source, target), []).insert(0, rest)
    return found


def _keys(owner: str, known: dict[str, str], extras: list[Data]) -> Iterator[str]:
    kinds = dict(known)
    for extra in extras:
        for name, value in extra.items():
            kinds.setdefault(name, _TYPES.get(type(value), "string"))
    for name, kind in kinds.items():
        key = quoteattr(f"{owner}_{name}")
        yield f'<key id={key} for="{owner}" attr.name={quoteattr(name)} attr.type="{kind}"/>\n'


_TYPES = {bool: "boolean", int: "long", float: "double"}


def _data(owner: str, values: Data) -> str:
    return "".join(
        f"<data key={quoteattr(f'{owner}_{name}')}>{_text(value)}</data>"
        for name, value in values.items()
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # A bare carriage return would come back as a line feed.
    return escape(str(value), {"\r": "&#13;"})
