"""What is painted over the points of the feature space: rings, a pointer and names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from microtome_desktop import palette as colours
from microtome_desktop.views.fonts import text_font

_RADIUS, _PAD, _HEIGHT = 6.5, 4.0, 16.0
_MOST_RINGS = 400  # more are a carpet, and slow
POINTER = 9.0  # half the side of the frame around what keys point at


def paint_rings(painter: QPainter, places: Float[np.ndarray, "ring 2"]) -> None:
    """A ring around each place; of very many a fair sample."""
    step = -(-len(places) // _MOST_RINGS) or 1
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.TEXT), 1.6 if len(places) < 20 else 1.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for x, y in places[::step].tolist():
        painter.drawEllipse(QPointF(x, y), _RADIUS, _RADIUS)


def paint_pointer(painter: QPainter, place: Float[np.ndarray, "2"]) -> None:
    """A square frame with ticks around the point that keys point at: no ring looks like it."""
    x, y = place.tolist()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, width in ((colours.CARD, 4.0), (colours.TEXT, 1.8)):
        painter.setPen(QPen(QColor(colour), width))
        painter.drawRect(QRectF(x - POINTER, y - POINTER, 2 * POINTER, 2 * POINTER))
        for across, down in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            way = QPointF(across, down)
            painter.drawLine(QPointF(x, y) + way * POINTER, QPointF(x, y) + way * (POINTER + 5))


def label_sizes(texts: Sequence[str]) -> Float[np.ndarray, "label 2"]:
    """Width and height of each name's chip."""
    metrics = QFontMetricsF(text_font(11))
    widths = [metrics.horizontalAdvance(text) + 2 * _PAD for text in texts]
    return np.array([(width, _HEIGHT) for width in widths]).reshape(-1, 2)


def paint_labels(
    painter: QPainter,
    places: Float[np.ndarray, "label 2"],
    moves: Float[np.ndarray, "label 2"],
    texts: Sequence[str],
) -> None:
    """Names on small chips, moved off their places, with a line back to where they belong.

    One that would cover an earlier one, which is of more points, waits.
    """
    chip, edge = QColor(colours.RAISED), QPen(QColor(colours.TEXT_FAINT), 1.0)
    chip.setAlpha(235)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setFont(text_font(11))
    taken: list[QRectF] = []
    sizes = label_sizes(texts)
    for place, move, size, text in zip(places, moves, sizes, texts, strict=True):
        corner = place + move - size / 2
        box = QRectF(*corner.tolist(), *size.tolist())
        if any(box.intersects(other) for other in taken):
            continue
        taken.append(box)
        painter.setPen(edge)
        if move.any():
            painter.drawLine(QPointF(*place.tolist()), QPointF(*(place + move).tolist()))
        painter.setBrush(chip)
        painter.drawRoundedRect(box, 3, 3)
        painter.setPen(QColor(colours.TEXT))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
