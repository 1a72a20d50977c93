"""A window with two runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.records.session import Session
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_text import signed
from microtome_desktop.presenters.comparison import (
    NodePair,
    Odds,
    difference,
    node_pairs,
    odds,
    title,
)
from microtome_desktop.presenters.graph_comparison import NO_NUMBER
from microtome_desktop.presenters.heatmaps import Missing, Quantity, quantities
from microtome_desktop.presenters.provenance import between, told_apart
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.graph_comparison import GraphComparison
from microtome_desktop.views.grid_plot import GridPlot
from microtome_desktop.views.node_card_tables import Cell, CellTable
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.text_flow import text_label


class ComparisonWindow(QDialog):
    """Predictions, the difference of a map, and what the circuits share; does not block."""

    def __init__(
        self, first: Session, second: Session, context: PanelContext, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare two runs")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._first, self._second = first, second
        self.predictions = CellTable(("token", "first", "second", "change"), "odds", sorted_by=3)
        self.nodes = CellTable(("node", "first", "second", "change"), "node_pairs", sorted_by=3)
        self.quantity = QComboBox()
        self.quantity.addItems([str(each) for each in quantities(None)])
        self.map = GridPlot("map of what differs")
        runs, circuits = between(first, second), between(first, second, "circuit")
        self.apart = text_label(told_apart(runs, circuits), colours.WARM)
        alike = not runs.reasons
        self.predictions.set_rows([_odds_cells(r, alike=alike) for r in odds(first, second)])
        pairs = () if circuits.reasons else node_pairs(first, second)
        self.nodes.set_rows([_node_cells(pair) for pair in pairs])
        self.graph = GraphComparison(context, (first, second))
        self._build()
        self.quantity.currentIndexChanged.connect(self._draw)
        self._draw()
        self.resize(900, 680)

    def _build(self) -> None:
        heads = QGridLayout()
        for row, (name, session) in enumerate((("first", self._first), ("second", self._second))):
            label = ElidedLabel()
            label.setText(f"{title(session)}    {_metric(session)}")
            mark = QLabel(name)
            mark.setObjectName("dim")
            heads.addWidget(mark, row, 0)
            heads.addWidget(label, row, 1)
        heads.setColumnStretch(1, 1)
        maps, choice = QWidget(), QHBoxLayout()
        choice.addWidget(self.quantity, 1)
        column = QVBoxLayout(maps)
        column.addLayout(choice)
        column.addWidget(self.map, 1)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.predictions, "Predictions")
        self.tabs.addTab(maps, "Layer × position")
        self.tabs.addTab(self.graph, "Graphs")
        self.tabs.addTab(self.nodes, f"Circuit nodes  {self.nodes.model().rowCount()}")
        if self._first.clean is None or self._second.clean is None:
            self.tabs.setCurrentWidget(self.graph)  # graphs of files have nothing else
        layout = QVBoxLayout(self)
        layout.addLayout(heads)
        self.apart.setWordWrap(True)
        self.apart.setVisible(bool(self.apart.text()))
        layout.addWidget(self.apart)
        layout.addWidget(self.tabs, 1)

    def _draw(self, *_: object) -> None:
        drawn = difference(self._first, self._second, Quantity(self.quantity.currentText()))
        if isinstance(drawn, Missing):
            self.map.show_grid(None, drawn.reason)
        else:
            self.map.show_grid(drawn, drawn.title)


def _metric(session: Session) -> str:
    if "value" not in session.metric:
        return ""
    return f"{session.metric.get('name')} = {signed(float(session.metric['value']))}"


def _odds_cells(row: Odds, *, alike: bool) -> tuple[Cell, ...]:
    """``alike``: the runs can be compared, and a change has a meaning."""
    change = (row.second or 0.0) - (row.first or 0.0)
    cells = _numbers((row.first, row.second), "{:.3f}", change)
    last = cells[-1] if alike else Cell(NO_NUMBER, 0.0, colours.TEXT_DIM, right=True)
    return (Cell(row.token, row.token), *cells[:-1], last)


def _node_cells(pair: NodePair) -> tuple[Cell, ...]:
    name = Cell(f"{pair.label}  {pair.node}", pair.node, colours.ACCENT)
    return (name, *_numbers((pair.first, pair.second), "{:+.3g}", pair.change))


def _numbers(values: Sequence[float | None], form: str, change: float) -> tuple[Cell, ...]:
    cells = [
        Cell("–" if value is None else form.format(value), abs(value or 0.0), right=True)
        for value in values
    ]
    none = signed(change).strip("+-0.\N{MINUS SIGN}") == ""
    colour = colours.EXCITES if change > 0 else colours.INHIBITS
    colour = colours.TEXT_DIM if none else colour
    return (*cells, Cell(signed(change), abs(change), colour, right=True))
