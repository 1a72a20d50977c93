"""Features of the graph on screen as features of dictionaries, and the way back."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from microtome.records.circuit import FEATURE, Circuit
from microtome.records.feature_names import feature_names, fingerprint_at, in_memory
from microtome.records.marks import Marks
from microtome.records.session import Session
from microtome_desktop.state.foreign import UNREADABLE
from microtome_desktop.state.made_by import shows_features

Feature = tuple[str, int]  # the fingerprint of its dictionary, and its number


def feature_of(circuit: Circuit, row: int) -> Feature | None:
    """The feature of a dictionary that a row of a graph is; None for any other node."""
    fingerprint = fingerprint_at(circuit, row)
    return (fingerprint, int(circuit.node_feature[row])) if fingerprint else None


def feature_at(session: Session | None, node: str | None) -> Feature | None:
    """The same of a node of the session's graph."""
    circuit = None if session is None else session.circuit
    if circuit is None or node is None or node not in circuit.node_id:
        return None
    return feature_of(circuit, circuit.row(node))


def rows_of(circuit: Circuit, feature: Feature) -> tuple[int, ...]:
    """The rows of a feature's nodes, one a position, those with most influence first."""
    if feature[0] not in circuit.metadata.get("transcoders_fingerprints", ()):
        return ()
    found = [
        row
        for row in (circuit.node_feature == feature[1]).nonzero()[0].tolist()
        if circuit.node_kind[row] == FEATURE and fingerprint_at(circuit, row) == feature[0]
    ]
    return tuple(sorted(found, key=lambda row: -float(circuit.node_influence[row])))


def nodes_of(session: Session | None, feature: Feature | None) -> tuple[int, ...]:
    """The same of the session's graph."""
    circuit = None if session is None else session.circuit
    return () if circuit is None or feature is None else rows_of(circuit, feature)


def shown_marks(session: Session, marks: Marks | None = None) -> Marks:
    """The session's marks, with a name for each feature of which something is known.

    What the user called a node stands before what its feature is called.
    """
    marks = session.marks if marks is None else marks
    if session.circuit is None or not shows_features(session):
        return marks
    near = [one for one in session.analyses.values() if in_memory(one)]
    try:
        names = feature_names(session.circuit, near, marks.labels)
    except UNREADABLE:
        return marks
    return replace(marks, names=MappingProxyType({**names, **marks.names})) if names else marks
