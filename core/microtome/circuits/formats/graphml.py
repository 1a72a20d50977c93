"""GraphML read: columns as data of nodes and edges, for any tool that draws or counts graphs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

import numpy as np

from microtome.circuits.formats.documents import Container, Document
from microtome.circuits.formats.kept_keys import packed
from microtome.circuits.formats.reading import Reading, own_metadata
from microtome.circuits.formats.rows import EdgeColumns, NodeRow, counted, made_circuit
from microtome.errors import GraphError, UnsafeGraph
from microtome.records.circuit import (
    UNKNOWN,
    Circuit,
    EdgeKind,
)

NAME = "graphml"
_ANEW = "Export the graph as plain GraphML: one directed graph, without nesting."
_BLOCK = 4 << 20

# Names and types of what we write; the names are those of the columns.
NODE = {
    "kind": "string", "layer": "int", "position": "int", "head": "int", "feature": "int",
    "label": "string", "score": "double", "influence": "double", "bias": "double",
}  # fmt: skip
EDGE = {"kind": "string", "weight": "double", "influence": "double"}
METADATA = "metadata_json"  # of the graph: the circuit's own
EXACT = "exact_json"  # label of a node, where it has characters that XML cannot hold
_READ: dict[str, Callable[[str], Any]] = {
    "int": int, "long": int, "float": float, "double": float,
    "boolean": lambda text: text.strip().lower() in {"true", "1"},
}  # fmt: skip
Data = dict[str, Any]


def fits(document: Document) -> bool:
    """Whether a document may be GraphML; reading it tells."""
    return document.container is Container.XML


@dataclass(slots=True, eq=False)
class _Parsed:
    """What a file holds, as it comes from the parser."""

    name: str
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)  # id → name, type
    keys_for: dict[str, str] = field(default_factory=dict)  # id → node, edge, graph or all
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)  # node, edge → name → value
    nodes: dict[str, Data] = field(default_factory=dict)
    edges: list[tuple[str, str, Data]] = field(default_factory=list)
    graph: Data = field(default_factory=dict)
    undirected: bool = False
    path: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    key: str = ""
    owners: list[Data] = field(default_factory=list)

    def refuse(self, reason: str) -> GraphError:
        return GraphError(f"{self.name} {reason}.", _ANEW)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = tag.rpartition(" ")[2]
        if not self.path and name != "graphml":
            raise self.refuse(f"is XML of the kind <{name[:40]}>, not <graphml>")
        if name in {"hyperedge", "port"} or (name == "graph" and "graph" in self.path):
            raise self.refuse(f"has <{name}>, or a graph within a graph")
        self.path.append(name)
        self.text.clear()
        begin = _BEGIN.get(name)
        if begin:
            begin(self, attributes)

    def end(self, _tag: str) -> None:
        """An element ends."""
        name = self.path.pop()
        if name == "data" and self.owners:
            self.owners[-1][self._name(self.key)] = self._value(self.key)
        elif name == "default":
            owner = self.keys_for.get(self.key, "all")
            self.defaults.setdefault(owner, {})[self._name(self.key)] = self._value(self.key)
        elif name in {"graph", "node", "edge"}:
            self.owners.pop()

    def _name(self, key: str) -> str:
        return self.keys.get(key, (key, "string"))[0]

    def _value(self, key: str) -> Any:
        text = "".join(self.text)
        kind = self.keys.get(key, (key, "string"))[1]
        try:
            value = _READ.get(kind, str)(text)
        except ValueError:
            raise self.refuse(f"has {text[:40]!r} where a number was expected") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self.refuse(f"has {text[:40]!r} where a finite number was expected")
        return value

    def begin_key(self, held: dict[str, str]) -> None:
        self.key = held.get("id", "")
        self.keys[self.key] = held.get("attr.name", self.key), held.get("attr.type", "string")
        self.keys_for[self.key] = held.get("for", "all")

    def begin_graph(self, held: dict[str, str]) -> None:
        self.undirected = held.get("edgedefault") == "undirected"
        self.owners.append(self.graph)

    def begin_node(self, held: dict[str, str]) -> None:
        id_ = held.get("id", "")
        if id_ in self.nodes:
            raise self.refuse(f"has two nodes {id_[:60]!r}")
        self.nodes[id_] = {}
        self.owners.append(self.nodes[id_])

    def begin_edge(self, held: dict[str, str]) -> None:
        data: Data = {}
        self.edges.append((held.get("source", ""), held.get("target", ""), data))
        self.owners.append(data)

    def begin_data(self, held: dict[str, str]) -> None:
        self.key = held.get("key", "")

    def of(self, owner: str, data: Data) -> Data:
        """The data of a node or an edge, with what its keys have by default."""
        return {**self.defaults.get("all", {}), **self.defaults.get(owner, {}), **data}


_BEGIN: dict[str, Callable[[_Parsed, dict[str, str]], None]] = {
    "key": _Parsed.begin_key,
    "graph": _Parsed.begin_graph,
    "node": _Parsed.begin_node,
    "edge": _Parsed.begin_edge,
    "data": _Parsed.begin_data,
}


def _refuse_entities(*_: Any) -> None:
    raise UnsafeGraph("The XML declares a document type or entities; GraphML needs none.", _ANEW)


def _parse(document: Document) -> _Parsed:
    parsed = _Parsed(document.path.name)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse_entities
    parser.StartElementHandler, parser.EndElementHandler = parsed.start, parsed.end
    parser.CharacterDataHandler = parsed.text.append
    parser.buffer_text = True
    size, done = document.path.stat().st_size, 0
    try:
        with document.path.open("rb") as file:
            while block := file.read(_BLOCK):
                document.job.progress(f"Reading {parsed.name}", done, size, "B")
                parser.Parse(block, False)
                done += len(block)
            parser.Parse(b"", True)
    except (expat.ExpatError, LookupError) as error:  # an encoding that nobody knows, too
        raise parsed.refuse(f"is no whole XML ({str(error)[:60]})") from error
    return parsed


def read(document: Document, reading: Reading) -> Circuit:
    """The circuit of a file, ours or any other. Raises GraphError for what is no plain graph."""
    parsed = _parse(document)
    data = [parsed.of("node", held) for held in parsed.nodes.values()]
    rows = [_row(id_, held, parsed) for id_, held in zip(parsed.nodes, data, strict=True)]
    edges, extras, notes = _edges(parsed)
    ids = [row.id for row in rows]
    rest = [{k: v for k, v in held.items() if k not in NODE and k != EXACT} for held in data]
    own = _own_metadata(parsed)
    graph = {key: value for key, value in parsed.graph.items() if key != METADATA}
    source = {"format": NAME, "nodes": packed(ids, rest), "edges": extras, "graph": graph}
    metadata = {"method": "graph of a file", **own, **reading.told(NAME), "source": source}
    metadata["notes"] = [*own.get("notes", ()), *notes]
    return made_circuit([reading.turned_row(row) for row in rows], reading.turned(edges), metadata)


def _own_metadata(parsed: _Parsed) -> dict[str, Any]:
    try:
        return own_metadata(json.loads(parsed.graph.get(METADATA, "{}")))
    except (ValueError, RecursionError):
        raise parsed.refuse(f"has a {METADATA} that is no JSON") from None


def _row(id_: str, held: Data, parsed: _Parsed) -> NodeRow:
    fields: dict[str, Any] = {"kind": UNKNOWN, "label": id_}
    for name, kind in NODE.items():
        if name not in held:
            continue
        wanted = {"string": str, "int": int, "double": float}[kind]
        try:
            fields[name] = wanted(held[name])
        except (ValueError, TypeError):
            raise parsed.refuse(f"has the {name} {str(held[name])[:40]!r} at a node") from None
    if isinstance(held.get(EXACT), str):
        try:
            fields["label"] = str(json.loads(held[EXACT]))
        except ValueError:
            raise parsed.refuse(f"has a {EXACT} that is no JSON") from None
    return NodeRow(id_, **fields)


def _edges(parsed: _Parsed) -> tuple[EdgeColumns, list[Any], list[str]]:
    place = {id_: number for number, id_ in enumerate(parsed.nodes)}
    kept = [edge for edge in parsed.edges if edge[0] in place and edge[1] in place]
    data = [parsed.of("edge", held) for _, _, held in kept]
    notes = []
    if missing := len(parsed.edges) - len(kept):
        were = "was" if missing == 1 else "were"
        told = f"{counted(missing, 'edge')} had an end that is no node, and {were} left out."
        notes.append(told)
    if parsed.undirected:
        notes.append("The graph of the file has no directions; they are taken as it writes them.")
    if weightless := sum("weight" not in held for held in data):
        notes.append(f"{counted(weightless, 'edge')} had no weight, and weigh 1.")
    extras = [
        [source, target, rest]
        for (source, target, _), held in zip(kept, data, strict=True)
        if (rest := _rest(held))
    ]
    columns = EdgeColumns(
        np.array([place[source] for source, _, _ in kept], np.int32),
        np.array([place[target] for _, target, _ in kept], np.int32),
        np.array([_KINDS.get(str(held.get("kind")), EdgeKind.FEATURE) for held in data], np.int8),
        np.array([_number(held, "weight", 1.0, parsed) for held in data], np.float64),
        np.array([_number(held, "influence", 0.0, parsed) for held in data], np.float32),
    )
    return columns, extras, notes


_KINDS = {kind.name.lower(): kind for kind in EdgeKind}


def _rest(held: Data) -> Data:
    return {
        key: value
        for key, value in held.items()
        if key not in EDGE or (key == "kind" and str(value) not in _KINDS)
    }


def _number(held: Data, name: str, usual: float, parsed: _Parsed) -> float:
    try:
        value = float(held.get(name, usual))
    except (ValueError, TypeError):
        value = math.nan
    if not math.isfinite(value):
        raise parsed.refuse(f"has the {name} {str(held[name])[:40]!r} at an edge")
    return value
