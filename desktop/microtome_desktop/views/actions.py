"""Menus, tool bar and shortcuts, made from the command table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu, QToolBar

from microtome_desktop.commands.command import Command, CommandId, Situation
from microtome_desktop.commands.table import COMMANDS, MENUS, command


class Actions(QObject):
    """One QAction a command; they do nothing until handlers are bound."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._handlers: Mapping[CommandId, Callable[[], None]] = {}
        self.before: Callable[[], None] = _nothing  # done before any command
        self.menus: dict[str, QMenu] = {}
        self._keys: dict[CommandId, str] = {}  # as this system writes them
        self._told: dict[CommandId, tuple[str, str]] = {}  # why not, and its keys, as last shown
        self.actions = {row.id: self._action(row.id, row.title, window) for row in COMMANDS}
        self._fill_menus(window)

    def _action(self, wanted: CommandId, title: str, window: QMainWindow) -> QAction:
        action = QAction(title, window)
        action.setObjectName(str(wanted))
        action.triggered.connect(lambda: self.trigger(wanted))
        window.addAction(action)
        return action

    def _fill_menus(self, window: QMainWindow) -> None:
        for title in MENUS:
            menu = window.menuBar().addMenu(title)
            menu.setToolTipsVisible(True)
            menu.setObjectName(f"menu_{title.lower()}")
            self.menus[title] = menu
        for row in COMMANDS:
            if row.starts_group and not self.menus[row.menu].isEmpty():
                self.menus[row.menu].addSeparator()
            self.menus[row.menu].addAction(self.actions[row.id])
        self.use_keys({row.id: row.shortcut for row in COMMANDS})

    def use_keys(self, keys: Mapping[CommandId, str]) -> None:
        """Give every command its keys, from now on."""
        for wanted, text in keys.items():
            sequence = QKeySequence(text, QKeySequence.SequenceFormat.PortableText)
            self.actions[wanted].setShortcut(sequence)
            self._keys[wanted] = sequence.toString(QKeySequence.SequenceFormat.NativeText)

    def fill_tool_bar(self, bar: QToolBar) -> None:
        """Put the commands of the tool bar there, those that run first."""
        for menu in ("Run", "File"):
            if bar.actions():
                bar.addSeparator()
            for row in COMMANDS:
                if row.tool_bar and row.menu == menu:
                    bar.addAction(self.actions[row.id])

    def bind(self, handlers: Mapping[CommandId, Callable[[], None]]) -> None:
        """From now on these commands act, beside those that do already."""
        self._handlers = {**self._handlers, **handlers}

    @property
    def handled(self) -> frozenset[CommandId]:
        """The commands that act."""
        return frozenset(self._handlers)

    def trigger(self, wanted: CommandId) -> None:
        """Run a command."""
        if wanted in self._handlers:
            self.before()
            self._handlers[wanted]()

    def say(self, wanted: CommandId, about: str) -> None:
        """Add to a command's title what it is about now, as in “Undo Pin L2H1”."""
        title = command(wanted).title
        self.actions[wanted].setText(f"{title} “{about}”".replace("&", "&&") if about else title)

    def update(self, now: Situation) -> None:
        """Enable what can be done now; the tool tip of what cannot ends with the reason."""
        for row in COMMANDS:
            self.update_one(row.id, now)

    def update_one(self, wanted: CommandId, now: Situation) -> None:
        """The same for one command."""
        row = command(wanted)
        told = row.blocked(now), self._keys[wanted]
        if self._told.get(wanted) != told:  # hardly any differs from one time to the next
            self._told[wanted] = told
            self._tell(row, *told)

    def _tell(self, row: Command, reason: str, keys: str) -> None:
        action, said = self.actions[row.id], f"{row.tip} ({keys})" if keys else row.tip
        action.setEnabled(not reason)
        action.setToolTip(f"{said}\n{reason}" if reason else said)


def _nothing() -> None:
    """Nothing has to be done first."""
