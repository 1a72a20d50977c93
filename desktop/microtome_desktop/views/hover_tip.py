"""The tool tip of a canvas: at once, in plain text, never outside."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QLabel, QWidget

from microtome_desktop import palette as colours


def as_plain_tip(text: str) -> str:
    """A text as Qt's own tool tips show it letter by letter: they take markup for markup."""
    lines = escape(text).replace("\n", "<br>")
    return f"<span>{lines}</span>"


class HoverTip(QLabel):
    """What is under the cursor, in plain text: a token may look like HTML."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._canvas = parent
        self.setObjectName("hover_tip")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet(
            f"background: {colours.RAISED}; color: {colours.TEXT};"
            f"border: 1px solid {colours.LINE}; border-radius: 6px; padding: 5px 8px;"
        )
        self.hide()

    def tell(self, text: str, at: QPointF) -> None:
        """Say this beside the cursor, inside the canvas."""
        self.setText(text)
        self.adjustSize()
        room = self._canvas.rect()
        x, y = int(at.x()) + 14, int(at.y()) + 16
        if y + self.height() > room.height() - 4:
            y = int(at.y()) - self.height() - 10
        self.move(max(4, min(x, room.width() - self.width() - 4)), max(4, y))
        self.show()
