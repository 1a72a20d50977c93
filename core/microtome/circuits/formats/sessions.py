"""A graph from a file as a session to look at, and a session's marks in a graph to write."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from microtome.circuits.formats.attribution import NAME
from microtome.circuits.formats.kept_keys import packed, unpacked
from microtome.errors import GraphError, expect
from microtome.records.circuit import Circuit
from microtome.records.feature_names import feature_names
from microtome.records.marks import Marks, Supernode
from microtome.records.model import ModelIdentity
from microtome.records.session import Session

_UNKNOWN = "unknown"
FILE = "file"  # key of the metadata: the name of the file that a session's graph is from


def session_of(circuit: Circuit, file: str = "") -> Session:
    """A session of a graph alone: no runs, and of its model what the graph says.

    Pins and groups that the graph was saved with become marks. ``file`` is the name of the file
    that the graph is from, which tells it from others of one prompt.
    """
    expect(circuit, Circuit, "circuit", "a Circuit", "Read one with read_graph.")
    if file:
        circuit = replace(circuit, metadata=circuit.metadata | {FILE: file})
    told = circuit.metadata
    layers, heads, width = (_count(told.get(name)) for name in ("n_layers", "n_heads", "d_model"))
    model = ModelIdentity(
        name=str(told.get("model") or _UNKNOWN), architecture=_UNKNOWN, fingerprint="",
        n_layers=layers, n_heads=heads, n_kv_heads=0, d_model=width, d_head=0, d_mlp=0,
        vocabulary=0, context=None, n_parameters=0,
    )  # fmt: skip
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Session(
        model=model, circuit=circuit, marks=_marks(circuit), uuid=str(uuid.uuid4()), created=now
    )


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _marks(circuit: Circuit) -> Marks:
    source = circuit.metadata.get("source")
    view = source.get("qParams", {}) if isinstance(source, dict) else {}
    known = set(circuit.node_id)
    pins = tuple(id_ for id_ in _texts(view.get("pinnedIds")) if id_ in known)
    listed = view.get("supernodes")
    named = [_texts(group) for group in listed] if isinstance(listed, list) else []
    groups = [
        (group[0], tuple(id_ for id_ in group[1:] if id_ in known)) for group in named if group
    ]
    return Marks(
        pins=tuple(dict.fromkeys(pins)),
        supernodes=tuple(Supernode(name, nodes) for name, nodes in groups if nodes),
    )


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def circuit_to_write(session: Session) -> Circuit:
    """The circuit of a session, with what a graph file can say of its marks, model and tokens.

    Names that the user gave, and what features are called, are the labels of their nodes.
    Raises GraphError for a session without a circuit.
    """
    circuit, model = session.circuit, session.model
    if circuit is None:
        raise GraphError(
            "The session has no circuit.",
            "Run a prompt of a model that has one, or import a graph.",
        )
    clean = session.clean
    more: dict[str, Any] = {
        "model": model.name, "n_layers": model.n_layers, "n_heads": model.n_heads,
        "d_model": model.d_model,
    }  # fmt: skip
    if clean is not None:
        more["token_ids"] = [int(token) for token in clean.token_ids]
    held = {key: value for key, value in circuit.metadata.items() if key != FILE}
    told = {key: value for key, value in more.items() if value} | held
    told["source"] = _with_marks(circuit, session.marks)
    names = feature_names(circuit, session.analyses.values(), session.marks.labels)
    return _named(replace(circuit, metadata=told), {**names, **session.marks.names})


def _named(circuit: Circuit, names: Mapping[str, str]) -> Circuit:
    """The circuit with the user's names for labels, also where the file kept one of its own."""
    renamed = names.keys() & set(circuit.node_id)
    if not renamed:
        return circuit
    pairs = zip(circuit.node_id, circuit.node_label, strict=True)
    source = dict(circuit.metadata["source"])
    kept = unpacked(source.get("nodes"), circuit.node_id)
    for node, extra in zip(circuit.node_id, kept, strict=True):
        if node in renamed:
            extra.pop("clerp", None)
    if any(kept):
        source["nodes"] = packed(circuit.node_id, kept)
    return replace(
        circuit,
        node_label=tuple(names.get(node, label) for node, label in pairs),
        metadata=circuit.metadata | {"source": source},
    )


def _with_marks(circuit: Circuit, marks: Marks) -> Mapping[str, Any]:
    """The circuit's ``source`` with the pins and groups that the user has now."""
    held = circuit.metadata.get("source")
    source = dict(held) if isinstance(held, dict) else {}
    if source.get("format", NAME) != NAME:
        return source  # only attribution graphs have a saved view
    view = {"linkType": "both", "clickedId": "", "sg_pos": "", **source.get("qParams", {})}
    groups = [[group.name, *group.nodes] for group in marks.supernodes]
    view |= {"pinnedIds": list(marks.pins), "supernodes": groups}
    return {**source, "format": NAME, "qParams": view}
