"""Pictures of superposition: directions as arrows or products, shares of a dimension, phases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from microtome.records.superposition import Geometry, PhaseDiagram
from microtome_desktop import palette as colours
from microtome_desktop.presenters.colour_maps import signed_table
from microtome_desktop.presenters.superposition import SHARED, STATE_COLOURS, ToyPicture, states
from microtome_desktop.views.fonts import mono_font

_CIRCLE = np.linspace(0, 2 * np.pi, 97)
_TITLE = 125  # pixels that a whole title takes
_BINS = 40
_HIGH = 1.15  # of an axis of shares and lengths, while nothing is longer


class SmallPlot(pg.PlotWidget):
    """A plot without a frame, menu or zoom."""

    def __init__(self, name: str, *, axes: bool = True) -> None:
        super().__init__(background=colours.CARD, enableMenu=False)
        self.setAccessibleName(name)
        self.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.hideButtons()
        self.setMouseEnabled(False, False)
        self.setMinimumSize(80, 60)
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(pg.mkPen(None))
            axis.setTextPen(colours.TEXT_DIM)
            axis.setStyle(tickLength=0, tickFont=mono_font(10))
            axis.enableAutoSIPrefix(False)
            if not axes:
                self.hideAxis(side)

    _title = ""  # of the class, because the library lays the plot out while it is being made

    def say(self, title: str) -> None:
        """A title above it, which has no part in how wide the plot is."""
        if title != self._title:  # laying out a title takes longer than drawing the model
            self._title = title
            self.setTitle(title, color=colours.TEXT_DIM, size="9pt")
            self.getPlotItem().titleLabel.setMinimumWidth(0)


class DirectionsPlot(SmallPlot):
    """One toy model: arrows where its directions lie in a plane, else the table of products."""

    # Of the class, because the library lays the plot out while it is being made.
    _ends: tuple[float, float] | None = None

    def __init__(self) -> None:
        super().__init__("directions of the features", axes=False)
        self.setAspectLocked(True)
        faint = pg.mkPen(colours.LINE, width=1)
        self._circle = self.plot(np.cos(_CIRCLE), np.sin(_CIRCLE), pen=faint)
        self._arrows = self.plot(pen=pg.mkPen(colours.ACCENT, width=1.8), connect="pairs")
        self._heads = pg.ScatterPlotItem(size=8, pen=None)
        self._names: list[pg.TextItem] = []
        self.image = pg.ImageItem()
        for item in (self._heads, self.image):
            self.addItem(item)

    def show_picture(self, picture: ToyPicture) -> None:
        """Draw a model as it is now."""
        narrow = self.width() < _TITLE
        self.say(picture.title.replace(" zeros", "") if narrow else picture.title)
        flat = picture.is_flat
        for item in (self._circle, self._arrows, self._heads):
            item.setVisible(flat)
        self.image.setVisible(not flat)
        if flat:
            self._show_arrows(picture)
        else:
            self._show_products(picture)

    def _show_arrows(self, picture: ToyPicture) -> None:
        ends, most = picture.directions, picture.limit
        x, y = (np.stack([np.zeros(len(ends)), ends[:, axis]], 1).ravel() for axis in (0, 1))
        self._arrows.setData(x, y)
        brushes = feature_brushes(len(ends))
        self._heads.setData(ends[:, 0], ends[:, 1], brush=brushes)
        self.getViewBox().invertY(False)
        self._frame(-most, most)
        self.setToolTip("Where each feature points; the circle has radius 1")

    def _frame(self, low: float, high: float, *, again: bool = False) -> None:
        if self._ends == (low, high) and not again:
            return
        self._ends = low, high
        self.getViewBox().setRange(xRange=self._ends, yRange=self._ends, padding=0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """All of it stays in view: with one scale for both ways, a range alone does not."""
        super().resizeEvent(event)
        if self._ends is not None:
            self._frame(*self._ends, again=True)

    def _show_products(self, picture: ToyPicture) -> None:
        held = picture.products
        self.image.setImage(held.T, levels=(-1.0, 1.0), lut=signed_table())
        count = len(held)
        self.image.setRect(QRectF(0, 0, count, count))
        self.getViewBox().invertY(True)
        self._frame(-0.02 * count, 1.02 * count)
        self.setToolTip("WᵀW: what each feature puts on each other; the diagonal is its own length")


def feature_colours(count: int) -> list[QColor]:
    """A colour for each feature, from the most important to the least."""
    first, last = QColor(colours.ACCENT), QColor(colours.MLP)
    ends = [(each.redF(), each.greenF(), each.blueF()) for each in (first, last)]
    shares = np.linspace(0, 1, max(2, count))[:count, None]
    mixed = (1 - shares) * ends[0] + shares * ends[1]
    return [QColor.fromRgbF(*(float(part) for part in each)) for each in mixed]


def feature_brushes(count: int) -> list[QBrush]:
    """What the features are filled with."""
    return [pg.mkBrush(each) for each in feature_colours(count)]


class SharesPlot(SmallPlot):
    """Of each feature the share of a dimension that it has (bar) and its length (line)."""

    def __init__(self) -> None:
        super().__init__("dimensions of each feature")
        self.setToolTip(
            "Bars: the share of a dimension that each feature has. 1 is one of its own, 1/2 one of "
            "an antipodal pair, 2/5 in a pentagon. Dots: the length of its direction"
        )
        self.getAxis("left").setWidth(32)
        self.getAxis("left").setTicks([[(0.0, "0"), (0.5, "0.5"), (1.0, "1")]])
        self.getAxis("bottom").setVisible(False)
        self.setMinimumHeight(48)
        dotted = pg.mkPen(colours.TEXT_FAINT, width=1, style=Qt.PenStyle.DotLine)
        for share in (0.5, 1.0):
            self.addItem(pg.InfiniteLine(share, 0, pen=dotted))
        self.bars = pg.BarGraphItem(x=[], height=[], width=0.7)
        self._dots = pg.ScatterPlotItem(size=5, pen=None, brush=pg.mkBrush(colours.TEXT))
        self.addItem(self.bars)
        self.addItem(self._dots)
        self._room = (0, 0.0)  # features and height that are in view

    def show_measured(self, found: Geometry) -> None:
        """Draw the features of a model."""
        at = np.arange(len(found.norm), dtype=np.float64)
        brushes = feature_brushes(len(at))
        self.bars.setOpts(x=at, height=found.dimensionality, width=0.7, brushes=brushes, pen=None)
        self._dots.setData(at, found.norm)
        room = len(at), max(_HIGH, 1.05 * float(found.norm.max(initial=0)))
        if room != self._room:
            self._room = room
            ends = (-0.7, len(at) - 0.3), (0, room[1])
            self.getViewBox().setRange(xRange=ends[0], yRange=ends[1], padding=0)


class ToyGallery(QWidget):
    """A column for each toy model: its directions, and beneath them its features' shares."""

    def __init__(self, models: int) -> None:
        """``models`` are beside each other at most."""
        super().__init__()
        # All of them now: each brings menus of its own, which must be there before they are shown.
        self.directions = [DirectionsPlot() for _ in range(models)]
        self.shares = [SharesPlot() for _ in range(models)]
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        self._grid.setRowStretch(0, 3)
        self._grid.setRowStretch(1, 2)
        for at, (plot, shares) in enumerate(zip(self.directions, self.shares, strict=True)):
            self._grid.addWidget(plot, 0, at)
            self._grid.addWidget(shares, 1, at)

    def show_picture(self, number: int, picture: ToyPicture | None) -> None:
        """Draw one model; None takes its column away."""
        plot, shares = self.directions[number], self.shares[number]
        plot.setVisible(picture is not None)
        shares.setVisible(picture is not None)
        if picture is not None:
            plot.show_picture(picture)
            shares.show_measured(picture.measured)


class SharingPlot(SmallPlot):
    """How many directions of a real layer have which share of a dimension."""

    def __init__(self) -> None:
        super().__init__("shares of a dimension in a real layer")
        self.setObjectName("sharing_plot")
        self.setToolTip("How many directions have which share of a dimension")
        self.getAxis("left").setWidth(36)
        self.setLabel("bottom", "dimensions each", color=colours.TEXT_DIM, size="8pt")
        self.bars = pg.BarGraphItem(x=[], height=[], width=1 / _BINS, brush=colours.MLP, pen=None)
        self.addItem(self.bars)
        self._marks: list[pg.InfiniteLine] = []
        self._shares, self._most = np.zeros(0), 0.0  # what is drawn, and how wide

    def show_sharing(self, found: Geometry | None) -> None:
        """Draw a layer."""
        self._shares = np.zeros(0) if found is None else found.dimensionality
        self._most = 0.0  # so that it is drawn
        self.mark([line.value() for line in self._marks])

    def mark(self, marks: Sequence[float]) -> None:
        """Lines at the mean shares of the toy models; they move while these are trained."""
        while len(self._marks) > len(marks):
            self.removeItem(self._marks.pop())
        pen = pg.mkPen(colours.WARM, width=1.4, style=Qt.PenStyle.DashLine)
        while len(self._marks) < len(marks):
            self._marks.append(pg.InfiniteLine(0, 90, pen=pen))
            self.addItem(self._marks[-1])
        for line, mark in zip(self._marks, marks, strict=True):
            line.setValue(mark)
        self._draw(max(marks, default=0.0))

    def _draw(self, mark: float) -> None:
        """The histogram, wide enough for the marks; again only where its width has changed."""
        held = self._shares
        most = 1.0 if not len(held) else min(1.0, max(1.3 * float(held.max()), 1.05 * mark, 0.02))
        if most == self._most:
            return
        self._most = most
        counts, edges = np.histogram(held, _BINS, (0, most))
        self.bars.setOpts(x=(edges[1:] + edges[:-1]) / 2, height=counts, width=most / _BINS)
        top = max(1, int(counts.max(initial=0)))
        self.getViewBox().setRange(xRange=(0, most), yRange=(0, top), padding=0.03)


class PhasePlot(SmallPlot):
    """A square for each density and importance in the colour of its state; shared: with a dot."""

    hovered = Signal(int, int)  # row and column, -1 outside

    def __init__(self) -> None:
        super().__init__("phase diagram of superposition")
        self.setObjectName("phase_plot")
        self.image = pg.ImageItem()
        self.dots = pg.ScatterPlotItem(size=4, pen=None, brush=pg.mkBrush(colours.CARD))
        self.addItem(self.image)
        self.addItem(self.dots)
        self._shape = (0, 0)
        self.getAxis("left").setWidth(48)
        self.setLabel("bottom", "density: how often a feature is there", color=colours.TEXT_DIM,
                      size="8pt")  # fmt: skip
        self.setLabel("left", "importance of the last", color=colours.TEXT_DIM, size="8pt")
        self.scene().sigMouseMoved.connect(self._on_move)

    def show_phases(self, phases: PhaseDiagram) -> None:
        """Draw a diagram."""
        held = states(phases)
        table = np.array(
            [QColor(getattr(colours, name)).getRgb() for name in STATE_COLOURS], np.uint8
        )
        self.image.setImage(table[held].transpose(1, 0, 2), levels=(0, 255))
        rows, columns = np.nonzero(held == SHARED)
        self.dots.setData(columns + 0.5, rows + 0.5)
        if held.shape == self._shape:
            return
        rows, columns = self._shape = held.shape
        self.image.setRect(QRectF(0, 0, columns, rows))
        self.getAxis("bottom").setTicks([_ticks(phases.density)])
        self.getAxis("left").setTicks([_ticks(phases.importance)])
        self.getViewBox().setRange(xRange=(0, columns), yRange=(0, rows), padding=0.01)

    def _on_move(self, place: QPointF) -> None:
        at = self.getViewBox().mapSceneToView(place)
        row, column = int(np.floor(at.y())), int(np.floor(at.x()))
        inside = 0 <= row < self._shape[0] and 0 <= column < self._shape[1]
        self.hovered.emit(row if inside else -1, column if inside else -1)


def _ticks(values: np.ndarray) -> list[tuple[float, str]]:
    count = len(values)
    wanted = sorted({0, count // 2, count - 1})
    return [(number + 0.5, f"{values[number]:.2g}") for number in wanted]
