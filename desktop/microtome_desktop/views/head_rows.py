"""The rows of the heads: a table of Qt's own model, sorted and filtered by Qt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import UInt8
from PySide6.QtCore import QModelIndex, QSignalBlocker, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.head_table import HeadColumn, HeadTable
from microtome_desktop.views.fonts import mono_font, text_font

_ORDER = Qt.ItemDataRole.UserRole  # what a cell is sorted by
_SEARCHED = Qt.ItemDataRole.UserRole + 1  # what the filter looks through, in the first column
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ROW, _NAME, _SIGNED, _SHARE = 21, 52, 68, 62  # pixels
_LAST = -np.inf  # a head without a number comes behind all others, the largest first


class HeadRows(QTableView):
    """A sortable table of heads; emits the row of the ``HeadTable`` that was chosen by hand."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("head_table")
        self.setAccessibleName("heads")
        self.setTabKeyNavigation(False)
        self.shown: HeadTable | None = None
        self._brushes: dict[int, QBrush] = {}
        self._quiet = False
        self.items = QStandardItemModel(self)  # one of Qt's own, as CellTable says why
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSortRole(_ORDER)
        self.sorted.setFilterRole(_SEARCHED)
        self.sorted.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.sorted.setSourceModel(self.items)
        self.setModel(self.sorted)
        self._dress()
        self.selectionModel().currentRowChanged.connect(self._on_current)
        self.clicked.connect(self._on_current)

    def _dress(self) -> None:
        self.setFont(mono_font(11))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setCornerWidget(QWidget())  # else the style draws a corner of its own
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        header = self.horizontalHeader()
        header.setFont(text_font(11))
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.setSortingEnabled(True)
        self.sort_by(0, descending=False)

    # what is shown

    def show_table(self, table: HeadTable | None) -> None:
        """Show other heads, or other numbers of them; what has not changed is left as it is."""
        before, self.shown = self.shown, table
        with self._quietly():
            if table is None or before is None or not _same_frame(before, table):
                self._fill(table)
                return
            old = zip(before.columns, table.columns, strict=True)
            for at, (was, column) in enumerate(old, 1):
                if not was.same(column):
                    self._show_column(at, column)
            if before.kinds != table.kinds:
                self._name_rows(table)

    def _fill(self, table: HeadTable | None) -> None:
        by, order = self._sorted_by()
        old, self.items = self.items, QStandardItemModel(self)
        if table is not None:
            self.items.appendColumn([QStandardItem(table.label(r)) for r in range(table.n_rows)])
            self._name_rows(table)
            for column in table.columns:
                made = [_NUMBER.clone() for _ in range(table.n_rows)]
                self._write(made, column)
                self.items.appendColumn(made)
            self.items.setHorizontalHeaderLabels(["head", *(c.title for c in table.columns)])
            for at, column in enumerate(table.columns, 1):
                self._tell(at, column)
        self.sorted.setSourceModel(self.items)  # sorts once, now that all are there
        old.deleteLater()
        if table is not None:
            self._resize(table)
            self.sort_by(min(by, len(table.columns)), descending=order == _DESCENDING)

    def _name_rows(self, table: HeadTable) -> None:
        for row in range(table.n_rows):
            item = self.items.item(row)
            item.setData(row, _ORDER)
            item.setData(table.searched(row), _SEARCHED)
            item.setToolTip(table.kinds[row])

    def _write(self, items: Sequence[QStandardItem], column: HeadColumn) -> None:
        """Put the numbers of a column into its cells, each on its colour."""
        fills = column.fills.reshape(-1, 4)
        inks = inks_on(fills)
        orders = np.where(np.isfinite(column.values), column.values, _LAST).ravel().tolist()
        behind, before = (self._in(colour) for colour in (fills, inks))
        told = zip(items, column.texts, orders, behind, before, strict=True)
        for item, text, order, fill, ink in told:
            item.setText(text)
            item.setData(order, _ORDER)
            item.setBackground(fill)
            item.setForeground(ink)

    def _show_column(self, at: int, column: HeadColumn) -> None:
        """Put other numbers into a column, told of once when all are there."""
        with QSignalBlocker(self.items):
            self._write([self.items.item(r, at) for r in range(self.items.rowCount())], column)
        last = self.items.index(self.items.rowCount() - 1, at)
        self.items.dataChanged.emit(self.items.index(0, at), last)
        self._tell(at, column)

    def _tell(self, at: int, column: HeadColumn) -> None:
        title = self.items.horizontalHeaderItem(at)
        title.setToolTip(f"{column.tip}.\n{column.why_not}" if column.why_not else column.tip)
        title.setForeground(QColor(colours.TEXT_FAINT if column.why_not else colours.TEXT_DIM))

    def _resize(self, table: HeadTable) -> None:
        self.setColumnWidth(0, _NAME)
        for at, column in enumerate(table.columns, 1):
            self.setColumnWidth(at, _SIGNED if column.signed else _SHARE)

    def _in(self, shades: UInt8[np.ndarray, "cell 4"]) -> list[QBrush]:
        """A brush for each cell; there are few colours and many cells."""
        keys = np.ascontiguousarray(shades).view(np.uint32).ravel()
        for key, first in zip(*np.unique(keys, return_index=True), strict=True):
            if int(key) not in self._brushes:
                self._brushes[int(key)] = QBrush(QColor(*shades[first].tolist()))
        return [self._brushes[key] for key in keys.tolist()]

    # order and filter

    def sort_by(self, column: int, *, descending: bool) -> None:
        """Sort by a column; 0 are the heads themselves."""
        self.sortByColumn(column, _DESCENDING if descending else Qt.SortOrder.AscendingOrder)

    def _sorted_by(self) -> tuple[int, Qt.SortOrder]:
        header = self.horizontalHeader()
        return max(0, header.sortIndicatorSection()), header.sortIndicatorOrder()

    def order(self) -> Mapping[str, str | bool]:
        """How it is sorted: the name of the column, and whether the largest comes first."""
        at, order = self._sorted_by()
        named = self.shown is not None and 0 < at <= len(self.shown.columns)
        name = self.shown.columns[at - 1].name if self.shown is not None and named else ""
        return {"by": name, "descending": order == _DESCENDING}

    def filter(self, words: str) -> None:
        """Show the heads of which every word begins something that is said of them."""
        each = (rf"(?=.*(?:^|\s){re.escape(word)})" for word in words.split())
        with self._quietly():
            self.sorted.setFilterRegularExpression("^" + "".join(each))

    def rows(self) -> tuple[int, ...]:
        """The rows of the ``HeadTable`` that are shown, from the top."""
        shown = (self.sorted.index(row, 0) for row in range(self.sorted.rowCount()))
        return tuple(self.sorted.mapToSource(index).row() for index in shown)

    # selection

    def mark(self, row: int | None) -> None:
        """Select the row of a head and bring it into view, without telling."""
        place = QModelIndex()
        if row is not None and row < self.items.rowCount():
            place = self.sorted.mapFromSource(self.items.index(row, 0))
        with self._quietly():
            if not place.isValid():
                self.clearSelection()
                self.setCurrentIndex(QModelIndex())
            elif place.row() != self.currentIndex().row() or not self.selectedIndexes():
                self.setCurrentIndex(place)
                self.selectRow(place.row())
                self.scrollTo(place)

    def row_at(self, index: QModelIndex) -> int | None:
        """The row of the ``HeadTable`` under an index, None where there is none."""
        return self.sorted.mapToSource(index).row() if index.isValid() else None

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _on_current(self, index: QModelIndex, before: QModelIndex | None = None) -> None:
        row = self.row_at(index)
        if row is not None and not self._quiet:
            self.chosen.emit(row)


_DESCENDING = Qt.SortOrder.DescendingOrder
_NUMBER = QStandardItem()  # what every cell with a number is a copy of
_NUMBER.setTextAlignment(_RIGHT)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_LIGHT = 0.179  # from here on black is further from a colour than white; both are 4.58 : 1 there
_BLACK, _WHITE = np.array([0, 0, 0, 255], np.uint8), np.array([255, 255, 255, 255], np.uint8)


def inks_on(fills: np.ndarray) -> np.ndarray:
    """Black or white for each colour of 0 to 255 that a number stands on."""
    light = _linear(fills[:, :3]) @ _LUMINANCE
    return np.where((light > _LIGHT)[:, None], _BLACK, _WHITE)


def _linear(codes: np.ndarray) -> np.ndarray:
    """Colours from 0 to 255 as light; WCAG's contrast is of that."""
    shares = codes / 255
    light: np.ndarray = np.where(
        shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4
    )
    return light


def _same_frame(one: HeadTable, other: HeadTable) -> bool:
    """Whether both have the same rows and columns, whatever stands in them."""
    names = ([column.title for column in table.columns] for table in (one, other))
    return (one.n_layers, one.n_heads) == (other.n_layers, other.n_heads) and next(names) == next(
        names
    )
