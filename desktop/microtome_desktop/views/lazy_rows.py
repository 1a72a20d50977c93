"""A table with a row a feature: a model of Qt's own, whose rows get their cells when they are seen.

Making the cells of 100,000 features takes seconds, and a model in Python is asked many times a
cell whenever it is painted (docs/architecture.md). So the model has all rows and no cells; those
that come into view are made, at most a screen of them at a time, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from PySide6.QtCore import QModelIndex, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QResizeEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from microtome_desktop.views.fonts import mono_font, text_font

_ROW = 21  # pixels
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, slots=True)
class LazyColumn:
    """A column: its key, what stands above it, and its pixels."""

    key: str
    title: str
    tip: str
    width: int
    right: bool = False


class LazyRows(QTableView):
    """Features sorted by any column; emits the one that was chosen by hand.

    ``first`` is the column that sorts at first, ``wide`` the one that gets the room that is left.
    """

    chosen = Signal(int)

    def __init__(self, columns: Sequence[LazyColumn], first: str, wide: str) -> None:
        super().__init__()
        self.rows: Int[np.ndarray, " row"] = np.zeros(0, np.int64)  # shown row -> feature
        self._columns = tuple(columns)
        self._keys = tuple(column.key for column in columns)
        self._wide = self._keys.index(wide)
        self._quiet = False
        self._feature: int | None = None
        self._made: set[int] = set()
        self.items = QStandardItemModel(0, len(columns), self)
        for at, column in enumerate(columns):
            head = QStandardItem(column.title)
            head.setToolTip(column.tip)
            head.setTextAlignment(RIGHT if column.right else LEFT)
            self.items.setHorizontalHeaderItem(at, head)
        self.setModel(self.items)
        for at, column in enumerate(columns):
            self.setColumnWidth(at, column.width)
        self._right = [column.right for column in columns]
        self._dress(first)
        self._make_room()
        self.verticalScrollBar().valueChanged.connect(self._fill)
        self.horizontalHeader().sortIndicatorChanged.connect(self._on_sorted)
        self.selectionModel().currentRowChanged.connect(self._on_current)

    def _dress(self, first: str) -> None:
        self.setFont(mono_font(11))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setCornerWidget(QWidget())  # else the style draws a corner of its own
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(_ROW)
        header = self.horizontalHeader()
        header.setFont(text_font(11))
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(self._keys.index(first), Qt.SortOrder.DescendingOrder)
        header.setDefaultAlignment(LEFT)

    # what each table says of itself

    def _ordered(self) -> Int[np.ndarray, " row"]:
        """The features to show, sorted and searched."""
        raise NotImplementedError

    def _cells(self, feature: int) -> Sequence[QStandardItem]:
        """The cells of a feature, one a column."""
        raise NotImplementedError

    # what is shown

    def mark(self, feature: int | None) -> None:
        """Select a feature and bring it into view, without telling."""
        self._feature = feature
        found = np.flatnonzero(self.rows == (-1 if feature is None else feature))
        self._quiet = True
        try:
            if len(found):
                place = self.items.index(int(found[0]), 0)
                self.setCurrentIndex(place)
                self.scrollTo(place)
            else:
                self.clearSelection()
                self.setCurrentIndex(QModelIndex())
        finally:
            self._quiet = False
        self._fill()

    def sorted_by(self) -> tuple[str, bool]:
        """The column and whether it falls."""
        header = self.horizontalHeader()
        falling = header.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder
        return self._keys[max(0, header.sortIndicatorSection())], falling

    def sort_by(self, key: str, *, descending: bool) -> None:
        """Sort by a column, as a click on it does."""
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.horizontalHeader().setSortIndicator(self._keys.index(key), order)

    def _arrange(self) -> None:
        """Sort and search anew, and show it from the top or where the selected feature is."""
        self.rows = self._ordered()
        self._quiet = True
        self.items.setRowCount(0)
        self.items.setRowCount(len(self.rows))
        self._quiet = False
        self._made.clear()
        self.scrollToTop()
        self.mark(self._feature)

    def _renew(self) -> None:
        """Make the cells anew; the order stays until it is asked for again."""
        self._made.clear()
        self._fill()

    def _fill(self, *_: object) -> None:
        """Make the cells of the rows that are in view."""
        if not len(self.rows):
            return
        first = max(0, self.rowAt(0))
        last = self.rowAt(self.viewport().height() - 1)
        last = len(self.rows) - 1 if last < 0 else last
        wanted = [row for row in range(first, last + 1) if row not in self._made]
        if not wanted:
            return
        with QSignalBlocker(self.items):  # told of once, by a paint
            for row in wanted:
                for at, item in enumerate(self._cells(int(self.rows[row]))):
                    self.items.setItem(row, at, item)
        self._made.update(wanted)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More rows may be in view, and one column gets the room that is left."""
        super().resizeEvent(event)
        at, least = self._wide, self._columns[self._wide].width
        others = sum(self.columnWidth(each) for each in range(len(self._columns)) if each != at)
        self.setColumnWidth(at, max(least, self.viewport().width() - others))
        self._fill()

    def _on_sorted(self, *_: object) -> None:
        self._make_room()
        self._arrange()

    def _make_room(self) -> None:
        """Let the sorted column's head begin at the left: its arrow is drawn at the right."""
        chosen = self.horizontalHeader().sortIndicatorSection()
        for at, right in enumerate(self._right):
            head = self.items.horizontalHeaderItem(at)
            head.setTextAlignment(RIGHT if right and at != chosen else LEFT)

    def _on_current(self, index: QModelIndex, _before: QModelIndex) -> None:
        if index.isValid() and not self._quiet:
            self._feature = int(self.rows[index.row()])
            self.chosen.emit(self._feature)
