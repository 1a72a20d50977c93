"""Two rivals at a time: how alike they are, above the graph that shows what each has alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QAbstractItemView, QLabel, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.views.plain_table import PlainTable

_RANKS = (
    "Spearman's rank correlation of the scores of all edges; a dash where more than the "
    "method differs: model, number format, kind of metric, ablation, edits, seed"
)
_COLUMNS = (
    ("circuits", "Two ticked circuits; a click colours the graph by them"),
    ("ranks", _RANKS),
    ("overlap", "Edges that both have, of the edges of either, at the dial's size (Jaccard)"),
)
_ROW, _MOST_ROWS = 20, 4
_TOO_FEW = "Tick two circuits or more in the list to compare them."


def _number(value: float) -> str:
    """What a worker still computes, or what scores that are all the same have not, is a dash."""
    return "–" if isnan(value) else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


class CompareView(QWidget):
    """A row for each two ticked circuits; the chosen two colour the graph."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.table = PlainTable("comparison", "comparison of circuits", _COLUMNS, row_height=_ROW,
                                widths=(46, 56))  # fmt: skip
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.nothing = QLabel(_TOO_FEW)
        self.nothing.setObjectName("dim")
        self.nothing.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 2, 8, 2)
        column.addWidget(self.table)
        column.addWidget(self.nothing)
        self.table.itemSelectionChanged.connect(self._on_selected)

    def show_rows(self, rows: Sequence[tuple[str, str, float, float]], chosen: int) -> None:
        """Show each two with correlation and overlap, one row chosen."""
        self.table.setVisible(bool(rows))
        self.nothing.setVisible(not rows)
        with QSignalBlocker(self.table):
            self.table.setRowCount(len(rows))
            for number, (first, second, ranks, both) in enumerate(rows):
                name = f"{first} · {second}"
                texts = [_number(value) for value in (ranks, both)]
                cells = [(name, colours.TEXT), *((text, colours.TEXT) for text in texts)]
                self.table.write(number, cells, [name] * 3)
            if rows:
                self.table.selectRow(min(chosen, len(rows) - 1))
        shown = min(max(len(rows), 1), _MOST_ROWS)
        self.table.setFixedHeight(26 + shown * _ROW)

    def _on_selected(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        if rows:
            self.chosen.emit(min(rows))
