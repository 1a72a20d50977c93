"""The list of edits, in the order in which they act."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.edits import EditLine
from microtome_desktop.views.edit_row import EditRow

_EMPTY = (
    "No edits yet. Right click a head, a neuron, a token, a point or a node of the circuit, "
    "or choose Add."
)


class EditList(QScrollArea):
    """Rows that are switched, slid, dragged and removed; each act names the row."""

    switched = Signal(int, bool)
    strength_moved = Signal(int, float)
    settled = Signal()
    removed = Signal(int)
    moved = Signal(int, int)  # from where, to where

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("edit_list")
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.inside = inside = QWidget()
        self.nothing = QLabel(_EMPTY)
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
        self._gap = QFrame(inside)  # where a dragged edit would go
        self._gap.setFixedHeight(2)
        self._gap.setStyleSheet(f"background: {colours.ACCENT};")
        self._gap.hide()
        self.rows: list[EditRow] = []

    def show_lines(self, lines: Sequence[EditLine], *, enabled: bool) -> None:
        """Show these edits, in the rows that are there as far as they go."""
        for _ in range(len(lines) - len(self.rows)):
            self._add()
        while len(self.rows) > len(lines):
            row = self.rows.pop()
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        for row, line in zip(self.rows, lines, strict=True):
            row.show_line(line, enabled=enabled)
        self.nothing.setVisible(not lines)

    def _add(self) -> None:
        row, number = EditRow(), len(self.rows)
        row.switched.connect(partial(self.switched.emit, number))
        row.strength_moved.connect(partial(self.strength_moved.emit, number))
        row.settled.connect(self.settled)
        row.removed.connect(partial(self.removed.emit, number))
        row.stepped.connect(partial(self._step, number))
        row.grip.dragged.connect(partial(self._drag, number))
        row.grip.dropped.connect(partial(self._drop, number))
        self.rows.append(row)
        self._column.insertWidget(number, row)

    def _step(self, number: int, by: int) -> None:
        if 0 <= number + by < len(self.rows):
            self.moved.emit(number, number + by)
            self.rows[number + by].setFocus()

    def _place(self, at: QPoint) -> int:
        """Before which row a point of the screen lies."""
        y = self.inside.mapFromGlobal(at).y()
        return sum(row.geometry().center().y() < y for row in self.rows)

    def _drag(self, number: int, at: QPoint) -> None:
        place = self._place(at)
        rows = self.rows
        y = rows[place].y() - 1 if place < len(rows) else rows[-1].geometry().bottom()
        self._gap.setGeometry(4, max(0, y), self.inside.width() - 12, 2)
        self._gap.setVisible(place not in (number, number + 1))
        self._gap.raise_()

    def _drop(self, number: int, at: QPoint) -> None:
        self._gap.hide()
        place = self._place(at)
        to = place - (place > number)
        if to != number:
            self.moved.emit(number, to)
            self.rows[to].setFocus()
