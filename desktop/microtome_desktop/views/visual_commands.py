"""What the commands of the panel Visualise do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome.errors import InputError
from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    # Panels come one at a turn.
    from microtome_desktop.views.panel import Panel
    from microtome_desktop.views.visual_panel import VisualPanel


class VisualCommands(QObject):
    """Hands each command on to the panel; there is none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.VISUALISE: lambda: self._act(lambda panel: panel.run_visualisation()),
            CommandId.VISUALISE_FEATURE: lambda: self._act(lambda panel: panel.run_feature()),
            CommandId.USE_VISUALISATION: lambda: self._act(lambda panel: panel.use_chosen()),
        }

    def _act(self, act: Callable[[VisualPanel], None]) -> None:
        from microtome_desktop.views.visual_panel import VisualPanel

        panel = self._panels.get("visualise")
        if not isinstance(panel, VisualPanel):
            return
        self._window.show_panel("visualise")
        try:
            act(panel)
        except InputError as error:
            self._desk.notices.warn(error.what, error.way_out)
