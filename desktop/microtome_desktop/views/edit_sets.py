"""The menu of named sets of edits."""

from __future__ import annotations

from functools import partial

from PySide6.QtWidgets import QMenu, QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.views.circuit_menu import command_action, plain_title
from microtome_desktop.views.panel import PanelContext


class SetsMenu(QMenu):
    """Keep the edits under a name, put a named set in their place, forget one."""

    def __init__(self, context: PanelContext, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("edit_sets")
        self.setToolTipsVisible(True)
        self._context = context
        self._away = QMenu("Delete", self)  # made once: a menu that is cleared keeps its children
        self.aboutToShow.connect(self._fill)

    def _fill(self) -> None:
        self.clear()
        self.addAction(command_action(self._context, CommandId.SAVE_EDITS, self))
        sets = self._context.book.marks.edit_sets
        if not sets:
            return
        self.addSeparator()
        for held in sets:
            load = self.addAction(f"{plain_title(held.name)}  ({len(held.edits)})")
            load.triggered.connect(partial(self._load, held.name))
        self._away.clear()
        self.addMenu(self._away)
        for held in sets:
            drop = self._away.addAction(plain_title(held.name))
            drop.triggered.connect(partial(self._delete, held.name))

    def _load(self, name: str, _checked: bool = False) -> None:
        self._context.book.load_edit_set(name)

    def _delete(self, name: str, _checked: bool = False) -> None:
        self._context.book.delete_edit_set(name)
