"""The rows of the table of commands that the panels See and Units act on."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.state.made_by import needs_model


def needs_sight(now: Situation) -> str:
    """Why nothing can be asked of a model that sees, empty when it can."""
    workspace = now.desk.workspace
    if workspace.model is not None and not workspace.model.sees:
        return "The model reads text: open one that sees, such as shapes-resnet."
    if workspace.session is None:
        return "There is nothing yet: open a model that sees, and run an image."
    return needs_model(workspace.session) if workspace.offline else ""


def _needs_image(now: Situation) -> str:
    if reason := needs_sight(now):
        return reason
    session = now.desk.workspace.session
    clean = None if session is None else session.clean
    return "" if clean is not None and clean.image is not None else "Run an image first."


_ID = CommandId
_MENU = "Vision"
SEEING_COMMANDS = (
    Command(_ID.ATTRIBUTE_IMAGE, _MENU, "Map what a class rests on", "Compute the attribution map "
            "that the panel See is set to: how much each part of the image is to do with a class",
            "mdi6.map-search-outline", "Ctrl+Alt+M", _needs_image),
    Command(_ID.READ_UNITS, _MENU, "Read the units of a layer", "Show images and gratings to the "
            "model, and see in the panel Units what each unit of the layer answers to",
            "mdi6.view-grid-outline", "Ctrl+Alt+Q", needs_sight),
)  # fmt: skip
