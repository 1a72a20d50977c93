"""What the commands of the suite panel do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome.errors import InputError
from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    # Plots come with their panels, one at a turn.
    from microtome_desktop.views.panel import Panel
    from microtome_desktop.views.suite_panel import SuitePanel


class SuiteCommands(QObject):
    """Hands each command on to the panel; there is none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.SUITE: self._act(lambda panel: panel.run_suite()),
            CommandId.SLICE_CIRCUITS: self._act(lambda panel: panel.compare_slices()),
            CommandId.REDUNDANCY: self._act(lambda panel: panel.find_redundancy()),
            CommandId.REMOVE_PARTS: self._act(lambda panel: panel.remove_recommended()),
            CommandId.SWAPS: self._act(lambda panel: panel.search_swaps()),
        }

    def _act(self, act: Callable[[SuitePanel], None]) -> Callable[[], None]:
        def run() -> None:
            from microtome_desktop.views.suite_panel import SuitePanel

            panel = self._panels.get("suite")
            if not isinstance(panel, SuitePanel):
                return
            self._window.show_panel("suite")
            try:
                act(panel)
            except InputError as error:
                self._desk.notices.warn(error.what, error.way_out)

        return run
