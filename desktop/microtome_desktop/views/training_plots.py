"""The figures of a training along its steps, in a grid of small plots."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from microtome.records.training import TrainingCurve
from microtome_desktop import palette as colours
from microtome_desktop.presenters.training import FIGURES, Figure, points
from microtome_desktop.views.fonts import mono_font

_WIDE = 400  # pixels from which on there are three columns
_HIGH = 330  # pixels: three rows need as much
_LEVEL = 1e-2  # of its size that a figure must move by to fill its plot
_LOW = 130  # pixels of a plot with room for two numbers beside its axis
_MOST_OF = 0.3  # a share above it is drawn on an axis up to 1
_STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine)  # of the first line and the second
DASHED = " (- -)"


class FigurePlot(pg.PlotWidget):
    """One figure, or two that belong together; grows to the right as steps are done."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(background=colours.CARD, enableMenu=False)
        self.figure = figure
        self.setObjectName(f"figure {figure.title}")
        self.setAccessibleName(figure.title)
        self.setToolTip(figure.tip)
        self.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.hideButtons()
        self.setMouseEnabled(False, False)
        self.setMinimumSize(110, 64)
        for name in ("left", "bottom"):
            axis = self.getAxis(name)
            axis.setPen(pg.mkPen(None))
            axis.setTextPen(colours.TEXT_DIM)
            axis.setStyle(tickLength=0, tickFont=mono_font(10), hideOverlappingLabels=False)
        self.getAxis("left").setWidth(44)
        self.getPlotItem().setContentsMargins(0, 0, 12, 0)  # half of the last number
        self.setLogMode(y=figure.logarithmic)
        self.setTitle(_title(figure), color=colours.TEXT_DIM, size="9pt")
        self.curves: dict[str, pg.PlotDataItem] = {}
        for (name, colour, _), style in zip(figure.lines, _STYLES, strict=False):
            pen = pg.mkPen(getattr(colours, colour), width=1.6, style=style)
            self.curves[name] = self.plot(pen=pen)

    def show_curve(self, curve: TrainingCurve | None, last: int) -> None:
        """Draw it as far as it goes, on an axis of all its steps."""
        top = 0.0
        for name, item in self.curves.items():
            x, y = (np.zeros(0), np.zeros(0)) if curve is None else points(curve, name)
            few = len(x) < 2  # a line needs two points
            item.setData(x, y)
            item.setSymbol("o" if few else None)
            item.setSymbolSize(4)
            item.setSymbolPen(None)
            item.setSymbolBrush(item.opts["pen"].color())
            top = max(top, float(y.max(initial=0)))
        self.setXRange(0, max(1, last), padding=0.03)
        self.getAxis("bottom").setTicks([[(0, "0"), (last, f"{last:,}")] if last else []])
        self._scale(top)

    def _scale(self, top: float) -> None:
        """The range upward, and the few numbers that an axis this small has room for."""
        held = [item.yData for item in self.curves.values() if item.yData is not None]
        values = np.concatenate(held) if held else np.zeros(0)
        if self.figure.share:
            high = 1.0 if top > _MOST_OF else max(0.02, 1.25 * top)
            low = max(-0.25, min(0.0, float(values.min(initial=0))))
            marks = [low, (low + high) / 2, high] if self.height() > _LOW else [low, high]
            self.setYRange(low, high, padding=0.04)
        else:
            marks = [float(values.min()), float(values.max())] if len(values) else []
            self.enableAutoRange(axis="y")
        if marks and marks[-1] - marks[0] < _LEVEL * abs(marks[-1]):
            marks = marks[-1:]  # what hardly moves is no mountain
            if not self.figure.logarithmic:
                self.setYRange(0, 1.25 * max(marks[0], 1e-9), padding=0)
        places = np.log10(marks) if self.figure.logarithmic and all(marks) else marks
        ticks = [(float(at), f"{mark:.3g}") for at, mark in zip(places, marks, strict=True)]
        self.getAxis("left").setTicks([ticks])


def _title(figure: Figure) -> str:
    named = [
        f'<span style="color: {getattr(colours, colour)}">{said}{dashes}</span>'
        for (_, colour, said), dashes in zip(figure.lines, ("", DASHED), strict=False)
        if said
    ]
    return " and ".join(named) or figure.title


class TrainingPlots(QWidget):
    """All figures: three columns where there is room or little height, two where it is narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.plots = {figure.title: FigurePlot(figure) for figure in FIGURES}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        self._columns = 0
        self._arrange(3)

    def show_curve(self, curve: TrainingCurve | None) -> None:
        """Draw the figures of a training, as far as it went."""
        last = 0
        if curve is not None and len(curve.step):
            last = max(int(curve.params.get("steps", 0)), int(curve.step[-1]))
        for plot in self.plots.values():
            plot.show_curve(curve, last)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """As many columns as there is room for."""
        super().resizeEvent(event)
        self._arrange(3 if self.width() >= _WIDE or self.height() < _HIGH else 2)

    def _arrange(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for number, plot in enumerate(self.plots.values()):
            self._grid.addWidget(plot, *divmod(number, columns))
