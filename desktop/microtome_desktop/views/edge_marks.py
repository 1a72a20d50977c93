"""What tells the hues of edges apart without colour: a bar, a dot or another small shape."""

from __future__ import annotations

import math

import numpy as np
import pyqtgraph as pg
from jaxtyping import Float
from pyqtgraph.graphicsItems.ScatterPlotItem import drawSymbol
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_curves import BAR, Mark

_BAR, _LEAST = 6.0, 0.2  # pixels across an edge, and along it
_AT = 0.62, 0.65, 0.68  # of the way from source to target
_SHAPE, _RIM = 7.0, 1.4  # pixels


def paint_mark(
    painter: QPainter, points: Float[np.ndarray, "4 2"], pen: QPen, mark: Mark | None
) -> None:
    """A mark on a curve that was painted with this pen, of one size at any zoom; None is none."""
    if mark is None:
        return
    before, at, after = (painter.worldTransform().map(QPointF(*place)) for place in _places(points))
    along = after - before
    length = math.hypot(along.x(), along.y())
    if length < _LEAST:
        return  # an edge that is a dot
    painter.save()
    painter.resetTransform()
    if mark[0] == BAR:
        half = QPointF(-along.y(), along.x()) * (_BAR / 2 + pen.widthF() / 2) / length
        painter.setPen(_solid(pen.color(), max(pen.widthF(), _RIM)))
        painter.drawLine(at - half, at + half)
    else:
        paint_shape(painter, at, mark, pen.color(), _SHAPE + pen.widthF())
    painter.restore()


def paint_shape(
    painter: QPainter, at: QPointF, mark: Mark, colour: QColor, size: float = _SHAPE
) -> None:
    """A full or an empty shape in the middle of a place."""
    shape, full = mark
    painter.save()
    painter.translate(at)
    brush = colour if full else QColor(colours.CARD)
    drawSymbol(painter, shape, size, pg.mkPen(colour, width=_RIM), pg.mkBrush(brush))
    painter.restore()


def _solid(colour: QColor, width: float) -> QPen:
    pen = QPen(colour, width)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    return pen


def _places(points: Float[np.ndarray, "4 2"]) -> list[list[float]]:
    t = np.array(_AT)[:, None]
    parts = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
    found: list[list[float]] = (np.concatenate(parts, axis=1) @ points).tolist()
    return found
