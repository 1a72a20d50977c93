"""What the commands about hypotheses do."""

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


class HypothesisCommands(QObject):
    """Hands the command on to the panel; there is none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {CommandId.TEST_HYPOTHESIS: self._test}

    def _test(self) -> None:
        from microtome_desktop.views.hypothesis_panel import HypothesisPanel

        panel = self._panels.get("hypothesis")
        if isinstance(panel, HypothesisPanel):
            self._window.show_panel("hypothesis")
            panel.run()
            if reason := panel.why_not:
                self._desk.notices.warn("The hypothesis cannot be tested yet", reason)
