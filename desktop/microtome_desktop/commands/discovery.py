"""The commands of the discovery panel: their rows, and when they can be used."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation

_ID = CommandId


def _no_session(now: Situation) -> str:
    held = now.desk.workspace.session is not None
    return "" if held else "There is nothing yet: run a prompt first."


def _cannot_discover(now: Situation) -> str:
    session = now.desk.workspace.session
    if session is not None and now.desk.workspace.offline:
        return f"Needs the model {session.model.name}: attach it first."
    return _no_session(now)


def _no_discovery(now: Situation) -> str:
    session = now.desk.workspace.session
    held = () if session is None else session.analyses.values()
    found = any(analysis.kind == "discovery" for analysis in held)
    return "" if found else _no_session(now) or "There is no discovered circuit yet: find one."


def _cannot_measure(now: Situation) -> str:
    return _no_discovery(now) or _cannot_discover(now)


DISCOVERY_COMMANDS = (
    Command(_ID.DISCOVER, "Run", "Find the circuit", "Score every edge of the model on the task "
            "of the Discovery panel, and test circuits of every size", "mdi6.set-center",
            "Ctrl+Shift+V", _cannot_discover, starts_group=True),
    Command(_ID.MEASURE_SIZE, "Run", "Measure this size", "Test the discovered circuit of exactly "
            "the size that the dial says", "mdi6.ruler", "", _cannot_measure),
)  # fmt: skip
