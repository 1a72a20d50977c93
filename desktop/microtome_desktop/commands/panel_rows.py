"""The rows of the table of commands that go from panel to panel, and do what title bars offer."""

from __future__ import annotations

from microtome_desktop.commands.command import Command, CommandId

_ID = CommandId
_MENU = "View"
PANEL_ROWS = (
    Command(_ID.NEXT_PANEL, _MENU, "Next panel", "Give the keyboard to the next panel on screen",
            "mdi6.arrow-right-bold-box-outline", "F6", starts_group=True),
    Command(_ID.PREVIOUS_PANEL, _MENU, "Previous panel",
            "Give the keyboard to the panel before on screen", "mdi6.arrow-left-bold-box-outline",
            "Shift+F6"),
    Command(_ID.FLOAT_PANEL, _MENU, "Float or dock the panel", "Let the panel that has the "
            "keyboard float, or dock it again", "mdi6.dock-window", "F7"),
    Command(_ID.HIDE_PANEL, _MENU, "Hide the panel", "Hide the panel that has the keyboard; this "
            "menu shows it again", "mdi6.close-box-outline", "Shift+F7"),
    Command(_ID.EXPORT_PANEL, _MENU, "Export the panel…", "Open what the panel that has the "
            "keyboard hands out: pictures, its table, its lines of Python",
            "mdi6.dots-horizontal", "F8"),
)  # fmt: skip
