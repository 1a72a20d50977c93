"""The settings that can be found by name, and what they are set to."""

from __future__ import annotations

from dataclasses import dataclass

from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.state.settings import Settings

MODELS, WORK, WINDOW, SHORTCUTS = "Models", "Work", "Window", "Shortcuts"
PAGES = (MODELS, WORK, WINDOW, SHORTCUTS)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A row: the name of the property, the page it is on, its title and what it does."""

    name: str
    page: str
    title: str
    tip: str


SETTINGS = (
    SettingRow("device", MODELS, "Device", "Where models are loaded. A change loads the model "
               "again; what is on screen stays."),
    SettingRow("dtype", MODELS, "Precision", "The number format of models. float32 is what "
               "everything is tested with; bfloat16 halves the memory and rounds to three digits."),
    SettingRow("threads", MODELS, "Threads", "On how many threads models compute. Automatic "
               "leaves one core to the window."),
    SettingRow("activations", WORK, "Activations that a run keeps", "At most so much memory for "
               "each run, the most useful sites first. A panel says what it lacks."),
    SettingRow("points", WORK, "Points of a feature space", "At most so many when you press "
               "Project; prompts take turns until they are reached."),
    SettingRow("edges", WORK, "Edges kept into each node", "Of a circuit, the strongest. More "
               "edges take more memory and a larger file."),
    SettingRow("autosave", WORK, "Keep what is unsaved", "What has changed outlives a crash, "
               "beside the session's file or for the next start. The file stays as you saved it."),
    SettingRow("theme", WINDOW, "Theme", "Dark, light, or whatever the system's theme is at the "
               "moment."),
    SettingRow("colour_map", WINDOW, "Colour map", "How heat maps and attention show values from "
               "zero upward. All four are perceptually uniform and safe for colour-blind eyes."),
    SettingRow("zoom", WINDOW, "Size of text and controls", "Text and controls become larger or "
               "smaller together when Microtome is opened the next time."),
    SettingRow("shortcuts", SHORTCUTS, "Keyboard shortcuts", "The keys of every command. Choose "
               "a command, then press its new keys."),
)  # fmt: skip


def setting_row(name: str) -> SettingRow:
    """The row of a setting."""
    return next(row for row in SETTINGS if row.name == name)


def value_text(settings: Settings, name: str) -> str:
    """What a setting is now, for example ``cpu`` or ``110 %``."""
    match name:
        case "threads":
            return str(settings.threads) if settings.threads else "automatic"
        case "zoom":
            return f"{settings.zoom} %"
        case "activations" | "points" | "edges" | "autosave":
            return number_text(name, getattr(settings, name))
        case "shortcuts":
            count = len(settings.shortcuts)
            return f"{count} changed" if count else "as they come"
        case _:
            return str(getattr(settings, name))


def number_text(name: str, value: int) -> str:
    """How the value of a budget reads."""
    match name:
        case "activations":
            return bytes_text(value << 20)
        case "autosave":
            return f"after {value} s" if value else "never"
        case _:
            return f"{value:,}"
