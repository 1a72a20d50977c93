"""Examples of a feature under each other: the token it is strongest on in one column."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.feature_card import Line
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.hover_tip import tip_lines
from microtome_desktop.views.token_strip import mixed

_LINE, _PAD, _GAP = 20, 3.0, 1.0  # pixels
_MIDDLE = 0.52  # of the width, where the strongest token begins
_VALUE = 46  # pixels at the left for the activation


class ExampleLines(QWidget):
    """Paints lines of tokens, each on a colour for its activation; what has no room is cut off."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: tuple[Line, ...] = ()
        self._font = mono_font(11)
        self._metrics = QFontMetricsF(self._font)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown."""
        return self._lines

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show other lines."""
        self._lines = tuple(lines)
        self.setFixedHeight(_LINE * len(self._lines))
        told = (" ".join(line.tokens) for line in self._lines)
        self.setAccessibleDescription("\n".join(told))
        self.update()

    def sizeHint(self) -> QSize:
        """As high as its lines."""
        return QSize(120, _LINE * len(self._lines))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Each line from its strongest token outward."""
        painter = QPainter(self)
        painter.setFont(self._font)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        dim = QColor(colours.TEXT_DIM)
        for row, line in enumerate(self._lines):
            painter.setPen(dim)
            number = QRectF(0, row * _LINE, _VALUE - 6, _LINE)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(number, int(right), f"{line.value:.3g}")
            self._paint_line(painter, row, line)
        painter.end()

    def _paint_line(self, painter: QPainter, row: int, line: Line) -> None:
        painter.save()
        painter.setClipRect(QRectF(_VALUE, row * _LINE, self.width() - _VALUE, _LINE))
        left = _VALUE + (self.width() - _VALUE) * _MIDDLE - _VALUE / 2
        lefts, x = {}, left
        for at in range(line.peak, len(line.tokens)):
            lefts[at] = x
            x += self._width(line.tokens[at]) + _GAP
        x = left
        for at in range(line.peak - 1, -1, -1):
            x -= self._width(line.tokens[at]) + _GAP
            lefts[at] = x
        for at, x in lefts.items():
            if x < self.width() and x + self._width(line.tokens[at]) > _VALUE:
                self._paint_token(painter, row, x, line, at)
        painter.restore()

    def _paint_token(self, painter: QPainter, row: int, x: float, line: Line, at: int) -> None:
        box = QRectF(x, row * _LINE + 2, self._width(line.tokens[at]), _LINE - 4)
        fill = mixed(line.shares[at]) if line.shares[at] > 0 else colours.CARD
        if line.shares[at] > 0:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(fill))
            painter.drawRoundedRect(box, 3, 3)
        bright = line.shares[at] > 0 or at == line.peak
        painter.setPen(QColor(colours.ink(fill) if bright else colours.TEXT_DIM))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), line.tokens[at])

    def _width(self, token: str) -> float:
        return self._metrics.horizontalAdvance(token) + 2 * _PAD

    def event(self, event: QEvent) -> bool:
        """The whole line with its numbers, where the pointer rests."""
        if isinstance(event, QHelpEvent):
            row = event.pos().y() // _LINE
            if 0 <= row < len(self._lines):
                line = self._lines[row]
                told = " ".join(line.tokens)
                tip = f"{told}\nactivation {line.value:.4g} at {line.tokens[line.peak]}"
                QToolTip.showText(event.globalPos(), tip_lines(tip), self)
                return True
        return super().event(event)
