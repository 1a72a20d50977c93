"""What the lines of the command palette do."""

from __future__ import annotations

from PySide6.QtCore import QObject

from microtome_desktop.commands.command import Situation
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.lessons import lesson
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.palette_entries import Entry, entries
from microtome_desktop.views.palette_window import Palette


class Finding(QObject):
    """Opens the palette with everything there is, and acts on the choice."""

    def __init__(self, window: MainWindow, desk: Desk, runner: JobRunner) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner = window, desk, runner
        self.palette = Palette(window, self._everything)

    def ask(self) -> None:
        """Open the palette."""
        self.palette.ask(self._choose)

    def _everything(self) -> tuple[Entry, ...]:
        now = Situation(self._desk, bool(self._runner.under_way))
        return entries(now, lambda wanted: command(wanted).shortcut)

    def _choose(self, entry: Entry) -> None:
        if entry.command is not None:
            self._window.actions_table.trigger(entry.command)
        elif entry.lesson:
            dock = self._window.docks["lessons"]
            dock.show()
            dock.raise_()
            self._desk.course.start(lesson(entry.lesson))
        else:
            self._desk.selection.update(**dict(entry.selects))
