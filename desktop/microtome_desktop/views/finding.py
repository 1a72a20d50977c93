"""What the lines of the command palette do."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from microtome_desktop.commands.command import CommandId, Situation
from microtome_desktop.commands.shortcuts import all_keys
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.lessons import lesson
from microtome_desktop.presenters.palette_entries import (
    Entry,
    OpenLesson,
    RunCommand,
    Select,
    ShowPanel,
    ShowSetting,
    places,
)
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.palette_window import Palette
from microtome_desktop.views.panel_table import PLACES


def command_lines(now: Situation) -> list[Entry]:
    """A line for each command but the palette itself, those that cannot be used with the reason."""
    keys = all_keys(now.desk.settings)
    return [
        Entry(row.title.rstrip("…"), row.menu, RunCommand(str(row.id)), row.tip, keys[row.id],
              row.blocked(now))
        for row in COMMANDS
        if row.id is not CommandId.PALETTE
    ]  # fmt: skip


def everything(now: Situation, window: MainWindow) -> tuple[Entry, ...]:
    """All lines for what is on screen now, commands first."""
    panels = (
        Entry(place.title, "Panel", ShowPanel(place.name), "Bring this panel to the front")
        for place in PLACES
        if place.name in window.cards
    )
    return (*command_lines(now), *panels, *places(now.desk))


class Finding(QObject):
    """Opens the palette with everything there is, and acts on the choice."""

    def __init__(
        self,
        window: MainWindow,
        desk: Desk,
        runner: JobRunner,
        show_setting: Callable[[str], None],
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner = window, desk, runner
        self._show_setting = show_setting
        self.palette = Palette(window, desk.settings, self._everything)

    def ask(self) -> None:
        """Open the palette."""
        self.palette.ask(self._choose)

    def _everything(self) -> tuple[Entry, ...]:
        now = Situation(self._desk, bool(self._runner.under_way))
        return everything(now, self._window)

    def _choose(self, entry: Entry) -> None:
        match entry.act:
            case RunCommand(name):
                self._window.actions_table.trigger(CommandId(name))
            case ShowPanel(name):
                self._window.show_panel(name)
            case OpenLesson(name):
                self._window.show_panel("lessons")
                self._desk.course.start(lesson(name))
            case ShowSetting(name):
                self._show_setting(name)
            case Select(changes):
                self._desk.selection.update(**dict(changes))
