"""Catching points with the mouse: a box or a lasso drawn over the feature space."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from jaxtyping import Float, Int
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.point_groups import Pick
from microtome_desktop.views.space_view import SpaceView

_LEAST_PIXELS = 4  # a smaller box is a click that slipped
_STEP = 2.0  # pixels between two corners of a lasso
_WORDS = {Pick.NEW: "", Pick.ADD: "+", Pick.REMOVE: "\N{MINUS SIGN}"}


class Tool(StrEnum):
    """What the left button does."""

    TURN = "turn"
    BOX = "box"
    LASSO = "lasso"


class Outline(QWidget):
    """The box or the lasso while it is drawn, over the view and out of the mouse's way."""

    def __init__(self, ground: QWidget) -> None:
        super().__init__(ground)
        self.path = QPainterPath()
        self.word = ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A thin line around a light fill, and whether it adds or removes."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill = QColor(colours.ACCENT)
        fill.setAlpha(38)
        painter.setPen(QPen(QColor(colours.ACCENT), 1.4))
        painter.setBrush(fill)
        painter.drawPath(self.path)
        if self.word and not self.path.isEmpty():
            painter.setPen(QColor(colours.TEXT))
            painter.drawText(self.path.currentPosition() + QPointF(9, -6), self.word)
        painter.end()


class PickTool(QObject):
    """Turns drags over a view into points that were caught, while box or lasso is chosen.

    Shift adds, Alt or Ctrl removes (some desktops keep Alt and the mouse for themselves). Esc ends
    a drag, and without one the tool.
    """

    caught = Signal(object, object)  # rows of the points, Pick
    dropped = Signal()  # Esc: back to turning

    def __init__(self, view: SpaceView) -> None:
        super().__init__(view)
        self._view, self._surface = view, view.surface()
        self._corners: list[QPointF] = []
        self._pick = Pick.NEW
        self.tool = Tool.TURN
        self.outline = Outline(self._surface)
        # A plot's viewport would leave the keyboard to the plot.
        self._surface.setFocusProxy(None)  # type: ignore[arg-type]  # the stub knows no None
        self._surface.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._surface.installEventFilter(self)

    def use(self, tool: Tool) -> None:
        """Take another tool; what is half drawn is dropped."""
        self.tool = tool
        self._end()
        cross = tool is not Tool.TURN
        self._surface.setCursor(Qt.CursorShape.CrossCursor if cross else Qt.CursorShape.ArrowCursor)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take what belongs to a drag or ends it."""
        if self.tool is Tool.TURN:
            return False
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            return self._on_escape(event)
        if isinstance(event, QMouseEvent) and watched is self._surface:
            return self._on_mouse(event)
        return False

    def _on_escape(self, event: QKeyEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        if event.type() != QEvent.Type.KeyPress:
            return False
        if self._corners:
            self._end()
        else:
            self.dropped.emit()
        return True

    def _on_mouse(self, event: QMouseEvent) -> bool:
        kind, left = event.type(), event.button() == Qt.MouseButton.LeftButton
        if kind == QEvent.Type.MouseButtonPress and left:
            self._begin(event)
        elif kind == QEvent.Type.MouseMove and self._corners:
            self._draw_to(event.position())
        elif kind == QEvent.Type.MouseButtonRelease and left and self._corners:
            self._catch()
        else:
            return False
        return True

    def _begin(self, event: QMouseEvent) -> None:
        held, modifier = event.modifiers(), Qt.KeyboardModifier
        removes = held & (modifier.AltModifier | modifier.ControlModifier)
        adds = held & modifier.ShiftModifier
        self._pick = Pick.REMOVE if removes else Pick.ADD if adds else Pick.NEW
        self._corners = [event.position()]
        self.outline.word = _WORDS[self._pick]
        self.outline.path = QPainterPath()
        self.outline.setGeometry(self._surface.rect())
        self.outline.raise_()
        self.outline.show()

    def _draw_to(self, place: QPointF) -> None:
        if self.tool is Tool.BOX:
            self._corners[1:] = [place]
        elif (place - self._corners[-1]).manhattanLength() >= _STEP:
            self._corners.append(place)
        self.outline.path = self._path()
        self.outline.update()

    def _path(self) -> QPainterPath:
        path = QPainterPath()
        if self.tool is Tool.BOX:
            path.addRect(QRectF(self._corners[0], self._corners[-1]).normalized())
            return path
        path.moveTo(self._corners[0])
        for corner in self._corners[1:]:
            path.lineTo(corner)
        path.closeSubpath()
        return path

    def _catch(self) -> None:
        path, pick = self._path(), self._pick
        self._end()
        box = path.boundingRect()
        if max(box.width(), box.height()) < _LEAST_PIXELS:
            return
        size = self._surface.size()
        rows = caught_by(path, self._view.screen_places(), size.width(), size.height())
        self.caught.emit(rows, pick)

    def _end(self) -> None:
        self._corners = []
        self.outline.hide()


def caught_by(
    path: QPainterPath, places: Float[np.ndarray, "point 2"], width: int, height: int
) -> Int[np.ndarray, " caught"]:
    """The points inside an outline.

    The outline is filled as a picture and read where the points are: the time does not depend on
    how many corners it has.
    """
    image = QImage(width, height, QImage.Format.Format_Grayscale8)
    image.fill(0)
    painter = QPainter(image)
    painter.fillPath(path, QColor("white"))
    painter.end()
    lines = np.frombuffer(image.constBits(), np.uint8).reshape(height, -1)
    with np.errstate(invalid="ignore"):
        across, down = np.floor(places).astype(np.int64).T
    on_it = (across >= 0) & (across < width) & (down >= 0) & (down < height)
    rows = np.flatnonzero(on_it)
    return np.asarray(rows[lines[down[rows], across[rows]] > 0])
