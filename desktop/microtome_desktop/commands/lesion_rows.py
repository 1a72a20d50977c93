"""The rows of the table of commands that the panel Lesions acts on."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId
from microtome_desktop.commands.needs import needs_its_model, needs_session

_ID = CommandId
_MENU = "Vision"
LESION_COMMANDS = (
    Command(_ID.LESION, _MENU, "Try a lesion", "Change the units that the panel Lesions is set to, "
            "and see what the model still does, beside random lesions",
            "mdi6.lightning-bolt-outline", "Ctrl+Alt+Z", needs_its_model, starts_group=True),
    Command(_ID.ADD_TO_LESION, _MENU, "Add to the lesion", "Add the selected heads, neurons or "
            "channels to the units that are chosen by hand in the panel Lesions",
            "mdi6.plus-circle-outline", "", needs_session),
)  # fmt: skip
