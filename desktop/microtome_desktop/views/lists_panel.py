"""The circuit as lists: every node and edge, to sort, to filter and to walk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int
from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.jobs import Job
from microtome.records.circuit import Circuit
from microtome_desktop import palette as colours
from microtome_desktop.jobs.drawing_request import ListRows
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.circuit import is_large, selection_of
from microtome_desktop.presenters.circuit_focus import edge_name, edge_row
from microtome_desktop.presenters.circuit_lists import Listing, edges, nodes
from microtome_desktop.state.edit_places import node_places
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.edit_menu import offer_edits
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.panel import Panel, PanelContext

_Index = QModelIndex | QPersistentModelIndex
_Listings = tuple[Listing | None, Listing | None]  # nodes, edges
_ROW = 21
_MINUS = "\N{MINUS SIGN}"


class ListModel(QAbstractTableModel):
    """Rows of a ``Listing``. Sorts and filters by itself: a proxy would ask it for every cell."""

    def __init__(self) -> None:
        super().__init__()
        self._listing: Listing | None = None
        self._words, self._by, self._descending = "", 4, True
        self.rows = np.zeros(0, dtype=np.int64)
        # Column -> the positions of its rows, and the colours of the groups that tokens are in.
        self.positions: Mapping[int, Int[np.ndarray, " row"]] = {}
        self.groups: Mapping[int, str] = {}

    def show_listing(self, listing: Listing | None) -> None:
        """Show other rows, sorted and filtered as before."""
        self._listing = listing
        self._arrange()

    def filter(self, words: str) -> None:
        """Show the rows that hold all these words."""
        self._words = words
        self._arrange()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column."""
        self._by, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._arrange()

    def _arrange(self) -> None:
        self.beginResetModel()
        held = self._listing
        self.rows = (
            np.zeros(0, dtype=np.int64)
            if held is None
            else held.rows(self._words, self._by, descending=self._descending)
        )
        self.endResetModel()

    def place_of(self, row: int | None) -> int:
        """Where a row of the circuit stands now, -1 where it does not."""
        found = [] if row is None else np.flatnonzero(self.rows == row).tolist()
        return int(found[0]) if found else -1

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 5

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if self._listing is None:
            return None
        column = self._listing.columns[index.column()]
        text = column.texts[int(self.rows[index.row()])]
        if role == Qt.ItemDataRole.DisplayRole:
            return text
        if role == Qt.ItemDataRole.DecorationRole and index.column() in self.positions:
            position = int(self.positions[index.column()][self.rows[index.row()]])
            return QColor(self.groups[position]) if position in self.groups else None
        if role == Qt.ItemDataRole.TextAlignmentRole and column.number:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ForegroundRole and column.title in {"score", "weight"}:
            return QColor(colours.INHIBITS if text.startswith(_MINUS) else colours.EXCITES)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return None if self._listing is None else self._listing.columns[section].title


class ListTable(QTableView):
    """A sortable table of a listing; emits the row of the circuit that was picked."""

    picked = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(name.replace("_", " "))
        self.held = ListModel()
        self.setModel(self.held)
        self.setFont(mono_font(11))
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(8, 8))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.setSortingEnabled(True)
        self.sortByColumn(4, Qt.SortOrder.DescendingOrder)
        self.clicked.connect(self._on_index)
        self.activated.connect(self._on_index)

    def show_listing(self, listing: Listing | None) -> None:
        """Show another circuit's rows."""
        self.held.show_listing(listing)
        header = self.horizontalHeader()
        for column, width in enumerate((150, 150, 76, 80, 84)):
            self.setColumnWidth(column, width)
        if header.count():
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)

    def show_groups(self, groups: Mapping[int, str]) -> None:
        """Mark the places of tokens that are in a group of points."""
        self.held.groups = groups
        self.viewport().update()

    def mark(self, row: int | None) -> None:
        """Select a row of the circuit, without telling."""
        place = self.held.place_of(row)
        if place < 0:
            self.clearSelection()
            return
        self.selectRow(place)
        self.scrollTo(self.held.index(place, 0))

    def _on_index(self, index: QModelIndex) -> None:
        self.picked.emit(int(self.held.rows[index.row()]))


class ListsPanel(Panel):
    """Two tables of the explored circuit, which follow the selection and lead it."""

    name = "lists"
    title = "Nodes and edges"
    icon = "mdi6.format-list-bulleted"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._circuit: Circuit | None = None
        self._stale = True
        self.words = QLineEdit()
        self.words.setObjectName("list_filter")
        self.words.setAccessibleName("filter nodes and edges")
        self.words.setPlaceholderText("Filter: head L0, John, key …")
        self.words.setClearButtonEnabled(True)
        self.count = QLabel()
        self.count.setObjectName("dim")
        self.nodes, self.edges = ListTable("node_list"), ListTable("edge_list")
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.nodes, "Nodes")
        self.tabs.addTab(self.edges, "Edges")
        line = QHBoxLayout()
        line.addWidget(self.words, 1)
        line.addWidget(self.count)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 6, 6)
        column.addLayout(line)
        column.addWidget(self.tabs, 1)
        self.words.textChanged.connect(self._on_words)
        self.tabs.currentChanged.connect(self._tell)
        self.nodes.picked.connect(self._on_node)
        self.nodes.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.nodes.customContextMenuRequested.connect(self._on_menu)
        self.edges.picked.connect(self._on_edge)
        self.show_session()

    def exported_table(self) -> Callable[[], Table] | str:
        """The rows of the list in front, filtered and sorted as they are."""
        session, table = self.context.workspace.session, self.tabs.currentWidget()
        if session is None or session.circuit is None or not isinstance(table, ListTable):
            return exports.NO_RUN
        make = exports.listed_nodes if table is self.nodes else exports.listed_edges
        return partial(make, session, tuple(table.held.rows.tolist()))

    def exported_lines(self) -> tuple[str, ...] | str:
        """All rows of the list in front."""
        session = self.context.workspace.session
        if session is None or session.circuit is None:
            return exports.NO_RUN
        what = "nodes" if self.tabs.currentWidget() is self.nodes else "edges"
        return as_python.listed_lines(session, what)

    def show_session(self) -> None:
        """List the session's circuit when it is looked at."""
        session = self.context.workspace.session
        circuit = None if session is None else session.circuit
        if circuit is not self._circuit or circuit is None:
            self._circuit, self._stale = circuit, True
        if self.isVisible():
            self._fill()

    def show_part(self, part: str) -> None:
        """List another circuit, or mark other groups."""
        if part == "marks":
            self._show_groups()
        if part == "circuit":
            self.show_session()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Mark what is selected."""
        if changed & {"node", "edge"} and not self._stale:
            self._mark()

    def showEvent(self, event: QShowEvent) -> None:
        """Fill the lists now that somebody looks."""
        super().showEvent(event)
        self._fill()

    def _fill(self) -> None:
        if not self._stale:
            return
        self._stale = False
        held = self._circuit
        if held is None or is_large(held):
            self._take((None, None))
        else:
            self._take(_listings(held))
        if held is not None and is_large(held):
            self.count.setText("being listed …")
            self.context.ask(ListRows(partial(_listings, held), partial(self._take_of, held)))

    def _take_of(self, circuit: Circuit, made: _Listings) -> None:
        if circuit is self._circuit:
            self._take(made)

    def _take(self, made: _Listings) -> None:
        for table, listing in zip((self.nodes, self.edges), made, strict=True):
            table.show_listing(listing)
        self._show_groups()
        self._tell()
        self._mark()

    def _show_groups(self) -> None:
        held = self._circuit if self.group_colours else None  # gathered only where it is needed
        ends = {} if held is None else {0: held.edge_source, 1: held.edge_target}
        self.nodes.held.positions = {} if held is None else {1: held.node_position}
        self.edges.held.positions = (
            {} if held is None else {at: held.node_position[end] for at, end in ends.items()}
        )
        for table in (self.nodes, self.edges):
            table.show_groups(self.group_colours)

    def _tell(self, *_: object) -> None:
        table = self.tabs.currentWidget()
        if self._circuit is None or not isinstance(table, ListTable):
            self.count.setText("")
            return
        total = self._circuit.n_nodes if table is self.nodes else self._circuit.n_edges
        self.count.setText(f"{len(table.held.rows):,} of {total:,}")

    def _mark(self) -> None:
        held, selected = self._circuit, self.context.selection.current
        known = held is not None and selected.node in held.node_id
        self.nodes.mark(held.row(selected.node) if held and known and selected.node else None)
        self.edges.mark(None if held is None else edge_row(held, selected.edge))

    def _on_words(self, words: str) -> None:
        for table in (self.nodes, self.edges):
            table.held.filter(words)
        self._tell()
        self._mark()

    def _on_node(self, row: int) -> None:
        if self._circuit is not None:
            self.context.selection.update(**selection_of(self._circuit, row), edge=None)

    def _on_menu(self, at: QPoint) -> None:
        index, session = self.nodes.indexAt(at), self.context.workspace.session
        if self._circuit is None or session is None or not index.isValid():
            return
        node = self._circuit.node_id[int(self.nodes.held.rows[index.row()])]
        places = node_places(session, (node,))
        offer_edits(self.context, places, self.nodes.viewport().mapToGlobal(at), self)

    def _on_edge(self, row: int) -> None:
        if self._circuit is not None:
            self.context.selection.update(edge=edge_name(self._circuit, row))


def _listings(circuit: Circuit, job: Job | None = None) -> _Listings:
    listed = nodes(circuit)
    if job is not None:
        job.check()
    return listed, edges(circuit)
