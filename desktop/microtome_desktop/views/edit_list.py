"""The list of edits, in the order in which they act."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QFrame

from microtome_desktop import palette as colours
from microtome_desktop.presenters.edits import EditLine
from microtome_desktop.views.edit_row import EditRow
from microtome_desktop.views.row_list import RowList

_EMPTY = (
    "No edits yet. Right click a head, a neuron, a token, a point or a node of the circuit, "
    "or choose Add."
)


class EditList(RowList[EditLine]):
    """Rows that are switched, slid, dragged and removed; each act names the row."""

    switched = Signal(int, bool)
    strength_moved = Signal(int, float)
    settled = Signal()
    removed = Signal(int)
    moved = Signal(int, int)  # from where, to where

    def __init__(self) -> None:
        super().__init__("edit_list", _EMPTY)
        self._gap = QFrame(self.inside)  # where a dragged edit would go
        self._gap.setFixedHeight(2)
        self._gap.setStyleSheet(f"background: {colours.ACCENT};")
        self._gap.hide()

    def make(self, number: int) -> EditRow:
        """A row that is switched, slid, moved and removed."""
        row = EditRow()
        row.switched.connect(partial(self.switched.emit, number))
        row.strength_moved.connect(partial(self.strength_moved.emit, number))
        row.settled.connect(self.settled)
        row.removed.connect(partial(self.removed.emit, number))
        row.stepped.connect(partial(self._step, number))
        row.grip.dragged.connect(partial(self._drag, number))
        row.grip.dropped.connect(partial(self._drop, number))
        return row

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
