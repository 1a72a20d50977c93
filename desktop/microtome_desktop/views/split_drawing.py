"""A feature of a small dictionary at the left, the parts that it splits into at the right."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip

from microtome_desktop import palette as colours
from microtome_desktop.presenters.splitting import Part, Split
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.hover_tip import tip_lines
from microtome_desktop.views.spoken import tell
from microtome_desktop.views.stepping import Stepping

_LEGEND = "thickness: share of its activity \N{MIDDLE DOT} strength of colour: cosine"
_NO_PARTS = "No feature of the large dictionary is on where this one is and writes along it."
_FOOT, _GAP, _PAD = 18, 6, 8  # pixels
_HEAD = 20.0
_LEAST, _MOST, _TWO_LINES = 22.0, 48.0, 38.0
_THICKEST = 26.0
_NARROW = 500  # pixels below which words make room for tokens


@dataclass(frozen=True, slots=True)
class _Box:
    area: QRectF
    part: Part


class SplitDrawing(Stepping):
    """Bands lead from the feature to its parts; a click on a box chooses its feature."""

    whole_chosen = Signal(int)
    part_chosen = Signal(int)
    part_hovered = Signal(int)  # -1 when the pointer leaves

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("split_drawing")
        self.setAccessibleName("what the feature splits into")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._split: Split | None = None
        self._names = ("", "")
        self._chosen: int | None = None  # the part that is selected
        self._hovered = -1

    def show_split(self, split: Split | None, names: tuple[str, str]) -> None:
        """Show another feature; ``names`` are what the dictionaries are called."""
        self._split, self._names, self._hovered = split, names, -1
        self._say()
        self.update()

    def mark(self, part: int | None) -> None:
        """Show which part is selected."""
        self._chosen = part
        self._say()
        self.update()

    def _say(self) -> None:
        split, at = self._split, self.current()
        if split is None or at is None:
            tell(self, "")
        elif at:
            tell(self, _told(split.parts[at - 1]))
        else:
            title = f"{split.feature} {split.label}".strip()
            tell(self, f"feature {title} splits into {len(split.parts)}")

    def count(self) -> int:
        """The feature, then its parts."""
        return 0 if self._split is None else 1 + len(self._split.parts)

    def current(self) -> int | None:
        """0 for the feature, else the place of the chosen part after it."""
        parts = () if self._split is None else self._split.parts
        places = (at for at, part in enumerate(parts, 1) if part.feature == self._chosen)
        return None if self._split is None else next(places, 0)

    def rise(self) -> int:
        """Parts stand below each other."""
        return -1

    def step_to(self, index: int) -> None:
        """As a click on its box."""
        self.mark(self._split.parts[index - 1].feature if self._split and index else None)
        if self._split is not None and index:
            self.part_chosen.emit(self._split.parts[index - 1].feature)
        elif self._split is not None:
            self.whole_chosen.emit(self._split.feature)

    def sizeHint(self) -> QSize:
        """Room for a few parts."""
        return QSize(460, 300)

    def minimumSizeHint(self) -> QSize:
        """Boxes stay readable."""
        return QSize(300, 170)

    def whole_area(self) -> QRectF:
        """Where the feature of the small dictionary stands."""
        wide, high = min(190.0, 0.28 * self.width()), 118.0
        room = self.height() - _FOOT - _HEAD
        high = min(high, room)
        return QRectF(1, _HEAD + (room - high) / 2, wide, high)

    def boxes(self) -> tuple[_Box, ...]:
        """Where the parts stand, as many as there is room for."""
        parts = () if self._split is None else self._split.parts
        room = self.height() - _FOOT - _HEAD
        count = min(len(parts), max(1, int((room + _GAP) // (_LEAST + _GAP))))
        if not count:
            return ()
        high = min(_MOST, (room + _GAP) / count - _GAP)
        wide = min(360.0, 0.56 * self.width())
        top = _HEAD + (room - count * (high + _GAP) + _GAP) / 2
        left = self.width() - wide - 1
        return tuple(
            _Box(QRectF(left, top + row * (high + _GAP), wide, high), part)
            for row, part in enumerate(parts[:count])
        )

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bands first, boxes over their ends."""
        split = self._split
        if split is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole, boxes = self.whole_area(), self.boxes()
        for row, box in enumerate(boxes):
            self._paint_band(painter, whole, box, row, len(boxes))
        self._paint_whole(painter, whole, split)
        for box in boxes:
            self._paint_part(painter, box)
        self._paint_words(painter, whole, len(split.parts) - len(boxes), empty=not boxes)
        painter.end()

    def _paint_band(
        self, painter: QPainter, whole: QRectF, box: _Box, row: int, count: int
    ) -> None:
        start = QPointF(whole.right(), whole.top() + whole.height() * (row + 0.5) / count)
        end = QPointF(box.area.left(), box.area.center().y())
        middle = (start.x() + end.x()) / 2
        path = QPainterPath(start)
        path.cubicTo(QPointF(middle, start.y()), QPointF(middle, end.y()), end)
        tint = QColor(colours.ACCENT)
        tint.setAlphaF(min(1.0, max(0.12, box.part.cosine)))
        thick = max(1.5, min(_THICKEST, box.area.height()) * box.part.share)
        pen = QPen(tint, thick)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)

    def _frame(self, painter: QPainter, area: QRectF, *, lit: bool) -> None:
        painter.setPen(QPen(QColor(colours.ACCENT if lit else colours.LINE), 1))
        painter.setBrush(QColor(colours.RAISED))
        painter.drawRoundedRect(area, 5, 5)

    def _paint_whole(self, painter: QPainter, area: QRectF, split: Split) -> None:
        self._frame(painter, area, lit=self._chosen is None)
        inner = area.adjusted(_PAD, 5, -_PAD, -4)
        title = f"{split.feature}  {split.label}".strip()
        self._line(painter, QRectF(inner.left(), inner.top(), inner.width(), 18), title, "TEXT")
        painter.setFont(mono_font(11))
        step, room = 17.0, inner.height() - 20
        for row, (word, share) in enumerate(split.words[: max(0, int(room // step))]):
            line = QRectF(inner.left(), inner.top() + 20 + row * step, inner.width(), step)
            number = f"{100 * share:.0f} %"
            taken = painter.fontMetrics().horizontalAdvance(number) + 8
            painter.setPen(QColor(colours.TEXT_DIM))
            painter.drawText(line, Qt.AlignmentFlag.AlignRight, number)
            painter.setPen(QColor(colours.TEXT))
            self._cut(painter, line.adjusted(0, 0, -taken, 0), word)

    def _paint_part(self, painter: QPainter, box: _Box) -> None:
        part, area = box.part, box.area
        self._frame(painter, area, lit=part.feature in {self._chosen, self._hovered})
        inner = area.adjusted(_PAD, 3, -_PAD, -3)
        two = area.height() >= _TWO_LINES
        first = QRectF(inner.left(), inner.top(), inner.width(), 19 if two else inner.height())
        painter.setFont(mono_font(11))
        word = "" if self.width() < _NARROW else "cos "
        numbers = f"{100 * part.share:.0f} %  {word}{part.cosine:.2f}"
        taken = painter.fontMetrics().horizontalAdvance(numbers) + 10
        painter.setPen(QColor(colours.TEXT_DIM))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(first, right, numbers)
        words = "  ".join(word for word, _ in part.words)
        title = f"{part.feature}  {part.label}".strip()
        if not two and not part.label:
            title = f"{part.feature}  {words}"
        self._line(painter, first.adjusted(0, 0, -taken, 0), title, "TEXT")
        if two:
            painter.setFont(mono_font(11))
            painter.setPen(QColor(colours.TEXT_DIM))
            below = QRectF(
                inner.left(), first.bottom(), inner.width(), inner.bottom() - first.bottom()
            )
            self._cut(painter, below, words)

    def _paint_words(self, painter: QPainter, whole: QRectF, left: int, *, empty: bool) -> None:
        painter.setFont(text_font(11))
        painter.setPen(QColor(colours.TEXT_DIM))
        head = QRectF(0, 0, self.width(), _HEAD - 4)
        half = self.width() / 2
        self._cut(painter, QRectF(1, 0, half - 8, head.height()), self._names[0])
        self._cut(painter, QRectF(half, 0, half - 2, head.height()), self._names[1], right=True)
        foot = QRectF(0, self.height() - _FOOT + 3, self.width(), _FOOT - 3)
        more = f"{left} more in the exported table \N{MIDDLE DOT} " if left else ""
        self._cut(painter, foot, more + _LEGEND)
        if empty:
            place = QRectF(whole.right() + 16, whole.top(), half, whole.height())
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(place, flags, _NO_PARTS)

    def _line(self, painter: QPainter, area: QRectF, text: str, tone: str) -> None:
        painter.setFont(text_font(12))
        painter.setPen(QColor(getattr(colours, tone)))
        self._cut(painter, area, text)

    @staticmethod
    def _cut(painter: QPainter, area: QRectF, text: str, *, right: bool = False) -> None:
        shown = painter.fontMetrics().elidedText(
            text, Qt.TextElideMode.ElideRight, max(0, int(area.width()))
        )
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        painter.drawText(area, side | Qt.AlignmentFlag.AlignVCenter, shown)

    # the mouse

    def _at(self, place: QPointF) -> Part | None:
        return next((box.part for box in self.boxes() if box.area.contains(place)), None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up the box under the pointer."""
        part = self._at(event.position())
        self._hover(-1 if part is None else part.feature)

    def leaveEvent(self, event: QEvent) -> None:
        """None is under it any more."""
        self._hover(-1)

    def _hover(self, feature: int) -> None:
        if feature != self._hovered:
            self._hovered = feature
            self.part_hovered.emit(feature)
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the feature of the box."""
        if event.button() != Qt.MouseButton.LeftButton or self._split is None:
            return
        part = self._at(event.position())
        if part is not None:
            self.part_chosen.emit(part.feature)
        elif self.whole_area().contains(event.position()):
            self.whole_chosen.emit(self._split.feature)

    def event(self, event: QEvent) -> bool:
        """All of a part in words."""
        if isinstance(event, QHelpEvent):
            part = self._at(QPointF(event.pos()))
            if part is not None:
                QToolTip.showText(event.globalPos(), tip_lines(_told(part)), self)
                return True
        return super().event(event)


def _told(part: Part) -> str:
    words = ", ".join(f"{word} {100 * share:.0f} %" for word, share in part.words)
    name = f" “{part.label}”" if part.label else ""
    return (
        f"feature {part.feature}{name}\n{100 * part.share:.1f} % of the small feature's activity "
        f"falls where it is on; cosine {part.cosine:.3f}" + (f"\non at {words}" if words else "")
    )
