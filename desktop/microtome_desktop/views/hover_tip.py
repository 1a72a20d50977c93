"""The tool tip of a canvas: at once, in plain text, never outside."""

from __future__ import annotations

from textwrap import fill

from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QLabel, QWidget

from microtome_desktop import palette as colours

_WIDTH = 72  # letters


def tip_lines(text: str) -> str:
    """A long text as a tool tip shows it, which breaks no lines by itself."""
    return "\n".join(fill(line, _WIDTH) for line in text.split("\n"))


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
