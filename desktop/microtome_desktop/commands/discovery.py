"""The commands of the discovery panel: their rows, and when they can be used."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.needs import needs_its_model, needs_session

_ID = CommandId
_MENU = "Experiments"


def _no_discovery(now: Situation) -> str:
    session = now.desk.workspace.session
    held = () if session is None else session.analyses.values()
    found = any(analysis.kind == "discovery" for analysis in held)
    return "" if found else needs_session(now) or "There is no discovered circuit yet: find one."


def _cannot_edit(now: Situation) -> str:
    from microtome_desktop.state.edit_places import Grounds, why_no_edits

    return _no_discovery(now) or why_no_edits(Grounds.of(now.desk.workspace, now.desk.library))


def _cannot_measure(now: Situation) -> str:
    return _no_discovery(now) or needs_its_model(now)


DISCOVERY_COMMANDS = (
    Command(_ID.DISCOVER, _MENU, "Find the circuit", "Score every edge of the model on the task "
            "of the Discovery panel, and test circuits of every size", "mdi6.set-center",
            "Ctrl+Shift+V", needs_its_model, starts_group=True),
    Command(_ID.COMPARE_CIRCUITS, _MENU, "Compare circuits", "Show what the ticked circuits of the "
            "Discovery panel share and what each has alone", "mdi6.set-all", "", _no_discovery),
    Command(_ID.JUDGE_CIRCUIT, _MENU, "Judge the circuit", "Ask whether the circuit of the dial's "
            "size is complete, minimal and stable", "mdi6.gavel", "", _cannot_measure),
    Command(_ID.KNOWN_CIRCUIT, _MENU, "Known circuit…", "Compare the ticked circuits with edges "
            "that are known", "mdi6.check-decagram-outline", "", _no_discovery),
    Command(_ID.FORGET_CIRCUIT, _MENU, "Forget this circuit", "Take the circuit that Discovery "
            "shows off its list, with its curve and judgements; undo brings it back",
            "mdi6.set-none", "", _no_discovery),
    Command(_ID.MEASURE_SIZE, _MENU, "Measure this size", "Test the discovered circuit of exactly "
            "the size that the dial says", "mdi6.ruler", "", _cannot_measure),
    Command(_ID.ABLATE_OUTSIDE, _MENU, "Ablate what is outside", "Put edits on the list for every "
            "head and MLP that is not in the discovered circuit of the dial's size",
            "mdi6.selection-ellipse-remove", "", _cannot_edit),
)  # fmt: skip
