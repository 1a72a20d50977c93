"""A dot or another shape of a colour, as what a list or a menu names by it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

from microtome_desktop.presenters.circuit_curves import Mark
from microtome_desktop.views.edge_marks import paint_shape


def swatch(colour: str, side: int = 22, mark: Mark = ("o", True)) -> QIcon:
    """A dot, or another shape, of a colour in a square of ``side`` pixels."""
    picture = QPixmap(side, side)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    paint_shape(painter, QPointF(side / 2, side / 2), mark, QColor(colour), side - 3)
    painter.end()
    return QIcon(picture)
