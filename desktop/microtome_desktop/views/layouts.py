"""Layouts of the panels under names of the user's own."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QInputDialog, QMenu

from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow


class Layouts(QObject):
    """Saves where the panels are, and puts them there again."""

    def __init__(self, window: MainWindow, desk: Desk) -> None:
        super().__init__(window)
        self._window, self._desk = window, desk
        view = window.actions_table.menus["View"]
        self.menu = QMenu("Layouts", view)
        self._away = QMenu("Delete", self.menu)  # made once: clearing a menu keeps its children
        view.insertMenu(window.actions_table.actions[CommandId.SAVE_LAYOUT], self.menu)
        self.menu.aboutToShow.connect(self._fill)

    def save(self) -> None:
        """Ask for a name and keep the layout under it."""
        name, given = QInputDialog.getText(
            self._window, "Save this layout", "Name of the layout (an old one is replaced):"
        )
        if given and name.strip():
            self.keep(name.strip())

    def keep(self, name: str) -> None:
        """Keep where the panels are now."""
        _, state = self._window.layout_bytes()
        held = {**self._desk.settings.layouts, name: bytes(state.toHex().data()).decode()}
        self._desk.settings.layouts = held
        self._desk.notices.info(f"Layout {name} saved")

    def use(self, name: str) -> None:
        """Put the panels where a layout has them."""
        held = self._desk.settings.layouts.get(name, "")
        if not self._window.restore_layout(None, QByteArray.fromHex(held.encode())):
            self._desk.notices.warn(
                f"The layout {name} does not fit",
                "It is of another version of Microtome. Arrange the panels and save it again.",
            )

    def delete(self, name: str) -> None:
        """Forget a layout."""
        held = self._desk.settings.layouts
        self._desk.settings.layouts = {n: state for n, state in held.items() if n != name}

    def _fill(self) -> None:
        self.menu.clear()
        self._away.clear()
        names = sorted(self._desk.settings.layouts, key=str.casefold)
        for name in names:
            self._entry(self.menu, name).triggered.connect(self._on_use)
            self._entry(self._away, name).triggered.connect(self._on_delete)
        if names:
            self.menu.addSeparator()
            self.menu.addMenu(self._away)
        else:
            self.menu.addAction("None saved yet").setEnabled(False)

    def _entry(self, menu: QMenu, name: str) -> QAction:
        action = menu.addAction(name.replace("&", "&&"))  # no letter of it is a mnemonic
        action.setData(name)
        return action

    def _on_use(self) -> None:
        self.use(self._named())

    def _on_delete(self) -> None:
        self.delete(self._named())

    def _named(self) -> str:
        action = self.sender()
        return str(action.data()) if isinstance(action, QAction) else ""
