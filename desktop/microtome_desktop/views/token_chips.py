"""Rows of tokens as chips, painted: for the token strip and for the alignment of a pair."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFontMetricsF,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.spoken import tell
from microtome_desktop.views.stepping import Stepping

_GAP, _PAD, _HEIGHT = 3.0, 6.0, 24.0


@dataclass(frozen=True, slots=True)
class Chip:
    """One token: its text, its fill, and what to say about it."""

    text: str
    fill: str = field(default_factory=lambda: colours.RAISED)
    ink: str = field(default_factory=lambda: colours.TEXT)
    tip: str = ""
    marked: bool = False  # underlined: the model does not know the word
    group: str = ""  # colour of the group of points that the token is in


class TokenChips(Stepping):
    """Rows of chips in aligned columns; emits the column under the pointer and of a click."""

    clicked = Signal(int)
    hovered = Signal(int)  # -1 when the pointer leaves
    menu_asked = Signal(int, QPoint)  # column, where on the screen

    def __init__(self, said: str, parent: QWidget | None = None, *, font_pixels: int = 12) -> None:
        super().__init__(parent)
        self.setAccessibleName(said)
        self._rows: tuple[tuple[Chip, ...], ...] = ()
        self._lefts: list[float] = []
        self._widths: list[float] = []
        self._selected: int | None = None
        self._hovered = -1
        self._font = mono_font(font_pixels)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_rows(self, *rows: tuple[Chip, ...]) -> None:
        """Draw these rows; columns are as wide as their widest chip."""
        self._rows = tuple(row for row in rows if row)
        metrics = QFontMetricsF(self._font)
        texts = {chip.text for row in self._rows for chip in row}
        advance = {text: metrics.horizontalAdvance(text) for text in texts}
        count = max((len(row) for row in self._rows), default=0)
        self._widths = [
            max(advance[row[i].text] for row in self._rows if i < len(row)) + 2 * _PAD
            for i in range(count)
        ]
        self._lefts, left = [], _GAP
        for width in self._widths:
            self._lefts.append(left)
            left += width + _GAP
        self.setFixedSize(self.sizeHint())
        self._say()
        self.update()

    def select(self, column: int | None) -> None:
        """Frame one column."""
        self._selected = column
        self._say()
        self.update()

    def _say(self) -> None:
        """The chips of the framed column in words, else how many there are."""
        at, count = self._selected, self.count()
        if at is None or at >= count:
            tell(self, f"{count} tokens, none is selected")
            return
        held = [row[at] for row in self._rows if at < len(row)]
        tell(self, "; ".join(chip.tip or chip.text for chip in held))

    def count(self) -> int:
        """Columns."""
        return len(self._lefts)

    def current(self) -> int | None:
        """The framed column."""
        return self._selected

    def step_to(self, index: int) -> None:
        """As a click on the column."""
        self.select(index)  # at once: the next key may come before the selection is drawn
        self.clicked.emit(index)

    def sizeHint(self) -> QSize:
        """As wide as all chips."""
        width = self._lefts[-1] + self._widths[-1] + _GAP if self._lefts else _GAP
        return QSize(round(width), round(max(1, len(self._rows)) * (_HEIGHT + _GAP) + _GAP))

    def column_rect(self, column: int, row: int = 0) -> QRectF:
        """Where a chip is."""
        top = _GAP + row * (_HEIGHT + _GAP)
        return QRectF(self._lefts[column], top, self._widths[column], _HEIGHT)

    def _column_at(self, point: QPointF) -> int:
        column = bisect_right(self._lefts, point.x()) - 1
        inside = column >= 0 and point.x() <= self._lefts[column] + self._widths[column]
        return column if inside else -1

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the chips in view: a long prompt has thousands more."""
        first = max(bisect_right(self._lefts, event.rect().left()) - 1, 0)
        last = bisect_right(self._lefts, event.rect().right() + 1)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font)
        for row, chips in enumerate(self._rows):
            for column, chip in enumerate(chips[first:last], first):
                self._draw(painter, chip, self.column_rect(column, row), column)
        painter.end()

    def _draw(self, painter: QPainter, chip: Chip, place: QRectF, column: int) -> None:
        frame = colours.ACCENT if column == self._selected else colours.TEXT_FAINT
        framed = column in (self._selected, self._hovered)
        painter.setPen(QColor(frame) if framed else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(chip.fill))
        painter.drawRoundedRect(place, 5, 5)
        if chip.group:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(chip.group))
            edge = QRectF(place.left() + 3, place.bottom() - 3.5, place.width() - 6, 3)
            painter.drawRoundedRect(edge, 1.5, 1.5)
        painter.setPen(QColor(chip.ink))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, chip.text)
        if chip.marked:
            painter.setPen(QColor(colours.BAD))
            below = place.bottom() - 4
            painter.drawLine(
                QPointF(place.left() + _PAD, below), QPointF(place.right() - _PAD, below)
            )

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the column under the pointer."""
        self._hover(self._column_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the pointer."""
        self._hover(-1)

    def _hover(self, column: int) -> None:
        if column != self._hovered:
            self._hovered = column
            self.hovered.emit(column)
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Tell the column that was clicked."""
        column = self._column_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and column >= 0:
            self.clicked.emit(column)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for what can be done to the token under the pointer, or to the framed one."""
        if event.reason() != QContextMenuEvent.Reason.Keyboard:
            column, at = self._column_at(QPointF(event.pos())), event.globalPos()
        elif self._selected is not None and self._selected < self.count():
            column = self._selected
            at = self.mapToGlobal(self.column_rect(column).center().toPoint())
        else:
            return
        if column >= 0:
            self.menu_asked.emit(column, at)

    def event(self, event: QEvent) -> bool:
        """Show what there is to say about the chip under the pointer."""
        if isinstance(event, QHelpEvent):
            row = int((event.pos().y() - _GAP) // (_HEIGHT + _GAP))
            column = self._column_at(QPointF(event.pos()))
            inside = 0 <= row < len(self._rows) and 0 <= column < len(self._rows[row])
            QToolTip.showText(
                event.globalPos(), self._rows[row][column].tip if inside else "", self
            )
            return True
        return super().event(event)
