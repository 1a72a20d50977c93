"""What the command about all heads does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    # Panels come one at a turn.
    from microtome_desktop.views.panel import Panel


class HeadCommands(QObject):
    """Hands the command on to the panel; there is none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {CommandId.HEAD_EFFECTS: self._measure}

    def _measure(self) -> None:
        from microtome_desktop.views.heads_panel import HeadsPanel

        panel = self._panels.get("heads")
        if isinstance(panel, HeadsPanel):
            self._window.show_panel("heads")
            if reason := panel.measure():
                self._desk.notices.info(reason)
