"""What the commands of the Space menu do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome_desktop.commands.command import CommandId
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    # Plots take a third of a second to import: they come with their panels, one at a turn.
    from microtome_desktop.views.feature_space_panel import FeatureSpacePanel
    from microtome_desktop.views.panel import Panel


class SpaceCommands(QObject):
    """Hands each command on to the feature space; there is none before the window is full."""

    def __init__(self, window: MainWindow, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._panels = window, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.LASSO: self._act(lambda panel: panel.switch_tool("lasso")),
            CommandId.BOX: self._act(lambda panel: panel.switch_tool("box")),
            CommandId.PLAY_LAYERS: self._act(lambda panel: panel.walk.switch()),
            CommandId.SITE_BESIDE: self._act(lambda panel: panel.add_view()),
        }

    def _act(self, act: Callable[[FeatureSpacePanel], None]) -> Callable[[], None]:
        def run() -> None:
            from microtome_desktop.views.feature_space_panel import FeatureSpacePanel

            panel = self._panels.get("feature_space")
            if isinstance(panel, FeatureSpacePanel):
                self._window.show_panel("feature_space")
                act(panel)

        return run
