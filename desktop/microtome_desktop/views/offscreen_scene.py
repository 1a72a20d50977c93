"""A vispy scene drawn off the screen and shown as a picture.

One visible OpenGL widget makes Qt compose its whole window by OpenGL: without a graphics card every
repaint of anything, down to a label in the status bar, then takes 15 ms more than it needs. Here
the OpenGL widget is a window of its own that is never shown; what it drew is painted like any
other picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vispy
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

vispy.use("pyside6")  # before the first canvas: the choice cannot be changed later

from vispy import scene  # noqa: E402 - the backend must be chosen first


class _Canvas(scene.SceneCanvas):
    """Says that the scene has changed, where vispy would ask Qt for a frame."""

    changed: Callable[[], None] | None = None
    mouse_on: Any = None  # the node that takes the mouse, wherever it is

    def visual_at(self, pos: Any) -> Any:
        """The library would draw the scene once more to find out, in whichever context is on."""
        return self.mouse_on

    def update(self, node: Any = None) -> None:
        if self.changed is not None:
            self.changed()


class OffscreenScene(QWidget):
    """Shows ``canvas``, and hands it the mouse.

    ``decorate`` paints over each picture. ``replace`` gives the picture in place of the scene.
    """

    def __init__(self, background: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        # Nothing is on screen to swap. For it the library would ask the widget for its context,
        # which shiboken then deletes a second time where the collector finds both to be garbage.
        self.canvas = _Canvas(bgcolor=background, show=False, autoswap=False)
        self.native: QWidget = self.canvas.native
        # No child of ours: as one, Qt would compose our window by OpenGL all the same.
        self.destroyed.connect(self.native.deleteLater)
        self.native.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
        self.native.setAttribute(Qt.WidgetAttribute.WA_QuitOnClose, False)
        self.native.setUpdatesEnabled(False)  # it is drawn when it is asked for, never by Qt
        self.decorate: Callable[[QPainter], None] | None = None
        self.replace: Callable[[], QImage] | None = None
        self._frame = QImage()
        self._stale = True
        self.canvas.unfreeze()
        self.canvas.changed = self.invalidate
        self.canvas.freeze()

    def invalidate(self) -> None:
        """Draw the scene anew at the next chance."""
        self._stale = True
        self.update()

    def draw(self) -> QImage:
        """The scene as it is now, drawn at once."""
        self.wake()
        frame = self._grabbed() if self.replace is None else self.replace()
        if self.decorate is not None and not frame.isNull():
            painter = QPainter(frame)
            self.decorate(painter)
            painter.end()
        self._frame, self._stale = frame, False
        return self._frame

    def _grabbed(self) -> QImage:
        picture: QImage = self.native.grabFramebuffer()  # type: ignore[attr-defined] # QOpenGLWidget
        return picture

    def wake(self) -> None:
        """Give the scene its context and its size."""
        if not self.native.isVisible():
            self.native.resize(self.size())
            self.native.show()  # off the screen

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the scene where it has changed, and show it."""
        frame = self.draw() if self._stale else self._frame
        painter = QPainter(self)
        painter.drawImage(0, 0, frame)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the scene the new room."""
        self.native.resize(event.size())
        self.invalidate()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Hand over."""
        self.native.mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Hand over."""
        self.native.mouseReleaseEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Hand over."""
        self.native.mouseMoveEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Hand over."""
        self.native.wheelEvent(event)
