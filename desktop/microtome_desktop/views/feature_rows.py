"""The table of all features: a model of Qt's own, whose rows get their cells when they are seen.

Making the cells of 100,000 features takes seconds, and a model in Python is asked many times a
cell whenever it is painted (docs/architecture.md). So the model has all rows and no cells; those
that come into view are made, at most a screen of them at a time, and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Int
from PySide6.QtCore import QModelIndex, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QResizeEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.feature_table import COLUMNS, KEYS, NOTHING, FeatureTable
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels, Notes
from microtome_desktop.views.density_bars import DensityBars
from microtome_desktop.views.feature_columns import FeatureColumns
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.hover_tip import as_plain_tip

_ROW = 21  # pixels
_WIDTHS = {
    "feature": 46, "label": 108, "score": 46, "density": 78, "rate": 62, "mean": 56, "peak": 56,
    "purity": 78, "words": 58, "token": 128, "raised": 170, "lowered": 150, "alike": 82,
    "together": 82, "note": 160,
}  # fmt: skip
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_DIM = frozenset({"feature", "purity", "words", "lowered", "alike", "together"})
_TOLD = frozenset({"label", "token", "raised", "lowered", "note"})  # whole in a tool tip
_FREE = "\N{NO-BREAK SPACE}" * 3
_FIRST = "rate"  # what the table is sorted by at first


class FeatureRows(QTableView):
    """Features sorted by any column; emits the one that was chosen by hand."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("feature_table")
        self.setAccessibleName("features")
        self.table: FeatureTable | None = None
        self.rows: Int[np.ndarray, " row"] = np.zeros(0, np.int64)  # shown row -> feature
        self._labels: Labels = {}
        self._notes: Notes = NOTHING
        self._search, self._quiet = "", False
        self._feature: int | None = None
        self._made: set[int] = set()
        self.items = QStandardItemModel(0, len(COLUMNS), self)
        for at, column in enumerate(COLUMNS):
            # The sign of the sorted column stands at the right end.
            head = QStandardItem(column.title + _FREE * column.right)
            head.setToolTip(column.tip)
            head.setTextAlignment(_RIGHT if column.right else _LEFT)
            self.items.setHorizontalHeaderItem(at, head)
        self.setModel(self.items)
        for at, key in enumerate(KEYS):
            self.setColumnWidth(at, _WIDTHS[key])
        self._dress()
        self.columns = FeatureColumns(self.horizontalHeader())
        self.setItemDelegateForColumn(KEYS.index("density"), DensityBars(self._bars, self))
        self.verticalScrollBar().valueChanged.connect(self._fill)
        self.horizontalHeader().sortIndicatorChanged.connect(self._on_sorted)
        self.selectionModel().currentRowChanged.connect(self._on_current)

    def _dress(self) -> None:
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
        header.setSortIndicator(KEYS.index(_FIRST), Qt.SortOrder.DescendingOrder)
        header.setDefaultAlignment(_LEFT)

    # what is shown

    def show_table(
        self, table: FeatureTable | None, labels: Labels, notes: Notes = NOTHING
    ) -> None:
        """Show the features of another index, or none."""
        self.table, self._labels, self._notes = table, labels, notes
        self._show_columns()
        self._arrange()

    def show_labels(
        self, table: FeatureTable | None, labels: Labels, notes: Notes = NOTHING
    ) -> None:
        """Some labels or notes differ; the order stays until it is asked for again."""
        self.table, self._labels, self._notes = table, labels, notes
        self._show_columns()
        self._forget_cells()
        self._fill()

    def _show_columns(self) -> None:
        scores = None if self.table is None else self.table.figures["score"]
        any_score = scores is not None and not np.isnan(scores).all()
        self.columns.show_some(note=bool(self._notes), score=bool(any_score))

    def search(self, text: str) -> None:
        """Show only the features that hold a text."""
        self._search = text
        self._arrange()

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
        return KEYS[max(0, header.sortIndicatorSection())], falling

    def sort_by(self, key: str, *, descending: bool) -> None:
        """Sort by a column, as a click on it does."""
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.horizontalHeader().setSortIndicator(KEYS.index(key), order)

    def exported(self) -> Callable[[], Table] | None:
        """What makes the table of the shown rows, in their order."""
        if self.table is None:
            return None
        return partial(self.table.exported, self.rows, dict(self._labels), dict(self._notes))

    def _on_sorted(self, *_: object) -> None:
        self._arrange()

    def _arrange(self) -> None:
        """Sort and search anew, and show it from the top or where the selected feature is."""
        table = self.table
        if table is None:
            self.rows = np.zeros(0, np.int64)
        else:
            key, descending = self.sorted_by()
            kept = table.matching(self._search, self._labels, self._notes)
            self.rows = table.order(
                key, descending=descending, labels=self._labels, rows=kept, notes=self._notes
            )
        self._renew(len(self.rows))
        self.scrollToTop()
        self.mark(self._feature)

    def _renew(self, count: int) -> None:
        """As many rows, without cells."""
        self._quiet = True
        self.items.setRowCount(0)
        self.items.setRowCount(count)
        self._made = set()
        self._quiet = False

    def _forget_cells(self) -> None:
        self._made = set()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More rows may be in view, and the words get the room that is left."""
        super().resizeEvent(event)
        at = KEYS.index("raised")
        others = sum(self.columnWidth(each) for each in range(len(KEYS)) if each != at)
        self.setColumnWidth(at, max(_WIDTHS["raised"], self.viewport().width() - others))
        self._fill()

    def _fill(self, *_: object) -> None:
        """Make the cells of the rows that are in view."""
        if self.table is None or not len(self.rows):
            return
        first = max(0, self.rowAt(0))
        last = self.rowAt(self.viewport().height() - 1)
        last = len(self.rows) - 1 if last < 0 else last
        wanted = [row for row in range(first, last + 1) if row not in self._made]
        if not wanted:
            return
        with QSignalBlocker(self.items):  # told of once, by a paint
            for row in wanted:
                self._make(row, int(self.rows[row]), self.table)
        self._made.update(wanted)
        self.viewport().update()

    def _make(self, row: int, feature: int, table: FeatureTable) -> None:
        named = bool(self._labels.get(feature))
        for at, column in enumerate(COLUMNS):
            item = QStandardItem(table.cell(feature, column.key, self._labels, self._notes))
            item.setTextAlignment(_RIGHT if column.right else _LEFT)
            faint = column.key == "label" and not named
            tone = colours.TEXT_FAINT if faint else colours.TEXT
            item.setForeground(QBrush(QColor(colours.TEXT_DIM if column.key in _DIM else tone)))
            if column.key in _TOLD:
                told = self._notes.get(feature, "") if column.key == "note" else item.text()
                item.setToolTip(as_plain_tip(told))
            self.items.setItem(row, at, item)

    def _bars(self, row: int) -> np.ndarray | None:
        table = self.table
        return None if table is None else table.densities.heights[self.rows[row]]

    def _on_current(self, index: QModelIndex, _before: QModelIndex) -> None:
        if index.isValid() and not self._quiet:
            self._feature = int(self.rows[index.row()])
            self.chosen.emit(self._feature)
