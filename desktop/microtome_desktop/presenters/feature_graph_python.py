"""The lines of Python that make a graph of features again, and what edits of it do."""

from __future__ import annotations

from collections.abc import Iterable

from microtome.records.feature_edit import FeatureEditSpec
from microtome.records.session import Session
from microtome.session.edit_lists import read_feature_edits
from microtome_desktop.presenters.feature_edits import NO_FEATURE_EDIT
from microtome_desktop.state.feature_acts import acting
from microtome_desktop.state.made_by import shows_features


def graph_lines(session: Session) -> tuple[str, ...]:
    """``transcoders`` and ``circuit``, behind ``model`` and ``question``."""
    told = {} if session.circuit is None else session.circuit.metadata
    edits = read_feature_edits(told.get("feature_edits", []))
    given = ", changes=changes" if edits else ""
    changes = _changes(edits) if edits else ()
    return (
        f"transcoders = mt.load_transcoders({told.get('transcoders', '')!r})",
        *changes,
        f"circuit = mt.attribution_graph(model, transcoders, question.prompt{given})",
    )


def _changes(edits: Iterable[FeatureEditSpec]) -> tuple[str, ...]:
    lines = (
        f"    mt.FeatureChange({e.layer}, {e.feature}, {e.action!r}, {e.amount}, {e.positions}),"
        for e in edits
    )
    return ("changes = [", *lines, "]")


def feature_edit_lines(session: Session) -> tuple[str, ...] | str:
    """``predictions`` and ``text`` without and with the edits, and ``graph`` with them."""
    edits = acting(session.marks)
    if not shows_features(session) or not edits or session.question is None:
        return NO_FEATURE_EDIT
    from microtome_desktop.presenters.as_python import lines_of

    name = "" if session.circuit is None else session.circuit.metadata.get("transcoders", "")
    mode = session.marks.feature_mode
    return lines_of(
        session,
        f"transcoders = mt.load_transcoders({name!r})",
        *_changes(edits),
        "found = mt.feature_intervention(",
        f"    model, transcoders, question.prompt, changes, mode={mode!r}",
        ")",
        "predictions = found.predictions",
        "edit = mt.FeatureEdit(transcoders, tuple(changes))",
        "text = mt.generate(model, question.prompt, edits=[edit]).text",
        "graph = mt.attribution_graph(model, transcoders, question.prompt, changes=changes)",
    )
