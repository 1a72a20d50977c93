"""The rows of the table of commands that the panel Visualise acts on."""

from __future__ import annotations

from microtome.records.visualisation import VISUALISATION
from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.seeing_rows import needs_sight


def _needs_pictures(now: Situation) -> str:
    session = now.desk.workspace.session
    held = () if session is None else session.analyses.values()
    if any(one.kind == VISUALISATION for one in held):
        return ""
    return "There are no pictures yet: make some in the panel Visualise."


_ID = CommandId
_MENU = "Vision"
VISUAL_COMMANDS = (
    Command(_ID.VISUALISE, _MENU, "Visualise", "Make pictures that the class, unit, direction or "
            "feature chosen in the panel Visualise answers to", "mdi6.image-auto-adjust",
            "Ctrl+Alt+X", needs_sight),
    Command(_ID.USE_VISUALISATION, _MENU, "Use the picture as image", "Ask the model about the "
            "picture that is chosen in the panel Visualise", "mdi6.image-move", "",
            _needs_pictures),
)  # fmt: skip
