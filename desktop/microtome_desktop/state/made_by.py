"""What a session's model is called, where a graph from a file may not tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microtome.records.feature_edit import GRAPH_METHOD

if TYPE_CHECKING:
    # Only for the type: the first frame is painted before NumPy is imported.
    from microtome.records.session import Session

_UNKNOWN = "unknown"  # the name in the session of a graph whose file names no model


def names_model(session: Session) -> bool:
    """Whether the session tells its model; a graph from a file may not."""
    return session.model.name != _UNKNOWN


def model_name(session: Session) -> str:
    """The model's name; for a graph that tells none ``imported graph`` and its file."""
    if names_model(session):
        return session.model.name
    return f"imported graph {graph_file(session)}".strip()


def graph_file(session: Session) -> str:
    """The name of the file that an imported graph is from; empty for a session of runs."""
    return "" if session.circuit is None else str(session.circuit.metadata.get("file", ""))


def needs_model(session: Session) -> str:
    """That something cannot be done without the session's model, and what to do."""
    if names_model(session):
        return f"Needs the model {session.model.name}: attach it first."
    return f"Needs a model, which the {model_name(session)} does not name: run a prompt instead."


def shows_features(session: Session | None) -> bool:
    """Whether the session's circuit is a graph of features that was made here."""
    told = {} if session is None or session.circuit is None else session.circuit.metadata
    return told.get("method") == GRAPH_METHOD and not told.get("format")  # no file's
