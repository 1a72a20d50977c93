"""What can go: the parts in order, what is kept as they go, and which layers are alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.records.redundancy import Redundancy
from microtome_desktop import palette as colours
from microtome_desktop.jobs.suite_requests import REMOVAL_SLOT
from microtome_desktop.presenters.suites import noted, part_title, redundancy_text, similarity_grid
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.grid_plot import GridPlot
from microtome_desktop.views.plain_table import PlainTable
from microtome_desktop.views.suite_outlook import outlook_label
from microtome_desktop.views.text_flow import EmptyState

_ROW = 20  # pixels
_COLUMNS = (
    ("part", "L1H2 is a head, M3 an MLP; in the order in which they went"),
    (
        "alone",
        (
            "The change of the metric when this part alone is taken out, in logits: below 0 the "
            "answer loses by it"
        ),
    ),
    ("pass %", "What passes with all down to here taken out"),
    ("kept", "The share of the criterion that is kept then"),
    ("parameters", "Parameters that its removal saves"),
)
_WIDTHS = (58, 52, 54, 86)
_LIST, _PICTURE = 300, 230  # pixels of the list and of what is beside it, to start from
_LEAST = 246
_AXIS = 34  # pixels
_WAYS = {"to zero": "zero", "to the mean": "mean"}
_KEEPS = {"pass rate": "pass rate", "metric": "metric"}
_PARTS = {"heads, MLPs": False, "layers": True}


class RedundancyPage(QWidget):
    """Settings and a button above; beneath, the list beside a curve and a map."""

    slot = REMOVAL_SLOT
    removal_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Find what can go")
        self.button.setObjectName("redundancy_run")
        self.remove = QPushButton("Remove the recommended")
        self.remove.setObjectName("redundancy_remove")
        self.parts = _choice("redundancy_parts", "what may go", _PARTS)
        self.how = _choice("redundancy_how", "what takes its place", _WAYS)
        self.keeps = _choice("redundancy_keeps", "what must be kept", _KEEPS)
        self.threshold = QDoubleSpinBox()
        self.outlook = outlook_label()
        self.said = TwoLines()
        self.table = PlainTable(
            "redundancy_table", "parts in order", _COLUMNS, row_height=_ROW, widths=_WIDTHS
        )
        self.curve = KeptCurve()
        self.map = GridPlot("map of parts", bar=False)
        self._dress()
        self._lay_out()
        self.remove.clicked.connect(self.removal_asked)

    def _dress(self) -> None:
        self.threshold.setObjectName("redundancy_threshold")
        self.threshold.setAccessibleName("share that must be kept")
        self.threshold.setToolTip("The share that must be kept")
        self.threshold.setRange(1, 100)
        self.threshold.setDecimals(0)
        self.threshold.setValue(95)
        self.threshold.setSuffix(" %")
        self.threshold.setProperty("plain", True)
        self.threshold.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.threshold.lineEdit().setTextMargins(7, 0, 0, 0)
        self.threshold.setMinimumWidth(58)

    def _lay_out(self) -> None:
        line, below = QHBoxLayout(), QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.button)
        line.addWidget(self.outlook)
        for box in (self.parts, self.how, self.keeps):
            line.addWidget(box, 1)
        line.addWidget(self.threshold)
        below.addWidget(self.said, 1)
        below.addWidget(self.remove)
        self.pictures = QTabWidget()
        self.pictures.setDocumentMode(True)
        self.pictures.addTab(self.curve, "Curve")
        self.pictures.addTab(self.map, "Layers alike")
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.split.setChildrenCollapsible(False)
        self.split.addWidget(self.table)
        self.split.addWidget(self.pictures)
        self.split.setSizes([_LIST, _PICTURE])
        self.table.setMinimumWidth(_LEAST)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(3)
        column.addLayout(line)
        self.empty = EmptyState()
        column.addWidget(self.split, 1)
        column.addWidget(self.empty, 1)
        column.addLayout(below)

    def settings(self) -> dict[str, Any]:
        """What is chosen."""
        return {
            "layers": _PARTS[self.parts.currentText()],
            "how": _WAYS[self.how.currentText()],
            "criterion": _KEEPS[self.keeps.currentText()],
            "threshold": self.threshold.value() / 100,
        }

    def view_state(self) -> dict[str, Any]:
        """What is set, and which picture is in front, as plain JSON."""
        return {**self.settings(), "picture": self.pictures.currentIndex()}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set it so, ignoring what is not understood."""
        rows = (
            (self.parts, _PARTS, "layers"), (self.how, _WAYS, "how"),
            (self.keeps, _KEEPS, "criterion"),
        )  # fmt: skip
        for box, entries, name in rows:
            found = [text for text, value in entries.items() if value == held.get(name)]
            if found:
                box.setCurrentText(found[0])
        share, picture = held.get("threshold"), held.get("picture")
        if isinstance(share, float | int):
            self.threshold.setValue(100 * share)
        if isinstance(picture, int) and 0 <= picture < self.pictures.count():
            self.pictures.setCurrentIndex(picture)

    def show_found(self, found: Redundancy | None, note: str = "") -> None:
        """Show the parts that went, as far as they did."""
        said = noted(redundancy_text(found), note)
        self.said.setText("" if found is None else said)
        self.said.setToolTip("" if found is None else said)
        self.empty.setVisible(found is None)
        self.empty.tell("Not known yet", said)
        self.split.setVisible(found is not None)
        self.curve.show_found(found)
        self.map.show_grid(None if found is None else similarity_grid(found))
        rows = [] if found is None else found.rows()
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            self._fill(number, row)

    def _fill(self, number: int, row: dict[str, Any]) -> None:
        went, goes = row["step"] is not None, row["recommended"]
        tone = colours.GOOD if goes else colours.TEXT if went else colours.TEXT_DIM
        title = part_title(row["part"])
        alone = f"{row['effect']:+.2f}".replace("-", "\N{MINUS SIGN}")
        texts = (
            (title, tone),
            (alone, colours.TEXT_DIM),
            (f"{100 * row['pass_rate']:.0f}" if went else "", colours.TEXT),
            (f"{100 * row['kept']:.0f} %" if went else "", tone),
            (f"{row['parameters']:,}", colours.TEXT_DIM),
        )
        told = "can go" if goes else "is needed" if went else "was not taken out"
        self.table.write(number, texts, (f"{title} {told}",) * len(texts))


class KeptCurve(pg.PlotWidget):
    """What is kept as parts go, the threshold, and what can go filled."""

    def __init__(self) -> None:
        super().__init__(background=colours.CARD, enableMenu=False)
        self.setObjectName("kept_curve")
        self.setAccessibleName("what is kept as parts go")
        self.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.hideButtons()
        self.setMouseEnabled(False, False)
        self.setMinimumSize(120, 70)
        for name in ("left", "bottom"):
            axis = self.getAxis(name)
            axis.setPen(pg.mkPen(None))
            axis.setTextPen(colours.TEXT_DIM)
            axis.setStyle(tickLength=0, tickFont=mono_font(10))
        self.getAxis("left").setWidth(34)
        self.getAxis("left").setTicks([[(0.0, "0"), (0.5, "50 %"), (1.0, "100 %")]])
        self.getAxis("bottom").setHeight(_AXIS)  # the curve is what a low panel has room for
        self.getAxis("bottom").setLabel("parts taken out", color=colours.TEXT_DIM)
        self.setToolTip("What is kept, by the number of parts that are taken out")
        dotted = pg.mkPen(colours.TEXT_FAINT, width=1, style=Qt.PenStyle.DotLine)
        self._least = pg.InfiniteLine(1, 0, pen=dotted)
        self._chosen = pg.PlotCurveItem(
            pen=pg.mkPen(colours.GOOD, width=2), brush=_faint(), fillLevel=0.0
        )
        self._all = pg.PlotCurveItem(pen=pg.mkPen(colours.ACCENT, width=1.6))
        for item in (self._least, self._all, self._chosen):
            self.addItem(item)

    def show_found(self, found: Redundancy | None) -> None:
        """Draw the curve as far as it goes."""
        kept = np.zeros(0) if found is None else found.kept
        steps = np.arange(len(kept), dtype=np.float64)
        goes = 0 if found is None else len(found.recommended) + 1
        self._all.setData(steps, kept)
        self._chosen.setData(steps[:goes], kept[:goes])
        self._least.setValue(1.0 if found is None else found.threshold)
        top = max(1.05, float(kept.max()) + 0.05) if len(kept) else 1.05
        low = min(0.0, float(kept.min())) if len(kept) else 0.0
        self.getViewBox().setRange(xRange=(0, max(1, len(kept) - 1)), yRange=(low, top), padding=0)


def _faint() -> Any:
    colour = pg.mkColor(colours.GOOD)
    colour.setAlpha(40)
    return pg.mkBrush(colour)


def _choice(name: str, said: str, entries: dict[str, Any]) -> Choice:
    box = Choice()
    box.setObjectName(name)
    box.setAccessibleName(said)
    box.setToolTip(said.capitalize())
    box.addItems(list(entries))
    return box
