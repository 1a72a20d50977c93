"""Sortable tables of the node card: parts of a node, and terms of an attention score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QModelIndex, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QColor, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_paths import PathRow
from microtome_desktop.presenters.circuit_text import percent, signed
from microtome_desktop.presenters.node_card import EdgeReader, Part, Source
from microtome_desktop.views.fonts import mono_font, text_font

_ROLE_SORT = Qt.ItemDataRole.UserRole
_PADDING, _ARROW = 12, 26  # pixels around a cell's text, and beside a title for the sort arrow


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, what it is sorted by, and its colour."""

    text: str
    order: float | str
    colour: str = field(default_factory=lambda: colours.TEXT)
    right: bool = False


def part_cells(part: Part, group: str = "") -> tuple[Cell, ...]:
    """The row of one part; its place in the colour of the group that its token is in."""
    share = part.share if part.share is not None else -1.0
    return (
        Cell(part.label, part.label, colours.ACCENT),
        Cell(part.place, part.edge[0] + part.edge[1], group or colours.TEXT_DIM),
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


def reader_cells(row: EdgeReader) -> tuple[Cell, ...]:
    """The row of one that reads on what an edge brings."""
    kind = Cell(row.kind, row.kind, colours.TEXT_DIM)
    return Cell(row.reader, row.reader), kind, _number(row.weight)


def path_cells(row: PathRow) -> tuple[Cell, ...]:
    """The row of one patched path."""
    share = Cell(percent(row.share), abs(row.share), colours.TEXT_DIM, right=True)
    return Cell(row.path, row.path), _number(row.effect), share


def _number(value: float) -> Cell:
    colour = colours.EXCITES if value >= 0 else colours.INHIBITS
    # Sorted by size: a strong part that lowers the metric is as telling as one that raises it.
    return Cell(signed(value), abs(value), colour, right=True)


def _item(cell: Cell) -> QStandardItem:
    item = QStandardItem(cell.text)
    item.setData(cell.order, _ROLE_SORT)
    item.setForeground(QColor(cell.colour))
    side = Qt.AlignmentFlag.AlignRight if cell.right else Qt.AlignmentFlag.AlignLeft
    item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    return item


class CellTable(QTableView):
    """A sortable table; emits the row (of the unsorted rows) and column that was clicked."""

    picked = Signal(int, int)

    def __init__(self, titles: Sequence[str], name: str, *, sorted_by: int) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(f"{name.replace('_', ' ')}: {', '.join(titles)}")
        self._titles = tuple(titles)
        self._cells = self._model()
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
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setFont(mono_font(11))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(21)
        self._dress_header()
        self.clicked.connect(self._on_click)
        self.activated.connect(self._on_activated)

    def set_rows(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Show other rows."""
        old, self._cells = self._cells, self._model()
        for row in rows:
            self._cells.appendRow([_item(cell) for cell in row])
        self._sorted.setSourceModel(self._cells)  # sorts once, now that all are there
        old.deleteLater()
        for column, title in enumerate(self._titles[1:], 1):
            longest = max((row[column].text for row in rows), key=len, default="")
            self.setColumnWidth(column, self._width_for(longest, title))

    def _model(self) -> QStandardItemModel:
        # One of Qt's own: a model in Python is asked six times a cell whenever it is painted.
        made = QStandardItemModel(0, len(self._titles), self)
        made.setHorizontalHeaderLabels(list(self._titles))
        return made

    def _width_for(self, longest: str, title: str) -> int:
        """Room for a column: the font is mono, so that the longest text is the widest."""
        header = self.horizontalHeader().fontMetrics().horizontalAdvance(title) + _ARROW
        return max(self.fontMetrics().horizontalAdvance(longest) + _PADDING, header)

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
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def _on_click(self, index: QModelIndex) -> None:
        source = self._sorted.mapToSource(index)
        self.picked.emit(source.row(), source.column())

    def _on_activated(self, index: QModelIndex) -> None:
        # Enter follows the link, wherever in the row the cursor stands.
        self.picked.emit(self._sorted.mapToSource(index).row(), 0)
