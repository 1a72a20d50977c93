"""A frame around what has the keyboard, drawn the same way around everything, in both themes."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)
from shiboken6 import isValid

from microtome_desktop import palette as colours

_WIDTH, _ROUND = 2.0, 4.0
# The theme colours the border that these have anyway.
_BORDERED = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox, QMenu)


class FocusRing(QWidget):
    """Lies over one widget, lets the mouse through, and follows its size."""

    def __init__(self, ground: QWidget) -> None:
        super().__init__(ground)
        self.setObjectName("focus_ring")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        ground.installEventFilter(self)
        self.setGeometry(ground.rect())
        self.raise_()
        self.show()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay around all of it."""
        if event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.setGeometry(watched.rect())
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """Two lines: the outer one is seen on the window, the inner one on a coloured button."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        around = QRectF(self.rect())
        for inset, colour, width in ((1.0, colours.ACCENT, _WIDTH), (2.5, colours.WINDOW, 1.0)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawRoundedRect(around.adjusted(inset, inset, -inset, -inset), _ROUND, _ROUND)


class FocusRings(QObject):
    """Puts the ring where the keyboard goes in a window and its dialogs.

    A click shows by itself where it went, and draws none.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.ring: FocusRing | None = None
        self._by_keys = False
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._on_focus)

    def _on_focus(self, before: QWidget | None, now: QWidget | None) -> None:
        if self.ring is not None and isValid(self.ring):
            self.ring.hide()
            self.ring.deleteLater()
        self.ring = None
        if before is not None:  # else it comes back from another program, as it was
            self._by_keys = QGuiApplication.mouseButtons() == Qt.MouseButton.NoButton
        ours = now is not None and self._is_ours(now) and not _shows_it_itself(now)
        if now is not None and ours and self._by_keys:
            self.ring = FocusRing(now)

    def _is_ours(self, widget: QWidget) -> bool:
        above: QWidget | None = widget
        while above is not None and above is not self._window:
            above = above.parentWidget()
        return above is not None


def _shows_it_itself(widget: QWidget) -> bool:
    return widget.isWindow() or isinstance(widget, _BORDERED)
