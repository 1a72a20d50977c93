"""The rows of the table of commands that the panel Visualise acts on."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.seeing_rows import needs_sight


def _needs_pictures(now: Situation) -> str:
    from microtome.records.visualisation import VISUALISATION  # which the first frame waits not for

    session = now.desk.workspace.session
    held = () if session is None else session.analyses.values()
    if any(one.kind == VISUALISATION for one in held):
        return ""
    return "There are no pictures yet: make some in the panel Visualise."


def _no_feature(now: Situation) -> str:
    from microtome_desktop.state.visualisations import feature_to_visualise

    if reason := needs_sight(now):
        return reason
    selected = now.desk.selection.current.feature
    if selected is None:
        return "Select a feature first, in the panel Features."
    found = feature_to_visualise(selected, now.desk.dictionaries.held)
    return "" if found is not None else "The dictionary is not open: open it again."


_ID = CommandId
_MENU = "Vision"
VISUAL_COMMANDS = (
    Command(_ID.VISUALISE, _MENU, "Visualise", "Make pictures that the class, unit, direction or "
            "feature chosen in the panel Visualise answers to", "mdi6.image-auto-adjust",
            "Ctrl+Alt+H", needs_sight),
    Command(_ID.VISUALISE_FEATURE, _MENU, "Visualise the selected feature", "Make pictures that "
            "the selected feature of a dictionary answers to, as the panel Visualise is set",
            "mdi6.image-auto-adjust", "", _no_feature),
    Command(_ID.USE_VISUALISATION, _MENU, "Use the picture as image", "Ask the model about the "
            "picture that is chosen in the panel Visualise", "mdi6.image-move", "",
            _needs_pictures),
)  # fmt: skip
