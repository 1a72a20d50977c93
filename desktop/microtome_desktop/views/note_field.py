"""A field for a note of several lines, which is kept without a button."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QPlainTextEdit

_PAUSE_MS = 900  # after a key, until what is written is kept


class NoteField(QPlainTextEdit):
    """A note; tells what was written, a moment after it was and when the keyboard leaves."""

    def __init__(self, name: str, hint: str, keep: Callable[[str], None]) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(hint)
        self.setPlaceholderText(hint)
        self.setTabChangesFocus(True)
        self.setMinimumHeight(44)
        self._keep, self._shown = keep, ""
        self._pause = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._pause.timeout.connect(self.flush)
        self.textChanged.connect(self._on_text)

    def show_text(self, text: str) -> None:
        """Show another text, which is kept already."""
        self._shown = text
        self._pause.stop()
        if text != self.toPlainText():
            self.setPlainText(text)
            self._pause.stop()

    def flush(self) -> None:
        """Keep what was written."""
        self._pause.stop()
        text = self.toPlainText()
        if text != self._shown:
            self._shown = text
            self._keep(text)

    def _on_text(self) -> None:
        # Somebody may type on and on: what was written is kept in the midst of it as well.
        if not self._pause.isActive():
            self._pause.start()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """What is written counts when one goes elsewhere."""
        super().focusOutEvent(event)
        self.flush()
