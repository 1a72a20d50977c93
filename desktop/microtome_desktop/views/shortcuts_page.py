"""The page of the settings on which the keys of commands are changed."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QBrush, QColor, QKeySequence
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.shortcuts import (
    all_keys,
    change,
    keys_of,
    not_for_commands,
    reset,
    reset_all,
    taken_by,
)
from microtome_desktop.commands.table import COMMANDS, command
from microtome_desktop.state.settings import Settings
from microtome_desktop.views.fonts import mono_font

_LINE = 25  # height of a command in the list: that of the lists in panels
_ROLE = Qt.ItemDataRole.UserRole
_NATIVE, _PORTABLE = (
    QKeySequence.SequenceFormat.NativeText,
    QKeySequence.SequenceFormat.PortableText,
)


class ShortcutsPage(QWidget):
    """Every command with its keys; those of the chosen one are changed below the list."""

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._wanted: CommandId | None = None
        self._filling = False
        self.filter = QLineEdit()
        self.filter.setAccessibleName("filter the shortcuts")
        self.filter.setPlaceholderText("Find a command or keys")
        self.filter.setClearButtonEnabled(True)
        self.list = QTreeWidget()
        self.list.setAccessibleName("commands and their keys")
        self.list.setObjectName("shortcut_list")
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setHeaderLabels(["Command", "Menu", "Keys"])
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.list.header().setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.name = QLabel()
        self.keys = QKeySequenceEdit()
        self.keys.setObjectName("new_keys")
        self.keys.setAccessibleName("new keys of the command")
        self.keys.setMaximumSequenceLength(1)
        self.keys.setClearButtonEnabled(True)
        self.keys.setFixedWidth(190)
        self.reset = QPushButton("Reset")
        self.reset_all = QPushButton("Reset all")
        self.reset_all.setToolTip("Give every command its first keys again")
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.problem.setWordWrap(True)
        self.take = QPushButton("Use them here")
        self._lay_out()
        self.filter.textChanged.connect(self._filter)
        self.list.currentItemChanged.connect(self._on_chosen)
        self.keys.editingFinished.connect(self._on_keys)
        self.keys.keySequenceChanged.connect(self._on_pressed)
        self.take.clicked.connect(self._on_take)
        self.reset.clicked.connect(self._on_reset)
        self.reset_all.clicked.connect(self._on_reset_all)
        settings.shortcuts_changed.connect(self._show_keys)
        self._fill()

    def _lay_out(self) -> None:
        edit = QHBoxLayout()
        edit.addWidget(self.name, 1)
        for widget in (self.keys, self.reset):
            edit.addWidget(widget)
        told = QHBoxLayout()
        told.addWidget(self.problem, 1)
        for widget in (self.take, self.reset_all):
            told.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.filter)
        column.addWidget(self.list, 1)
        column.addLayout(edit)
        column.addLayout(told)

    def _fill(self) -> None:
        for row in COMMANDS:
            item = QTreeWidgetItem([row.title.rstrip("…"), row.menu, ""])
            item.setSizeHint(0, QSize(0, _LINE))
            item.setData(0, _ROLE, row.id)
            item.setToolTip(0, row.tip)
            item.setForeground(1, QBrush(QColor(colours.TEXT_FAINT)))
            item.setFont(2, mono_font(12))
            self.list.addTopLevelItem(item)
        self._show_keys()
        self.list.setCurrentItem(self._items()[0])

    def _items(self) -> list[QTreeWidgetItem]:
        found = (self.list.topLevelItem(row) for row in range(self.list.topLevelItemCount()))
        return [item for item in found if item is not None]

    def choose(self, wanted: CommandId) -> None:
        """Go to a command."""
        for item in self._items():
            if item.data(0, _ROLE) == wanted:
                self.list.setCurrentItem(item)

    def _show_keys(self) -> None:
        held = all_keys(self._settings)
        for item in self._items():
            row = command(CommandId(item.data(0, _ROLE)))
            own = held[row.id] != row.shortcut
            item.setText(2, _native(held[row.id]))
            item.setForeground(2, QBrush(QColor(colours.ACCENT if own else colours.TEXT)))
            first = f"At first {_native(row.shortcut)}" if row.shortcut else "At first none"
            item.setToolTip(2, first if own else "")
        self.reset_all.setEnabled(bool(self._settings.shortcuts))
        self._show_chosen()

    def _filter(self, words: str) -> None:
        query = words.casefold().strip()
        for item in self._items():
            text = " ".join(item.text(column) for column in range(3)).casefold()
            item.setHidden(query not in text)

    def _on_chosen(self, item: QTreeWidgetItem | None, _: QTreeWidgetItem | None) -> None:
        self._wanted = None if item is None else CommandId(item.data(0, _ROLE))
        self._show_chosen()

    def _show_chosen(self) -> None:
        if self._wanted is None:
            return
        row = command(self._wanted)
        held = keys_of(self._settings, row.id)
        self.name.setText(f"Keys of “{row.title.rstrip('…')}”")
        self._filling = True
        self.keys.setKeySequence(QKeySequence(held, _PORTABLE))
        self._filling = False
        self.reset.setEnabled(held != row.shortcut)
        self.reset.setToolTip(f"Back to {_native(row.shortcut) or 'none'}")
        self._say("")

    def _say(self, problem: str, *, can_take: bool = False) -> None:
        self.problem.setText(problem)
        self.take.setVisible(can_take)

    @property
    def _pressed(self) -> str:
        return self.keys.keySequence().toString(_PORTABLE)

    def _on_pressed(self, keys: QKeySequence) -> None:
        # The button that clears the field changes it without any key.
        if not self._filling and keys.isEmpty():
            self._on_keys()

    def _on_keys(self) -> None:
        """Take the pressed keys, or say who has them."""
        if self._wanted is None or self._pressed == keys_of(self._settings, self._wanted):
            self._say("")
            return
        keys = self._pressed
        other = taken_by(self._settings, keys, self._wanted)
        if reason := not_for_commands(keys):
            self._say(reason)
        elif other is not None:
            title = other.title.rstrip("…")
            self._say(f"{_native(keys)} belongs to “{title}” ({other.menu}).", can_take=True)
        else:
            change(self._settings, self._wanted, keys)

    def _on_take(self) -> None:
        if self._wanted is not None:
            change(self._settings, self._wanted, self._pressed)

    def _on_reset(self) -> None:
        if self._wanted is None:
            return
        first = command(self._wanted).shortcut
        other = taken_by(self._settings, first, self._wanted)
        if other is None:
            reset(self._settings, self._wanted)
            return
        self.keys.setKeySequence(QKeySequence(first, _PORTABLE))
        self._on_keys()  # names who has them now

    def _on_reset_all(self) -> None:
        reset_all(self._settings)


def _native(keys: str) -> str:
    return QKeySequence(keys, _PORTABLE).toString(_NATIVE)
