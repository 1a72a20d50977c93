"""What the commands of the discovery panel do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    # Plots come with their panels, one at a turn.
    from microtome_desktop.views.discovery_panel import DiscoveryPanel
    from microtome_desktop.views.panel import Panel


class DiscoveryCommands(QObject):
    """Hands each command on to the panel; there is none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.DISCOVER: self._act(self._discover),
            CommandId.MEASURE_SIZE: self._act(self._measure),
            CommandId.ABLATE_OUTSIDE: self._act(self._ablate),
            CommandId.COMPARE_CIRCUITS: self._act(lambda panel: panel.compare()),
            CommandId.JUDGE_CIRCUIT: self._act(self._judge),
            CommandId.FORGET_CIRCUIT: self._act(self._forget),
            CommandId.KNOWN_CIRCUIT: self._act(lambda panel: panel.tests.ask_known()),
        }

    def _forget(self, panel: DiscoveryPanel) -> None:
        if reason := panel.tests.forget():
            self._desk.notices.warn("The circuit was not forgotten", reason)

    def _discover(self, panel: DiscoveryPanel) -> None:
        panel.run()
        if reason := panel.why_not:
            self._desk.notices.warn("No circuit can be looked for yet", reason)

    def _ablate(self, panel: DiscoveryPanel) -> None:
        if reason := panel.tests.ablate_outside():
            self._desk.notices.warn("No edit was made", reason)

    def _measure(self, panel: DiscoveryPanel) -> None:
        if reason := panel.tests.why_not_now:
            self._desk.notices.warn("This size cannot be measured", reason)
        panel.tests.measure()

    def _judge(self, panel: DiscoveryPanel) -> None:
        if reason := panel.tests.why_not_now:
            self._desk.notices.warn("The circuit cannot be judged", reason)
        panel.tests.judge()

    def _act(self, act: Callable[[DiscoveryPanel], None]) -> Callable[[], None]:
        def run() -> None:
            from microtome_desktop.views.discovery_panel import DiscoveryPanel

            panel = self._panels.get("discovery")
            if isinstance(panel, DiscoveryPanel):
                self._window.show_panel("discovery")
                act(panel)

        return run
