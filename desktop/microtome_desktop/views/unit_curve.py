"""The part of the metric's card that tells how many units are enough, by real runs."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from microtome.records.circuit import OUTPUT
from microtome_desktop import palette as colours
from microtome_desktop.jobs.unit_requests import UnitFaithfulness
from microtome_desktop.presenters.node_card import Card
from microtome_desktop.presenters.unit_curve import control_of, curve_text, unit_curve
from microtome_desktop.views.faithfulness_plot import FaithfulnessPlot, Line
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.panel import PanelContext

_HEIGHT = 170
_SMALLEST = 0.01  # share of the units, where the plot begins


class UnitCurve(QWidget):
    """A button, and once it was pressed what the best units keep, beside random ones."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self.button = QPushButton("How many units are enough?")
        self.button.setToolTip("Run the best units alone, size by size, and as many random ones")
        self.plot: FaithfulnessPlot | None = None  # made when there is something to draw
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setFont(text_font(11))
        self.text.setStyleSheet(f"color: {colours.TEXT_DIM};")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 2, 0, 2)
        self._column.setSpacing(4)
        for part in (self.button, self.text):
            self._column.addWidget(part)
        self.button.clicked.connect(self._ask)

    def tell(self, card: Card) -> None:
        """Show what was measured for the circuit on screen, on the metric's card alone."""
        workspace = self._context.workspace
        self.setVisible(card.of_units and card.kind == OUTPUT)
        found = unit_curve(workspace.session)
        self.button.setVisible(found is None)
        self.button.setEnabled(not workspace.offline)
        self.text.setVisible(found is not None)
        if self.plot is not None:
            self.plot.setVisible(found is not None)
        if found is not None:
            plot = self.made()
            own = Line(found, colours.ACCENT, front=True, mark=("o", True))
            control = Line(control_of(found), colours.TEXT_FAINT)
            plot.show_lines((control, own), _SMALLEST)
            self.text.setText(curve_text(found))

    def made(self) -> FaithfulnessPlot:
        """The plot, which is made when there is first something to draw."""
        if self.plot is None:
            self.plot = FaithfulnessPlot()
            self.plot.setFixedHeight(_HEIGHT)
            self.plot.dial.hide()
            self._column.insertWidget(1, self.plot)
        return self.plot

    def _ask(self) -> None:
        self._context.ask(UnitFaithfulness())
