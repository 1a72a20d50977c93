"""Small histograms in the cells of a table, one a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QWidget

from microtome_desktop import palette as colours

_PAD = 2.0  # pixels above and below
_SIDE = 6.0
_NO_PEN = Qt.PenStyle.NoPen  # looked up once: cells are painted often


class DensityBars(QStyledItemDelegate):
    """Paints the bars of a row; ``heights`` tells them by row of the table, 0 to 255."""

    def __init__(self, heights: Callable[[int], np.ndarray | None], parent: QWidget) -> None:
        super().__init__(parent)
        self._heights = heights

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """The cell as it is without bars, which has the selection's colour, and the bars."""
        super().paint(painter, option, index)
        held = self._heights(index.row())
        if held is None or not len(held):
            return
        room = QRectF(option.rect).adjusted(_SIDE, _PAD, -_SIDE, -_PAD)
        step = room.width() / len(held)
        bars = []
        for at in np.flatnonzero(held).tolist():
            high = max(1.0, room.height() * int(held[at]) / 255)
            left = room.left() + at * step
            bars.append(QRectF(left, room.bottom() - high, max(1.0, step - 0.8), high))
        painter.save()
        painter.setPen(_NO_PEN)
        painter.setBrush(QColor(colours.ACCENT))
        painter.drawRects(bars)
        painter.restore()
