"""What lies behind the circuit: a line for each layer, a band for a selected token or layer."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QGraphicsObject, QStyleOptionGraphicsItem, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_layout import Layout

_BAND = 90.0  # widest band that still reads as one column


class GuideLayer(QGraphicsObject):
    """Draws the lines and bands of a layout."""

    def __init__(self) -> None:
        super().__init__()
        self._layout: Layout | None = None
        self._position: int | None = None
        self._hovered: int | None = None
        self._row: int | None = None

    def set_layout(self, layout: Layout | None) -> None:
        """Draw the guides of another layout."""
        self.prepareGeometryChange()
        self._layout = layout
        self.update()

    def set_bands(self, position: int | None, row: int | None, hovered: int | None) -> None:
        """Mark a token's column and a layer's row, and faintly the column under the cursor."""
        bands = (position, row, hovered)
        if bands != (self._position, self._row, self._hovered):
            self._position, self._row, self._hovered = bands
            self.update()

    def boundingRect(self) -> QRectF:
        if self._layout is None:
            return QRectF()
        return QRectF(0, 0, self._layout.width, self._layout.height)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,
        widget: QWidget | None = None,
    ) -> None:
        """Bands below, lines above."""
        layout = self._layout
        if layout is None:
            return
        for position, alpha in ((self._hovered, 8), (self._position, 12)):
            held = position is not None and 0 <= position < len(layout.columns)
            if position is not None and held and not layout.by_head:
                width = min(layout.column_widths[position], _BAND)
                band = QRectF(layout.columns[position] - width / 2, 0, width, layout.height)
                painter.fillRect(band, _veil(alpha))
        if self._row is not None and 0 <= self._row < len(layout.rows):
            height = layout.row_heights[self._row]
            bottom = layout.rows[self._row] - height / 2
            painter.fillRect(QRectF(0, bottom, layout.width, height), _veil(7))
        pen = QPen(QColor(colours.LINE), 1.0)
        pen.setCosmetic(True)
        painter.setPen(pen)
        for y in layout.rows:
            painter.drawLine(QPointF(0, y), QPointF(layout.width, y))


def _veil(alpha: int) -> QColor:
    colour = QColor(colours.VEIL)
    colour.setAlpha(alpha)
    return colour
