"""A dot of a colour, as what a list or a menu names by it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap


def swatch(colour: str, side: int = 22) -> QIcon:
    """A dot of a colour in a square of ``side`` pixels."""
    picture = QPixmap(side, side)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(1, 1, side - 2, side - 2)
    painter.end()
    return QIcon(picture)
