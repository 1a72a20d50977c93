"""What the commands about adapters and the tree of modules do."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.patience import Patience


class AdapterCommands(QObject):
    """Opens the dialog of an adapter, and the panel of modules."""

    def __init__(self, window: MainWindow, desk: Desk, patience: Patience) -> None:
        super().__init__(window)
        self._window, self._desk, self._patience = window, desk, patience

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.OPEN_ADAPTER: self.open_adapter,
            CommandId.SHOW_MODULES: lambda: self._window.show_panel("modules"),
        }

    def open_adapter(self) -> None:
        """Ask for an adapter's files and for the word to run it."""
        from microtome_desktop.views.adapter_dialog import AdapterDialog

        AdapterDialog(self._desk, self._patience, self._window).show()
