"""Commands about claims on the circuit: hypotheses, paths and edges."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.needs import needs_session, offline
from microtome_desktop.state.made_by import shows_features

_ID = CommandId
_MENU = "Experiments"


def _cannot_test(now: Situation) -> str:
    if reason := needs_session(now):
        return reason
    if not now.desk.book.marks.hypotheses:
        return "There is no hypothesis yet: draw one in the panel Hypothesis."
    return offline(now)


def _no_circuit(now: Situation) -> str:
    session = now.desk.workspace.session
    if session is None or session.circuit is None:
        return "There is no circuit yet: run a prompt first."
    if shows_features(session):
        return "Only in a circuit of heads and MLPs: its run is in the history."
    return offline(now)


def _no_path(now: Situation) -> str:
    if reason := _no_circuit(now):
        return reason
    chosen = now.desk.selection.current.node
    return "" if chosen is not None else "Click the node that the path begins at."


def _no_edge(now: Situation) -> str:
    if reason := _no_circuit(now):
        return reason
    return "" if now.desk.selection.current.edge is not None else "Click an edge first."


CIRCUIT_ROWS = (
    Command(_ID.PATCH_PATH, "Circuit", "Patch this path", "Exchange what flows along the selected "
            "nodes, and nothing beside them, and see its share", "mdi6.transit-connection-variant",
            "Ctrl+Shift+B", _no_path, starts_group=True),
    Command(_ID.WHY_EDGE, "Circuit", "Why this edge?", "Split the weight of the selected edge by "
            "the heads and MLPs that read on what it brings", "mdi6.help-rhombus-outline",
            "", _no_edge),
)  # fmt: skip
RUN_ROWS = (
    Command(_ID.TEST_HYPOTHESIS, _MENU, "Test the hypothesis", "Read every part from other inputs "
            "that agree on what it claims, and see what is left of the answer",
            "mdi6.head-question-outline", "Ctrl+Shift+J", _cannot_test),
)  # fmt: skip
