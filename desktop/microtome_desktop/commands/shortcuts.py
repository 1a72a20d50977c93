"""The keys of every command: those of the table, or the user's own."""

from __future__ import annotations

from dataclasses import dataclass

from microtome_desktop.commands.command import Command, CommandId
from microtome_desktop.commands.table import COMMANDS, MENUS, command
from microtome_desktop.state.settings import Settings

# What panels listen to themselves; a command on such a key would never be reached there.
CIRCUIT_KEYS = (
    ("Up, Down", "Along the strongest edge: to what the node feeds, or what feeds it"),
    ("Left, Right", "To the neighbour in the same layer"),
    ("Home", "To the metric"),
    ("F, double click", "Show the whole circuit"),
)
SPACE_KEYS = (
    ("Shift, Alt or Ctrl", "With lasso or box: add to the chosen group, take from it"),
    ("Esc", "Drop the pointer or the lasso, then turn the view again"),
    ("N, Shift+N", "Point at the next point, the one before; PgUp, PgDown, Home, End by more"),
    ("Ctrl and an arrow", "Point at the nearest point on that side"),
    ("Return", "Select the point; with Shift or Ctrl add it to the chosen group, take it away"),
    ("G", "A group of all points of its colour"),
    ("F2, Del", "On a group of the list: rename, delete"),
)
PATCHING_KEYS = (
    ("Up, Down, Left, Right", "To the next cell; with Shift stretch the region"),
    ("Return, double click", "Make the chosen cells edits"),
)
PROMPT_KEYS = (
    ("Return", "Run"),
    ("Shift+Return", "A new line"),
    ("Tab", "To the next field"),
    ("PgUp, PgDown, Ctrl+V", "On an image: the one before, the next one, that of the clipboard"),
)
_FIXED = {
    **dict.fromkeys(("Up", "Down", "Left", "Right", "Home", "F"), "walks in the circuit"),
    **dict.fromkeys(("Return", "Enter", "Shift+Return", "Tab", "Space"), "belongs to fields"),
    **dict.fromkeys(("Backspace", "Del", "End", "PgUp", "PgDown"), "belongs to fields and lists"),
    **dict.fromkeys(("Ctrl+C", "Ctrl+X", "Ctrl+V"), "copies, cuts and pastes text"),
    "Ctrl+A": "selects all text",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of the sheet with its lines: keys, and what they do."""

    title: str
    lines: tuple[tuple[str, str], ...]


def keys_of(settings: Settings, wanted: CommandId) -> str:
    """The keys of a command as portable text, for example ``Ctrl+S``; empty without any."""
    return settings.shortcuts.get(str(wanted), command(wanted).shortcut)


def all_keys(settings: Settings) -> dict[CommandId, str]:
    """The keys of every command."""
    own = settings.shortcuts
    return {row.id: own.get(str(row.id), row.shortcut) for row in COMMANDS}


def taken_by(settings: Settings, keys: str, wanted: CommandId) -> Command | None:
    """Another command that has these keys, None when they are free."""
    held = all_keys(settings)
    users = (row for row in COMMANDS if row.id is not wanted and held[row.id] == keys)
    return next(users, None) if keys else None


def not_for_commands(keys: str) -> str:
    """Why no command may have these keys, empty when one may."""
    if keys in _FIXED:
        return f"{keys} {_FIXED[keys]}: choose other keys."
    letter = keys.removeprefix("Shift+")
    if len(letter) == 1:
        return f"{keys} types a character: add Ctrl or Alt."
    return ""


def change(settings: Settings, wanted: CommandId, keys: str) -> None:
    """Give a command these keys; whoever had them goes without."""
    own = settings.shortcuts
    other = taken_by(settings, keys, wanted)
    for row, new in ((command(wanted), keys), *([(other, "")] if other else [])):
        own[str(row.id)] = new
        if new == row.shortcut:
            del own[str(row.id)]
    settings.shortcuts = own


def reset(settings: Settings, wanted: CommandId) -> None:
    """Give a command the table's keys again; whoever has them now goes without."""
    change(settings, wanted, command(wanted).shortcut)


def reset_all(settings: Settings) -> None:
    """Give every command the table's keys again."""
    settings.shortcuts = {}


def sheet(settings: Settings) -> tuple[Section, ...]:
    """Every key there is: by menu, then those of the panels that have their own."""
    held = all_keys(settings)
    menus = (
        Section(menu, tuple((held[r.id], r.title.rstrip("…")) for r in COMMANDS
                            if r.menu == menu and held[r.id]))
        for menu in MENUS
    )  # fmt: skip
    fixed = (
        Section("In the circuit", CIRCUIT_KEYS),
        Section("In the feature space", SPACE_KEYS),
        Section("In the patching map", PATCHING_KEYS),
        Section("In the prompt", PROMPT_KEYS),
    )
    return (*(section for section in menus if section.lines), *fixed)
