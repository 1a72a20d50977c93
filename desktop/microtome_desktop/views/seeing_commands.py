"""What the commands of the panels See and Units do."""

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


class SeeingCommands(QObject):
    """Hands each command on to its panel; there is none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.ATTRIBUTE_IMAGE: self._map,
            CommandId.READ_UNITS: self._read,
        }

    def _map(self) -> None:
        from microtome_desktop.views.see_panel import SeePanel

        panel = self._panels.get("see")
        if isinstance(panel, SeePanel):
            self._show("see", panel.map_attribution)

    def _read(self) -> None:
        from microtome_desktop.views.units_panel import UnitsPanel

        panel = self._panels.get("units")
        if isinstance(panel, UnitsPanel):
            self._show("units", panel.read_units)

    def _show(self, name: str, act: Callable[[], None]) -> None:
        self._window.show_panel(name)
        try:
            act()
        except InputError as error:
            self._desk.notices.warn(error.what, error.way_out)
