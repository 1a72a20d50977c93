"""A list of rows with controls of their own, or a word on why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

LineT = TypeVar("LineT")


class Row(QFrame, Generic[LineT]):
    """Shows one line of a list, and another one later."""

    def show_line(self, line: LineT, *, enabled: bool) -> None:
        """Show another line, or what it is now."""
        raise NotImplementedError


class RowList(QScrollArea, Generic[LineT]):
    """Rows from above, made when they are needed and used again; a subclass makes them."""

    def __init__(self, name: str, empty: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.inside = inside = QWidget()
        self.nothing = QLabel(empty)
        self.nothing.setObjectName("dim")
        self.nothing.setWordWrap(True)
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(0, 0, 4, 0)
        self._column.setSpacing(1)
        self._column.addWidget(self.nothing)
        self._column.addStretch(1)
        self.setWidget(inside)
        inside.setObjectName("clear")
        self.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)
        self.rows: list[Row[LineT]] = []

    def make(self, number: int) -> Row[LineT]:
        """A new row at this place, whose acts name the place."""
        raise NotImplementedError

    def show_lines(self, lines: Sequence[LineT], *, enabled: bool) -> None:
        """Show these lines, in the rows that are there as far as they go."""
        while len(self.rows) < len(lines):
            number = len(self.rows)
            self.rows.append(self.make(number))
            self._column.insertWidget(number, self.rows[number])
        while len(self.rows) > len(lines):
            row = self.rows.pop()
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        for row, line in zip(self.rows, lines, strict=True):
            row.show_line(line, enabled=enabled)
        self.nothing.setVisible(not lines)
