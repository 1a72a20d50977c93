"""Commands about claims on the circuit: hypotheses, paths and edges."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation

_ID = CommandId


def _cannot_test(now: Situation) -> str:
    workspace = now.desk.workspace
    if workspace.session is None:
        return "There is nothing yet: run a prompt first."
    if not now.desk.book.marks.hypotheses:
        return "There is no hypothesis yet: draw one in the panel Hypothesis."
    return _offline(now)


def _offline(now: Situation) -> str:
    workspace = now.desk.workspace
    if workspace.session is not None and workspace.offline:
        return f"Needs the model {workspace.session.model.name}: attach it first."
    return ""


RUN_ROWS = (
    Command(_ID.TEST_HYPOTHESIS, "Run", "Test the hypothesis", "Read every part from other inputs "
            "that agree on what it claims, and see what is left of the answer",
            "mdi6.head-question-outline", "Ctrl+Shift+X", _cannot_test),
)  # fmt: skip
