"""The rows of the table of commands that the panel Lesions acts on."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.state.made_by import needs_model


def _needs_session(now: Situation) -> str:
    shown = now.desk.workspace.session
    return "" if shown is not None else "There is nothing yet: run a prompt or an image first."


def _needs_model(now: Situation) -> str:
    session = now.desk.workspace.session
    if session is None:
        return _needs_session(now)
    return needs_model(session) if now.desk.workspace.offline else ""


_ID = CommandId
_MENU = "Vision"
LESION_COMMANDS = (
    Command(_ID.LESION, _MENU, "Try a lesion", "Change the units that the panel Lesions is set to, "
            "and see what the model still does, beside random lesions",
            "mdi6.lightning-bolt-outline", "Ctrl+Alt+Z", _needs_model, starts_group=True),
    Command(_ID.ADD_TO_LESION, _MENU, "Add to the lesion", "Add the selected heads, neurons or "
            "channels to the units that are chosen by hand in the panel Lesions",
            "mdi6.plus-circle-outline", "", _needs_session),
)  # fmt: skip
