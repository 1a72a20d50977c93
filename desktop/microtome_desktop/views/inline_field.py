"""A field that opens where a name is written, takes one line, and is gone."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from shiboken6 import isValid

_WIDTH = 190


class InlineField(QLineEdit):
    """Return and a click elsewhere take the text, Escape drops it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._ground = parent
        self.setObjectName("inline_field")
        self.setAccessibleName("name")  # until somebody asks for something
        self._take: Callable[[str], None] | None = None
        self._before: QWidget | None = None  # what had the keyboard
        self.dropped: Callable[[], None] | None = None  # what Escape sets back
        self.setFixedWidth(_WIDTH)
        self.installEventFilter(self)
        self.returnPressed.connect(self._on_return)
        self.hide()

    def ask(self, hint: str, text: str, at: QPoint, take: Callable[[str], None]) -> None:
        """Open at a place of the parent; ``take`` gets what was typed."""
        self._take = take
        self.setPlaceholderText(hint)
        self.setAccessibleName(hint)
        self.setText(text)
        room = self._ground.rect()
        self.adjustSize()
        x = min(max(at.x() - self.width() // 2, 4), room.width() - self.width() - 4)
        y = min(max(at.y() - self.height() - 12, 4), room.height() - self.height() - 4)
        self.move(x, y)
        self.show()
        self.raise_()
        self._before = QApplication.focusWidget()
        self.setFocus()
        self.selectAll()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Escape is ours while the field is open; losing the keyboard takes the text."""
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                self._close()
                if self.dropped is not None:
                    self.dropped()
                return True
        popup = Qt.FocusReason.PopupFocusReason
        if isinstance(event, QFocusEvent) and event.lostFocus() and event.reason() is not popup:
            self._on_return()
        return False

    def _on_return(self) -> None:
        take = self._close()
        if take is not None:
            take(self.text().strip())

    def _close(self) -> Callable[[str], None] | None:
        take, self._take = self._take, None
        before, self._before = self._before, None
        if self.hasFocus() and before is not None and isValid(before):
            before.setFocus()
        self.hide()
        return take
