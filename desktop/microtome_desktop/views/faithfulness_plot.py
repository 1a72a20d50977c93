"""The faithfulness curves of rival circuits over their sizes, with a line that is the dial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent

from microtome.records.faithfulness import ENOUGH, Faithfulness
from microtome.records.positions import SUMMED
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_curves import Mark
from microtome_desktop.views.fonts import mono_font

_TICKS = (0.001, 0.01, 0.1, 1.0)
_TICK_NAMES = ("0.1 %", "1 %", "10 %", "100 %")
_LOW, _HIGH = -0.15, 1.25  # what is shown at least
_FARTHEST = 2.5  # and at most, however far a curve runs out


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A rival's curve; ``front`` is the one whose circuit is on screen, and whose band shows.

    ``mark`` stands at each size, as beside its name in the list.
    """

    curve: Faithfulness
    colour: str
    front: bool = False
    mark: Mark | None = None


class FaithfulnessPlot(pg.PlotWidget):
    """Curves by score (solid) and by size of score (dashed); the line follows the mouse."""

    turned = Signal(float)  # the share that the dial was dragged to

    def __init__(self) -> None:
        super().__init__(background=colours.CARD, enableMenu=False)
        self.setObjectName("faithfulness_plot")
        self.setAccessibleName("faithfulness by size")
        self.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.hideButtons()
        self.setMouseEnabled(False, False)
        self.setMinimumSize(120, 60)
        self.lines: tuple[Line, ...] = ()
        self._smallest = 0.001
        self._items: list[pg.GraphicsObject] = []
        self._dress_axes()
        enough = pg.InfiniteLine(ENOUGH, 0, pen=_pen(colours.TEXT_FAINT, 1, Qt.PenStyle.DotLine))
        self.addItem(enough)
        self.dial = pg.InfiniteLine(0, 90, pen=_pen(colours.TEXT, 1.6))
        self.dial.setZValue(50)
        self.addItem(self.dial)
        self.point = pg.ScatterPlotItem(size=9, symbol="o")
        self.point.setZValue(60)
        self.addItem(self.point)
        self.viewport().setCursor(Qt.CursorShape.SizeHorCursor)

    def _dress_axes(self) -> None:
        for name in ("left", "bottom"):
            axis = self.getAxis(name)
            axis.setPen(pg.mkPen(None))
            axis.setTextPen(colours.TEXT_DIM)
            axis.setStyle(tickLength=0, tickFont=mono_font(10))
        ticks = zip(np.log10(_TICKS), _TICK_NAMES, strict=True)
        self.getAxis("bottom").setTicks([list(ticks)])
        self.getAxis("left").setWidth(44)
        self.setLabel("left", "faithfulness", color=colours.TEXT_DIM, size="8pt")
        self._name_axis("share of edges")

    def _name_axis(self, told: str) -> None:
        axis, text = self.getAxis("bottom"), f"{told} (- -: by size)"
        if axis.labelText == text:
            return
        hidden = bool(axis.labelText) and not axis.label.isVisible()  # on a low screen
        self.setLabel("bottom", text, color=colours.TEXT_DIM, size="8pt")
        axis.showLabel(not hidden)

    def show_lines(self, lines: Sequence[Line], smallest: float) -> None:
        """Draw these curves; ``smallest`` is the share of a single edge."""
        self.lines, self._smallest = tuple(lines), smallest
        for item in self._items:
            self.removeItem(item)
        self._items = []
        for line in sorted(lines, key=lambda line: line.front):
            self._draw(line)
        sums = any(line.front and SUMMED in line.curve.params for line in lines)
        units = any(line.curve.params.get("of") == "units" for line in lines)
        edges = "summed edges" if sums else "share of edges"
        self._name_axis("share of units" if units else edges)
        values = [v for line in lines for v in _values(line.curve)]
        low = max(min([_LOW, *(v - 0.08 for v in values)]), -_FARTHEST)
        high = min(max([_HIGH, *(v + 0.08 for v in values)]), _FARTHEST)
        left = float(np.log10(max(smallest, 1e-9)))
        box = self.getViewBox()
        box.setLimits(xMin=left - 0.1, xMax=0.25)
        box.setRange(xRange=(left, 0.12), yRange=(low, high), padding=0.02)

    def _draw(self, line: Line) -> None:
        curve, at = line.curve, np.log10(line.curve.sizes)
        width = 2.2 if line.front else 1.3
        if line.front and curve.band is not None:
            ends = [pg.PlotDataItem(at, end, pen=None) for end in curve.band]
            tint = QColor(line.colour)
            tint.setAlphaF(0.16)
            self._add(*ends, pg.FillBetweenItem(*ends, brush=tint))
        dashed = Qt.PenStyle.DashLine
        for values, style in ((curve.by_magnitude, dashed), (curve.faithfulness, None)):
            pen = _pen(line.colour, width, style or Qt.PenStyle.SolidLine)
            known = np.isfinite(values)
            self._add(pg.PlotDataItem(at[known], values[known], pen=pen, **_marks(line)))

    def _add(self, *items: pg.GraphicsObject) -> None:
        for item in items:
            self.addItem(item)
            self._items.append(item)

    def show_dial(self, share: float, value: float | None, colour: str) -> None:
        """Put the dial at a share of all edges, with a mark on the curve."""
        at = float(np.log10(max(share, self._smallest)))
        self.dial.setValue(at)
        if value is None or not np.isfinite(value):
            self.point.setData([], [])
        else:
            self.point.setData([at], [value], brush=pg.mkBrush(colour), pen=_pen(colours.TEXT, 1.4))

    def place_of(self, share: float) -> QPointF:
        """Where a share lies in the viewport, in pixels, half way up."""
        box = self.getViewBox()
        low, high = box.viewRange()[1]
        scene = box.mapViewToScene(QPointF(float(np.log10(share)), (low + high) / 2))
        return QPointF(self.mapFromScene(scene))

    # Anywhere in the plot: a line of two pixels is hard to catch.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Turn the dial to where the left button goes down."""
        self._turn(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Turn it along."""
        self._turn(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The last move has turned it."""
        event.accept()

    def _turn(self, event: QMouseEvent) -> None:
        event.accept()
        if self.lines and event.buttons() & Qt.MouseButton.LeftButton:
            scene = self.mapToScene(event.position().toPoint())
            at = self.getViewBox().mapSceneToView(scene).x()
            left = float(np.log10(max(self._smallest, 1e-9)))
            self.turned.emit(float(10 ** np.clip(at, left, 0.0)))


def _marks(line: Line) -> dict[str, Any]:
    if line.mark is None:
        return {}
    symbol, full = line.mark
    fill = pg.mkBrush(line.colour if full else colours.CARD)
    edge = pg.mkPen(line.colour, width=1.2)
    return {"symbol": symbol, "symbolSize": 6, "symbolPen": edge, "symbolBrush": fill}


def _values(curve: Faithfulness) -> list[float]:
    both = np.concatenate([curve.faithfulness, curve.by_magnitude])
    return [float(value) for value in both[np.isfinite(both)]]


def _pen(colour: str, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> pg.QtGui.QPen:
    return pg.mkPen(colour, width=width, style=style)
