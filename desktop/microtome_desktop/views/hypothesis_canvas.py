"""The drawing of a hypothesis: boxes by layer, and arrows that are dragged from box to box."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QApplication, QWidget

from microtome.records.edges import INPUT, LOGITS
from microtome.records.hypothesis import Arrow, Box, Hypothesis
from microtome_desktop import palette as colours
from microtome_desktop.presenters.hypothesis import BOX_HEIGHT, Curve, Rect, in_words, laid_out
from microtome_desktop.views.fonts import mono_font, text_font

Picked = str | Arrow | None  # the name of a box, an arrow, or nothing
_NEAR = 6.0  # pixels within which an arrow is hit
_HEAD = 7.0  # pixels of an arrow's head
_BEND = 0.45  # of the way, straight up
_ELLIPSIS = Qt.TextElideMode.ElideRight


class HypothesisCanvas(QWidget):
    """Draws one hypothesis; tells what is picked, drawn and deleted, and changes nothing itself."""

    picked = Signal(object)  # Picked
    arrow_asked = Signal(str, str, QPoint)  # source, target, where on the screen
    delete_asked = Signal()
    edit_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("hypothesis_canvas")
        self.setAccessibleName("boxes and arrows of the hypothesis")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self._shown = Hypothesis((), ())
        self._laid = laid_out(self._shown, 1, 1)
        self._picked: Picked = None
        self._pressed: tuple[str, QPointF] | None = None  # the box, and where
        self._drag: QPointF | None = None
        self._wrong: frozenset[str] = frozenset()

    def show_hypothesis(
        self, shown: Hypothesis, picked: Picked, wrong: frozenset[str] = frozenset()
    ) -> None:
        """Draw this, with what is picked framed, and the boxes that the model cannot have red."""
        self._shown, self._picked, self._wrong = shown, picked, wrong
        least = laid_out(shown, 1, 1)
        self.setMinimumSize(QSize(int(least.width), int(least.height)))
        self._lay_out()

    def resizeEvent(self, event: object) -> None:
        """Spread over the room there is."""
        self._lay_out()

    def _lay_out(self) -> None:
        self._laid = laid_out(self._shown, self.width(), self.height())
        self.update()

    def place_of(self, name: str) -> QPoint:
        """The middle of a box, for whoever points at it."""
        return _rect(self._laid.boxes[name]).center().toPoint()

    def place_of_arrow(self, arrow: Arrow) -> QPoint:
        """A point on an arrow."""
        curve = next(each for each in self._laid.curves if each.arrow == arrow)
        return _path(curve).pointAtPercent(0.5).toPoint()

    # ------------------------------------------------------------ mouse and keyboard

    def _box_at(self, at: QPointF) -> str | None:
        for name, rect in self._laid.boxes.items():
            if rect.holds(at.x(), at.y()):
                return name
        return None

    def _arrow_at(self, at: QPointF) -> Arrow | None:
        near = QRectF(at.x() - _NEAR, at.y() - _NEAR, 2 * _NEAR, 2 * _NEAR)
        for curve in reversed(self._laid.curves):
            if _path(curve).intersects(near):
                return curve.arrow
        return None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pick what is there; from a box an arrow may begin."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = event.position()
        box = self._box_at(at)
        self._pressed = None if box in (None, LOGITS) else (str(box), at)
        found: Picked = box if box != LOGITS else None
        self.picked.emit(self._arrow_at(at) if box is None else found)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw the arrow that is being dragged."""
        at = event.position()
        if self._pressed is None:
            over = self._box_at(at)
            hand = over is not None or self._arrow_at(at) is not None
            shape = Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor
            self.setCursor(shape)
            return
        far = (at - self._pressed[1]).manhattanLength() >= QApplication.startDragDistance()
        if self._drag is not None or far:
            self._drag = at
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """An arrow that ends on another box is asked for."""
        pressed, drag = self._pressed, self._drag
        self._pressed = self._drag = None
        self.update()
        if pressed is None or drag is None:
            return
        target = self._box_at(event.position())
        if target is not None and target != pressed[0]:
            self.arrow_asked.emit(pressed[0], target, event.globalPosition().toPoint())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """A box is edited."""
        if self._box_at(event.position()) not in (None, LOGITS):
            self.edit_asked.emit()

    def event(self, event: QEvent) -> bool:
        """Esc is ours while something is picked; else it clears the window's selection."""
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            ours = event.key() == Qt.Key.Key_Escape and self._picked is not None
            if ours or event.key() in (Qt.Key.Key_Delete, *_STEPS):
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Del deletes, Return edits, arrow keys go from box to box, Esc picks nothing."""
        key = event.key()
        if key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_asked.emit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.edit_asked.emit()
        elif key == Qt.Key.Key_Escape and self._picked is not None:
            self.picked.emit(None)
        elif key in _STEPS:
            self._step(*_STEPS[Qt.Key(key)])
        else:
            super().keyPressEvent(event)

    def _step(self, right: int, up: int) -> None:
        boxes = {n: _rect(r).center() for n, r in self._laid.boxes.items() if n != LOGITS}
        if not boxes:
            return
        if not isinstance(self._picked, str) or self._picked not in boxes:
            self.picked.emit(next(iter(boxes)))
            return
        here = boxes[self._picked]
        ahead = {
            name: (abs(at.x() - here.x()) + abs(at.y() - here.y()))
            for name, at in boxes.items()
            if (right * (at.x() - here.x()) > 1 and abs(at.y() - here.y()) < 1)
            or up * (here.y() - at.y()) > 1
        }
        if ahead:
            self.picked.emit(min(ahead, key=lambda name: ahead[name]))

    # ------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Rows, arrows, boxes, and the arrow that is being dragged."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_rows(painter)
        for curve in self._laid.curves:
            self._paint_curve(painter, curve)
        for name, rect in self._laid.boxes.items():
            box = next((each for each in self._shown.boxes if each.name == name), None)
            self._paint_box(painter, name, rect, box)
        for curve in self._laid.curves:
            self._paint_reader(painter, curve)
        if self._pressed is not None and self._drag is not None:
            painter.setPen(QPen(QColor(colours.ACCENT), 1.6, Qt.PenStyle.DashLine))
            source = _rect(self._laid.boxes[self._pressed[0]])
            painter.drawLine(QPointF(source.center().x(), source.top()), self._drag)
        painter.end()

    def _paint_rows(self, painter: QPainter) -> None:
        painter.setFont(mono_font(11))
        for row in self._laid.rows:
            painter.setPen(QPen(QColor(colours.LINE), 1))
            painter.drawLine(QPointF(50, row.y), QPointF(self.width() - 8, row.y))
            painter.setPen(QColor(colours.TEXT_DIM))
            where = QRectF(6, row.y - 9, 44, 18)
            painter.drawText(where, int(Qt.AlignmentFlag.AlignVCenter), row.title)

    def _paint_curve(self, painter: QPainter, curve: Curve) -> None:
        held = curve.arrow == self._picked
        beside = isinstance(self._picked, str) and self._picked in (
            curve.arrow.source, curve.arrow.target
        )  # fmt: skip
        colour = QColor(colours.ACCENT if held else colours.TEXT if beside else colours.TEXT_FAINT)
        painter.setPen(QPen(colour, 2.2 if held else 1.4))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(_path(curve))
        x, y = curve.end
        painter.setBrush(colour)
        painter.setPen(Qt.PenStyle.NoPen)
        tip = [QPointF(x, y), QPointF(x - _HEAD / 2, y + _HEAD), QPointF(x + _HEAD / 2, y + _HEAD)]
        painter.drawPolygon(QPolygonF(tip))

    def _paint_reader(self, painter: QPainter, curve: Curve) -> None:
        """Which reader an arrow leads into, beside its head."""
        if curve.arrow.reader == LOGITS:
            return
        painter.setFont(mono_font(11))
        held = curve.arrow == self._picked
        painter.setPen(QColor(colours.ACCENT if held else colours.TEXT_DIM))
        x, y = curve.end
        painter.drawText(QPointF(x + 5, y + 12), curve.arrow.reader)

    def _paint_box(self, painter: QPainter, name: str, rect: Rect, box: Box | None) -> None:
        outline, colour = _rect(rect), QColor(_colour(box))
        wrong = name in self._wrong
        held = name == self._picked
        edge = colours.BAD if wrong else colours.ACCENT if held else colours.LINE
        painter.setPen(QPen(QColor(edge), 2 if held or wrong else 1))
        painter.setBrush(QColor(colours.RAISED))
        painter.drawRoundedRect(outline, 7, 7)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        low = rect.height < BOX_HEIGHT
        mark = QRectF(outline.x() + 5, outline.y(), 3, outline.height()).adjusted(0, 6, 0, -6)
        painter.drawRoundedRect(mark, 1.5, 1.5)
        inner = outline.adjusted(14, 2 if low else 4, -8, -2 if low else -4)
        if box is None:
            _write(painter, _bold(13), colours.TEXT, inner, "logits")
            return
        lines = 1 if low else 2
        above = QRectF(inner.x(), inner.y(), inner.width(), inner.height() / lines)
        below = above.translated(0, inner.height() / 2)
        nodes = " ".join(box.nodes)
        fitted = _write(painter, mono_font(11), colours.TEXT_DIM, above, nodes, right=True)
        left = QRectF(above.x(), above.y(), above.width() - fitted - 8, above.height())
        _write(painter, _bold(13), colours.TEXT, left, name)
        if not low:
            _write(painter, text_font(11), colours.TEXT_DIM, below, in_words(box.claim))


_STEPS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}


def _write(
    painter: QPainter, font: QFont, colour: str, place: QRectF, text: str, *, right: bool = False
) -> float:
    """Write one line, cut to its place; how wide it is."""
    metrics = QFontMetricsF(font)
    room = place.width() * (0.6 if right else 1.0)
    shown = metrics.elidedText(text, _ELLIPSIS, room)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    painter.drawText(place, int(side | Qt.AlignmentFlag.AlignVCenter), shown)
    return metrics.horizontalAdvance(shown)


def _bold(pixels: int) -> QFont:
    font = text_font(pixels)
    font.setWeight(QFont.Weight.DemiBold)
    return font


def _rect(rect: Rect) -> QRectF:
    return QRectF(rect.x, rect.y, rect.width, rect.height)


def _path(curve: Curve) -> QPainterPath:
    (x, y), (to_x, to_y) = curve.start, curve.end
    bend = abs(y - to_y) * _BEND
    path = QPainterPath(QPointF(x, y))
    path.cubicTo(QPointF(x, y - bend), QPointF(to_x, to_y + bend), QPointF(to_x, to_y + _HEAD))
    return path


def _colour(box: Box | None) -> str:
    if box is None:
        return colours.OUTPUT
    if INPUT in box.nodes:
        return colours.TOKEN
    return colours.MLP if box.nodes and box.nodes[0].startswith("m") else colours.HEAD
