"""What is painted over the points of the feature space: rings and names."""

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


def paint_rings(painter: QPainter, places: Float[np.ndarray, "ring 2"]) -> None:
    """A ring around each place; of very many a fair sample."""
    step = -(-len(places) // _MOST_RINGS) or 1
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.TEXT), 1.6 if len(places) < 20 else 1.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for x, y in places[::step].tolist():
        painter.drawEllipse(QPointF(x, y), _RADIUS, _RADIUS)


def paint_labels(
    painter: QPainter, places: Float[np.ndarray, "label 2"], texts: Sequence[str]
) -> None:
    """Names on small chips; one that would cover an earlier one, which is of more points, waits."""
    font = text_font(11)
    metrics = QFontMetricsF(font)
    chip = QColor(colours.RAISED)
    chip.setAlpha(205)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setFont(font)
    taken: list[QRectF] = []
    for (x, y), text in zip(places.tolist(), texts, strict=True):
        width = metrics.horizontalAdvance(text) + 2 * _PAD
        box = QRectF(x - width / 2, y - _HEIGHT / 2, width, _HEIGHT)
        if any(box.intersects(other) for other in taken):
            continue
        taken.append(box)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(chip)
        painter.drawRoundedRect(box, 3, 3)
        painter.setPen(QColor(colours.TEXT))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
