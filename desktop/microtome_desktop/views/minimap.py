"""The whole circuit in a corner of the canvas, with a frame around what is in view."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.views.node_layer import node_colour

_SIZE = QSize(168, 104)
_ROOM = 140  # pixels: in a lower canvas it would cover the circuit
_INSET = 6.0
_STEP = 0.25  # of what is in view
_STEPS = {
    Qt.Key.Key_Left: QPointF(-_STEP, 0), Qt.Key.Key_Right: QPointF(_STEP, 0),
    Qt.Key.Key_Up: QPointF(0, _STEP), Qt.Key.Key_Down: QPointF(0, -_STEP),
}  # fmt: skip


class Minimap(QWidget):
    """Shown while part of the circuit is out of view; a click or a drag goes there."""

    moved = Signal(QPointF)  # in layout units: what shall lie in the middle

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("minimap")
        self.setAccessibleName("Overview of the circuit")
        self.setToolTip("The whole circuit; click or drag to go there")
        self.setFixedSize(_SIZE)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._drawing: Drawing | None = None
        self._picture: QPixmap | None = None  # all but the frame: thousands of nodes may be in it
        self._frame = QRectF()
        self._has_room = True
        self.hide()

    def show_drawing(self, drawing: Drawing | None) -> None:
        """Show another circuit."""
        self._drawing, self._picture = drawing, None
        self.setVisible(self.wanted)
        self.update()

    @property
    def wanted(self) -> bool:
        """Whether something of the circuit is out of view, and the canvas has room for both."""
        if self._drawing is None or not self._has_room:
            return False
        layout = self._drawing.layout
        all_of_it = QRectF(0, 0, layout.width, layout.height)
        return not self._frame.adjusted(-2, -2, 2, 2).contains(all_of_it)

    def set_frame(self, frame: QRectF) -> None:
        """Frame this part of the layout."""
        if frame != self._frame:
            self._frame = frame
            self.setVisible(self.wanted)
            self.update()

    def put(self, room: QSize) -> None:
        """Sit in the lower right corner of the canvas."""
        self._has_room = room.height() >= _ROOM
        self.setVisible(self.wanted)
        self.move(room.width() - self.width() - 8, room.height() - self.height() - 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Nodes as dots, what is out of view darker."""
        if self._drawing is None:
            return
        ratio = self.devicePixelRatio()
        if self._picture is None or self._picture.devicePixelRatio() != ratio:
            self._picture = self._painted(self._drawing, ratio)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawPixmap(0, 0, self._picture)
        painter.setPen(QPen(QColor(colours.ACCENT), 1.2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        frame = QRectF(self._to_map(self._frame.topLeft()), self._to_map(self._frame.bottomRight()))
        inside = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        painter.drawRoundedRect(frame.normalized().intersected(inside), 2, 2)

    def _painted(self, drawing: Drawing, ratio: float) -> QPixmap:
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = QColor(colours.WINDOW)
        ground.setAlpha(225)
        painter.setPen(QPen(QColor(colours.LINE), 1))
        painter.setBrush(ground)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        self._paint_nodes(painter, drawing)
        painter.end()
        return picture

    def _paint_nodes(self, painter: QPainter, drawing: Drawing) -> None:
        kinds = np.array(drawing.circuit.node_kind, dtype=object)
        for kind in dict.fromkeys(drawing.circuit.node_kind):
            pen = QPen(QColor(node_colour(kind)), 3.0)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            rows = np.flatnonzero(kinds == kind)
            places = zip(drawing.layout.x[rows], drawing.layout.y[rows], strict=True)
            painter.drawPoints([self._to_map(QPointF(x, y)) for x, y in places])

    def _room(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_INSET, _INSET, -_INSET, -_INSET)

    def _to_map(self, place: QPointF) -> QPointF:
        if self._drawing is None:
            return QPointF()
        layout, room = self._drawing.layout, self._room()
        across = room.left() + place.x() / layout.width * room.width()
        return QPointF(across, room.bottom() - place.y() / layout.height * room.height())

    def _to_layout(self, place: QPointF) -> QPointF:
        if self._drawing is None:
            return QPointF()
        layout, room = self._drawing.layout, self._room()
        across = (place.x() - room.left()) / room.width() * layout.width
        return QPointF(across, (room.bottom() - place.y()) / room.height() * layout.height)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go where the mouse is."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.moved.emit(self._to_layout(event.position()))
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse while its button is down."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.moved.emit(self._to_layout(event.position()))
        event.accept()

    def event(self, event: QEvent) -> bool:
        """Arrows are ours while we have the keyboard, not steps from node to node."""
        override = event.type() == QEvent.Type.ShortcutOverride
        if override and isinstance(event, QKeyEvent) and Qt.Key(event.key()) in _STEPS:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move the view by a quarter of it."""
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        frame = self._frame
        self.moved.emit(
            frame.center() + QPointF(step.x() * frame.width(), step.y() * frame.height())
        )
