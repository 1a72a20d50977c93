"""Which transcoders stand for the MLPs of the model: embedded ones, or a set that was opened."""

from __future__ import annotations

import microtome_resources as resources
from microtome.records.circuit import FEATURE
from microtome.records.session import Session
from microtome_desktop.state.library import Library
from microtome_desktop.state.made_by import needs_model, shows_features
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.workspace import Workspace

_SET = "transcoders"  # what an embedded set is called
_WAY_OUT = (
    "Open transcoders… takes a folder of circuit-tracer, Gemma Scope 2 or one that microtome train "
    "has made of this model."
)


def set_for(workspace: Workspace, library: Library) -> str:
    """Where the transcoders of the loaded model are: the newest that was opened, or embedded.

    Empty when there are none.
    """
    model = workspace.model
    if model is None:
        return ""
    for held in library.shelf.transcoders:
        if held.model == model.fingerprint:
            return held.path
    named = f"{model.name}/{_SET}"
    return named if named in resources.dictionary_names() else ""


def set_of(session: Session, library: Library) -> str:
    """Where the transcoders are that a session's graph was made with; empty if not known now."""
    told = {} if session.circuit is None else session.circuit.metadata
    name, fingerprint = told.get(_SET, ""), told.get("transcoders_fingerprint", "")
    for held in library.shelf.transcoders:
        if (held.name, held.fingerprint) == (name, fingerprint):
            return held.path
    return name if name in resources.dictionary_names() else ""


def graph_feature(session: Session, selected: Selected) -> tuple[int, int] | None:
    """Layer and number of the feature that is selected in a graph of features."""
    circuit, node = session.circuit, selected.node
    if circuit is None or node is None or node not in circuit.node_id:
        return None
    row = circuit.row(node)
    if circuit.node_kind[row] != FEATURE:
        return None
    return int(circuit.node_layer[row]), int(circuit.node_feature[row])


def why_no_set(workspace: Workspace, library: Library) -> str:
    """Why no graph of features can be made of the loaded model, empty when one can."""
    model = workspace.model
    if model is None:
        return "No model is loaded: choose one in the Model menu."
    if set_for(workspace, library):
        return ""
    return f"There are no transcoders for {model.name} here. {_WAY_OUT}"


def why_no_feature_edits(workspace: Workspace, library: Library) -> str:
    """Why features of the graph on screen cannot be edited, empty when they can."""
    session = workspace.session
    if session is None or not shows_features(session):
        return "There is no graph of features on screen: make one with Feature graph."
    if workspace.offline:
        return needs_model(session)
    if session.circuit is not None and session.circuit.metadata.get("changes"):
        return "This graph has edits already: change those of the graph before it, in History."
    if session.clean is None:
        return "The graph has no run: make it again with Feature graph."
    if not set_of(session, library):
        name = session.circuit.metadata.get(_SET) if session.circuit is not None else ""
        return f"The transcoders {name} are not open: choose them with Open transcoders…"
    return ""
