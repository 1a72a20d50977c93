"""Sortable tables of the node card: parts of a node, and terms of an attention score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from microtome_desktop.presenters.circuit_text import percent, signed
from microtome_desktop.presenters.node_card import Part, Source
from microtome_desktop.views import colours
from microtome_desktop.views.fonts import mono_font, text_font

_Index = QModelIndex | QPersistentModelIndex
_ROLE_SORT = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, what it is sorted by, and its colour."""

    text: str
    order: float | str
    colour: str = colours.TEXT
    right: bool = False


def part_cells(part: Part) -> tuple[Cell, ...]:
    """The row of one part."""
    share = part.share if part.share is not None else -1.0
    return (
        Cell(part.label, part.label, colours.ACCENT),
        Cell(part.place, part.edge[0] + part.edge[1], colours.TEXT_DIM),
        Cell(part.kind, part.kind, colours.TEXT_DIM),
        _number(part.weight),
        Cell("" if part.share is None else percent(share), share, colours.TEXT_DIM, right=True),
    )


def source_cells(source: Source) -> tuple[Cell, ...]:
    """The row of one term."""
    return (
        Cell(source.query, source.query),
        Cell(source.key, source.key),
        _number(source.score),
    )


def _number(value: float) -> Cell:
    colour = colours.EXCITES if value >= 0 else colours.INHIBITS
    # Sorted by size: a strong part that lowers the metric is as telling as one that raises it.
    return Cell(signed(value), abs(value), colour, right=True)


class CellModel(QAbstractTableModel):
    """Rows of cells."""

    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__()
        self._titles = tuple(titles)
        self._rows: tuple[tuple[Cell, ...], ...] = ()

    def set_rows(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Show other rows."""
        self.beginResetModel()
        self._rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        return len(self._titles)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        cell = self._rows[index.row()][index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell.text
        if role == _ROLE_SORT:
            return cell.order
        if role == Qt.ItemDataRole.ForegroundRole:
            return QColor(cell.colour)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if cell.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return None


class CellTable(QTableView):
    """A sortable table; emits the row (of the unsorted rows) and column that was clicked."""

    picked = Signal(int, int)

    def __init__(self, titles: Sequence[str], name: str, *, sorted_by: int) -> None:
        super().__init__()
        self.setObjectName(name)
        self._cells = CellModel(titles)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self._cells)
        self._sorted.setSortRole(_ROLE_SORT)
        self.setModel(self._sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(sorted_by, Qt.SortOrder.DescendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setFont(mono_font(11))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(21)
        self._dress_header()
        self.clicked.connect(self._on_click)
        self.activated.connect(self._on_activated)

    def set_rows(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Show other rows."""
        self._cells.set_rows(rows)

    def show_row(self, row: int | None) -> None:
        """Mark one of the unsorted rows."""
        if row is None:
            self.clearSelection()
            return
        place = self._sorted.mapFromSource(self._cells.index(row, 0))
        self.selectRow(place.row())
        self.scrollTo(place)

    def _dress_header(self) -> None:
        header = self.horizontalHeader()
        header.setFont(text_font(11))
        header.setHighlightSections(False)
        # Left, because the arrow of the sorted column is drawn at the right.
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setMinimumSectionSize(34)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def _on_click(self, index: QModelIndex) -> None:
        source = self._sorted.mapToSource(index)
        self.picked.emit(source.row(), source.column())

    def _on_activated(self, index: QModelIndex) -> None:
        # Enter follows the link, wherever in the row the cursor stands.
        self.picked.emit(self._sorted.mapToSource(index).row(), 0)
