"""Bars on one scale: what was predicted, and what a real ablation gave."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_text import signed
from microtome_desktop.presenters.node_card import Verification
from microtome_desktop.views.fonts import mono_font, text_font

_LINE, _NAME, _NUMBER = 17, 62, 58


class EffectBars(QWidget):
    """Draws a ``Verification``; hidden while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: Verification | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hide()

    @property
    def shown(self) -> Verification | None:
        """What is drawn."""
        return self._shown

    def tell(self, verification: Verification | None) -> None:
        """Draw another result."""
        self._shown = verification
        self.setVisible(verification is not None)
        if verification is not None:
            told = ", ".join(f"{name} {signed(value)}" for name, value in verification.bars)
            self.setAccessibleName(told)
            tip = f"How far the metric falls when it is cut out: {told}\n{verification.caption}"
            self.setToolTip(tip)
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        lines = 2 if self._shown is None else len(self._shown.bars)
        return QSize(200, (lines + 2) * _LINE + 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Predicted above, true below, the circumstances under them."""
        if self._shown is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for line, (name, value) in enumerate(self._shown.bars):
            colour = colours.TEXT_FAINT if line == 0 else colours.GOOD
            self._paint_bar(painter, line * _LINE, name, value, colour)
        painter.setFont(text_font(11))
        painter.setPen(QColor(colours.TEXT_DIM))
        rest = QRectF(0, len(self._shown.bars) * _LINE + 2, self.width(), 2 * _LINE)
        flags = int(Qt.AlignmentFlag.AlignLeft) | int(Qt.TextFlag.TextWordWrap)
        painter.drawText(rest, flags, self._shown.caption)

    def _paint_bar(
        self, painter: QPainter, top: float, name: str, value: float, colour: str
    ) -> None:
        if self._shown is None:
            return
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setFont(text_font(11))
        painter.setPen(QColor(colours.TEXT_DIM))
        painter.drawText(QRectF(0, top, _NAME, _LINE), left, name)
        painter.setFont(mono_font(11))
        painter.setPen(QColor(colours.TEXT))
        painter.drawText(QRectF(_NAME, top, _NUMBER - 6, _LINE), right, signed(value))
        room = max(self.width() - _NAME - _NUMBER - 4, 10)
        values = [held for _, held in self._shown.bars]
        low, high = min(*values, 0.0), max(*values, 0.0)
        scale = room / ((high - low) or 1.0)
        zero = _NAME + _NUMBER - low * scale
        begin, end = sorted((zero, zero + value * scale))
        painter.fillRect(QRectF(begin, top + 5, max(end - begin, 1.0), _LINE - 10), QColor(colour))
