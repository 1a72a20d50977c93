"""The clean and the corrupt prompt above a map, every token above its column."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.sweep_map import Prompts
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.sweep_plot import SweepPlot

_LINE = 18  # pixels of a row of upright tokens
_TURNED = 52  # of a row of turned ones, at most
_GAP = 2
_PIXELS = 10


class SweepPrompts(QWidget):
    """Two rows of tokens, those that differ marked.

    They are turned by a quarter where columns are narrow, and run on as lines where columns are
    no tokens.
    """

    def __init__(self, plot: SweepPlot) -> None:
        super().__init__()
        self._plot = plot
        self._prompts: Prompts | None = None
        self._font = mono_font(_PIXELS)
        self._metrics = QFontMetricsF(self._font)
        self._turned = False
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        plot.moved.connect(self._on_moved)
        self.hide()

    def show_prompts(self, prompts: Prompts | None) -> None:
        """Show others, or none."""
        self._prompts = prompts
        self.setVisible(prompts is not None and bool(prompts.rows))
        if prompts is not None:
            self.setToolTip("\n".join(f"{name}: {' '.join(row)}" for name, row in prompts.rows))
        self._on_moved()

    @property
    def has_rows(self) -> bool:
        """Whether there are prompts to show."""
        return self._prompts is not None and bool(self._prompts.rows)

    def sizeHint(self) -> QSize:
        """As high as its rows."""
        rows = () if self._prompts is None else self._prompts.rows
        high = self._turned_height() if self._turned else _LINE
        return QSize(100, round(len(rows) * (high + _GAP)))

    def _longest(self) -> float:
        rows = () if self._prompts is None else self._prompts.rows
        return max((self._metrics.horizontalAdvance(t) for _, row in rows for t in row), default=0)

    def _turned_height(self) -> float:
        return min(self._longest() + 6, _TURNED)

    def _on_moved(self) -> None:
        if self._prompts is None or self.isHidden():
            return
        narrow = self._prompts.aligned and self._longest() + 4 > self._plot.column_width
        if narrow != self._turned or self.height() != self.sizeHint().height():
            self._turned = narrow
            self.setFixedHeight(self.sizeHint().height())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the rows; tokens whose columns are out of view are left out."""
        if self._prompts is None or self._plot.grid is None:
            return
        painter = QPainter(self)
        painter.setFont(self._font)
        high = self._turned_height() if self._turned else float(_LINE)
        for number, (name, tokens) in enumerate(self._prompts.rows):
            top = number * (high + _GAP)
            if self._prompts.aligned:
                self._draw_aligned(painter, tokens, top, high)
            else:
                self._draw_line(painter, name, tokens, top)
        painter.end()

    def _draw_aligned(
        self, painter: QPainter, tokens: tuple[str, ...], top: float, high: float
    ) -> None:
        wide = self._plot.column_width
        if wide <= 0:
            return
        for column, token in enumerate(tokens):
            middle = self._plot.column_middle(column)
            if middle + wide / 2 <= self._plot.column_middle(-0.5) - 1 or middle > self.width():
                continue
            room = QRectF(middle - wide / 2 + 0.5, top, wide - 1, high)
            self._back(painter, room, column)
            painter.setPen(self._ink(column))
            if self._turned:
                self._draw_turned(painter, token, room)
            else:
                painter.drawText(room, Qt.AlignmentFlag.AlignCenter, token)

    def _draw_turned(self, painter: QPainter, token: str, room: QRectF) -> None:
        shown = self._metrics.elidedText(token, Qt.TextElideMode.ElideRight, room.height() - 4)
        painter.save()
        painter.translate(room.center().x(), room.bottom() - 2)
        painter.rotate(-90)
        along = QRectF(0, -_LINE / 2, room.height() - 4, _LINE)
        painter.drawText(along, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)
        painter.restore()

    def _draw_line(self, painter: QPainter, name: str, tokens: tuple[str, ...], top: float) -> None:
        left = 4.0
        painter.setPen(QColor(colours.TEXT_FAINT))
        for column, text in enumerate((name, *tokens), start=-1):
            wide = self._metrics.horizontalAdvance(text) + 6
            if column < 0:
                wide = self._metrics.horizontalAdvance("corrupt") + 8
            if left + wide > self.width():
                painter.setPen(QColor(colours.TEXT_FAINT))
                painter.drawText(QRectF(left, top, 14, _LINE), Qt.AlignmentFlag.AlignCenter, "…")
                return
            room = QRectF(left, top, wide, _LINE)
            if column >= 0:
                self._back(painter, room, column)
                painter.setPen(self._ink(column))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, text)
            left += wide

    def _differs(self, column: int) -> bool:
        return self._prompts is not None and column in self._prompts.differing

    def _ink(self, column: int) -> QColor:
        return QColor(colours.WARM if self._differs(column) else colours.TEXT_DIM)

    def _back(self, painter: QPainter, room: QRectF, column: int) -> None:
        if self._differs(column):
            painter.save()
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.DIFFERENT))
            painter.drawRoundedRect(room, 3, 3)
            painter.restore()
