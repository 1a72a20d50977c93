"""The page of a circuit by position: which of its edges work at which token."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.edge_places import PlacedEdge, Places, heading
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.form_fields import choice
from microtome_desktop.views.plain_table import PlainTable

_ROW, _NARROW = 20, 380  # pixels
_EVERYWHERE = "all tokens"
_COLUMNS = (
    ("edge", "Writer and reader; a row selects the writer and the token everywhere"),
    ("token", "The token at whose position the stream carries the edge"),
    ("score", "The edge's score at this position"),
    ("of edge", "The share of all that this edge does at any position, by size of score"),
)


class PlacesView(QWidget):
    """A choice of the token, and the circuit's edges there, strongest first."""

    chosen = Signal(object)  # PlacedEdge

    def __init__(self) -> None:
        super().__init__()
        self.at = choice("places_token", "token at which edges work", [_EVERYWHERE])
        self.at.setToolTip("The share beside a token is what the circuit does there")
        self.said = ElidedLabel()
        self.said.setObjectName("dim")
        self.table = PlainTable("places", "edges at single positions", _COLUMNS, row_height=_ROW,
                                widths=(116, 64, 58))  # fmt: skip
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.rows: tuple[PlacedEdge, ...] = ()
        self._places: Places | None = None
        self._kept: Bool[np.ndarray, " edge"] = np.zeros(0, dtype=np.bool_)
        line = QHBoxLayout()
        line.setSpacing(6)
        label = QLabel("Edges at")
        label.setObjectName("dim")
        line.addWidget(label)
        line.addWidget(self.at)
        line.addWidget(self.said, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 2)
        column.setSpacing(5)
        column.addLayout(line)
        column.addWidget(self.table, 1)
        self.at.currentIndexChanged.connect(self._fill)
        self.table.itemSelectionChanged.connect(self._on_selected)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where room is short the edges' names have it."""
        super().resizeEvent(event)
        narrow = self.width() < _NARROW
        self.table.setColumnHidden(len(_COLUMNS) - 1, narrow)
        self.table.setColumnWidth(1, 74 if narrow else 116)
        self.table.setColumnWidth(2, 54 if narrow else 64)

    def show_places(self, places: Places | None, kept: Bool[np.ndarray, " edge"]) -> None:
        """Another circuit or another size; the chosen token stays while there is one."""
        self._places, self._kept = places, kept
        texts = [_EVERYWHERE, *(() if places is None else places.choices(kept))]
        with QSignalBlocker(self.at):
            at = self.at.currentIndex()
            self.at.clear()
            self.at.addItems(texts)
            self.at.setCurrentIndex(at if 0 <= at < len(texts) else 0)
        self._fill()

    def _fill(self) -> None:
        places, at = self._places, self.at.currentIndex()
        if places is None:
            return
        self.rows, count = places.rows(self._kept, at - 1 if at > 0 else None)
        self.said.setText(heading(self.rows, count, places.prompts))
        with QSignalBlocker(self.table):
            self.table.clearSelection()
            self.table.setRowCount(len(self.rows))
            for number, row in enumerate(self.rows):
                cells = [(row.edge, colours.TEXT), (row.token, colours.TEXT),
                         (row.score, colours.TEXT), (row.of_edge, colours.TEXT_DIM)]  # fmt: skip
                self.table.write(number, cells, [f"{row.edge} at {row.token}"] * len(cells))

    def _on_selected(self) -> None:
        picked = {index.row() for index in self.table.selectedIndexes()}
        if picked:
            self.chosen.emit(self.rows[min(picked)])
