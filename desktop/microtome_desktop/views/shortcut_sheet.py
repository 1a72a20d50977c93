"""The sheet of all keys, by menu, in columns."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.commands.shortcuts import Section, sheet
from microtome_desktop.state.settings import Settings

_COLUMNS = 3


class ShortcutSheet(QDialog):
    """All keys to read; does not block the window, and follows changes."""

    def __init__(self, settings: Settings, change: Callable[[], None], parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("shortcut_sheet")
        self.setWindowTitle("Keyboard shortcuts")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._settings, self._change = settings, change
        self._area = QScrollArea()
        self._area.setAccessibleName("shortcuts by menu")
        self._area.setWidgetResizable(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.change = buttons.addButton("Change keys…", QDialogButtonBox.ButtonRole.ActionRole)
        self.change.clicked.connect(self._on_change)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 14, 18, 14)
        layout.addWidget(self._area, 1)
        layout.addWidget(buttons)
        settings.shortcuts_changed.connect(self._on_keys)
        self._inside = self._fill()
        self.resize(1060, min(760, self._inside.sizeHint().height() + 80))

    def _on_keys(self) -> None:
        self._inside = self._fill()

    def _fill(self) -> QWidget:
        inside = QWidget()
        inside.setObjectName("clear")
        row = QHBoxLayout(inside)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(36)
        for sections in _in_columns(sheet(self._settings)):
            column = QVBoxLayout()
            column.setSpacing(6)
            for section in sections:
                _add(column, section)
            column.addStretch(1)
            row.addLayout(column, 1)
        self._area.setWidget(inside)
        return inside

    def _on_change(self) -> None:
        self.close()
        self._change()

    def lines(self) -> tuple[tuple[str, str], ...]:
        """What stands on the sheet: what a line says, and its keys."""
        caps = self._inside.findChildren(QLabel, "key_cap")
        return tuple((cap.property("title"), cap.text()) for cap in caps)


def _add(column: QVBoxLayout, section: Section) -> None:
    heading = QLabel(section.title)
    heading.setObjectName("section")
    column.addWidget(heading)
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 14)
    grid.setVerticalSpacing(5)
    grid.setHorizontalSpacing(12)
    grid.setColumnStretch(0, 1)
    for row, (keys, title) in enumerate(section.lines):
        said = QLabel(title)
        said.setWordWrap(True)
        cap = QLabel(keys_text(keys))
        cap.setObjectName("key_cap")
        cap.setProperty("title", title)
        grid.addWidget(said, row, 0)
        grid.addWidget(cap, row, 1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
    column.addLayout(grid)


def keys_text(keys: str) -> str:
    """Keys as this platform writes them; words such as ``double click`` stay."""
    native = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
    return keys if "," in keys and "Ctrl" not in keys else native or keys


def _in_columns(sections: tuple[Section, ...]) -> list[list[Section]]:
    """The sections in columns of about the same height, in their order."""
    height = sum(len(section.lines) + 2 for section in sections) / _COLUMNS
    columns: list[list[Section]] = [[]]
    filled = 0.0
    for section in sections:
        size = len(section.lines) + 2
        if columns[-1] and filled + size / 2 > height and len(columns) < _COLUMNS:
            columns.append([])
            filled = 0.0
        columns[-1].append(section)
        filled += size
    return columns
