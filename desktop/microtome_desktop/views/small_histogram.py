"""A few bars of counts, painted: how strongly a feature is on where it is on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.views.fonts import mono_font

_HEIGHT, _AXIS = 74, 16  # pixels


class SmallHistogram(QWidget):
    """Bars over borders of equal ratio; numbers stand below the first, middle and last."""

    def __init__(self, counted: str = "positions") -> None:
        super().__init__()
        self._counted = counted
        self._counts: Int[np.ndarray, " bin"] = np.zeros(0, np.int64)
        self._edges: Float[np.ndarray, " border"] = np.zeros(1)
        self.setAccessibleName("activation histogram")
        self.setFixedHeight(_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_counts(
        self, counts: Int[np.ndarray, " bin"], edges: Float[np.ndarray, " border"]
    ) -> None:
        """Show other counts."""
        self._counts, self._edges = counts, edges
        self.setVisible(bool(len(counts)))
        self.update()

    def sizeHint(self) -> QSize:
        """Low, as wide as there is room."""
        return QSize(160, _HEIGHT)

    def _width(self) -> float:
        return min(26.0, self.width() / max(1, len(self._counts)))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars of a height that grows with the count, and borders as text."""
        painter = QPainter(self)
        painter.setFont(mono_font(10))
        width, room = self._width(), self.height() - _AXIS - 2
        most = max(1, int(self._counts.max(initial=0)))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.ACCENT))
        for at, count in enumerate(self._counts.tolist()):
            high = room * count / most
            bar = QRectF(at * width, 2 + room - high, max(1.0, width - 1), max(1.0, high))
            painter.drawRect(bar if count else QRectF())
        painter.setPen(QColor(colours.TEXT_DIM))
        last, told = len(self._counts) - 1, -1.0
        for at in sorted({0, last // 2, last} if last >= 0 else ()):
            text = f"{self._edges[at]:.3g}"
            wide = painter.fontMetrics().horizontalAdvance(text)
            x = min(max(0.0, at * width), self.width() - wide)
            if x > told:
                painter.drawText(QRectF(x, self.height() - _AXIS, wide + 4, _AXIS), text)
                told = x + wide + 8
        painter.end()

    def event(self, event: QEvent) -> bool:
        """The bar under the pointer in numbers."""
        if isinstance(event, QHelpEvent) and len(self._counts):
            at = int(event.pos().x() / self._width())
            if at < len(self._counts):
                low, high = self._edges[at], self._edges[at + 1]
                text = f"{self._counts[at]:,} {self._counted} from {low:.3g} to {high:.3g}"
                QToolTip.showText(event.globalPos(), text, self)
                return True
        return super().event(event)
