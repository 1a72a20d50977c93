"""The features of a small dictionary, sorted by how they split; cells are made when seen."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from PySide6.QtCore import QModelIndex, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QResizeEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.splitting import KEYS, TIPS, TITLES, SplitTable
from microtome_desktop.state.features import Labels
from microtome_desktop.views.fonts import mono_font, text_font

_ROW = 21  # pixels
_WIDTHS = (56, 150, 58, 62, 56)
_NAME = KEYS.index("label")
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_FIRST = "parts"


class SplitRows(QTableView):
    """Emits the feature that was chosen by hand."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("split_table")
        self.setAccessibleName("features and their parts")
        self.rows: Int[np.ndarray, " row"] = np.zeros(0, np.int64)  # shown row -> feature
        self._table: SplitTable | None = None
        self._labels: Labels = {}
        self._search, self._quiet = "", False
        self._feature: int | None = None
        self._made: set[int] = set()
        self.items = QStandardItemModel(0, len(KEYS), self)
        for at, (title, tip) in enumerate(zip(TITLES, TIPS, strict=True)):
            head = QStandardItem(title)
            head.setToolTip(tip)
            self.items.setHorizontalHeaderItem(at, head)
        self.setModel(self.items)
        self._dress()
        self.verticalScrollBar().valueChanged.connect(self._fill)
        self.horizontalHeader().sortIndicatorChanged.connect(self._arrange)
        self.selectionModel().currentRowChanged.connect(self._on_current)

    def _dress(self) -> None:
        self.setFont(mono_font(11))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setCornerWidget(QWidget())
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(_ROW)
        for at, width in enumerate(_WIDTHS):
            self.setColumnWidth(at, width)
        header = self.horizontalHeader()
        header.setFont(text_font(11))
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(KEYS.index(_FIRST), Qt.SortOrder.DescendingOrder)
        header.setDefaultAlignment(_LEFT)

    def show_table(self, table: SplitTable | None, labels: Labels) -> None:
        """Show another comparison, or none."""
        self._table, self._labels = table, labels
        self._arrange()

    def show_labels(self, labels: Labels) -> None:
        """Some labels differ; the order stays."""
        self._labels, self._made = labels, set()
        self._fill()

    def search(self, text: str) -> None:
        """Show only the features that hold a text, or a part that does."""
        self._search = text
        self._arrange()

    def sorted_by(self) -> tuple[str, bool]:
        """The column and whether it falls."""
        header = self.horizontalHeader()
        falling = header.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder
        return KEYS[max(0, header.sortIndicatorSection())], falling

    def sort_by(self, key: str, *, descending: bool) -> None:
        """Sort by a column, as a click on it does."""
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.horizontalHeader().setSortIndicator(KEYS.index(key), order)

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

    def _arrange(self, *_: object) -> None:
        table = self._table
        if table is None:
            self.rows = np.zeros(0, np.int64)
        else:
            key, descending = self.sorted_by()
            order = table.order(key, descending=descending, labels=self._labels)
            self.rows = order[table.matching(self._search, self._labels)[order]]
        self._quiet = True
        self.items.setRowCount(0)
        self.items.setRowCount(len(self.rows))
        self._quiet, self._made = False, set()
        self.scrollToTop()
        self.mark(self._feature)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The tokens get the room that is left, and more rows may be in view."""
        super().resizeEvent(event)
        others = sum(self.columnWidth(at) for at in range(len(KEYS)) if at != _NAME)
        self.setColumnWidth(_NAME, max(90, self.viewport().width() - others))
        self._fill()

    def _fill(self, *_: object) -> None:
        """Make the cells of the rows that are in view."""
        if self._table is None or not len(self.rows):
            return
        first, last = max(0, self.rowAt(0)), self.rowAt(self.viewport().height() - 1)
        last = len(self.rows) - 1 if last < 0 else last
        with QSignalBlocker(self.items):  # told of once, by a paint
            for row in range(first, last + 1):
                if row not in self._made:
                    self._make(row, int(self.rows[row]), self._table)
        self._made.update(range(first, last + 1))
        self.viewport().update()

    def _make(self, row: int, feature: int, table: SplitTable) -> None:
        for at, key in enumerate(KEYS):
            item = QStandardItem(table.cell(feature, key, self._labels))
            item.setTextAlignment(_LEFT if at == _NAME else _RIGHT)
            faint = key == "feature" or (key == "label" and not self._labels.get(feature))
            item.setForeground(QBrush(QColor(colours.TEXT_DIM if faint else colours.TEXT)))
            self.items.setItem(row, at, item)

    def _on_current(self, index: QModelIndex, _before: QModelIndex) -> None:
        if index.isValid() and not self._quiet:
            self._feature = int(self.rows[index.row()])
            self.chosen.emit(self._feature)
