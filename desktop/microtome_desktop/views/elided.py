"""A label that cuts its text with an ellipsis and shows all of it as a tool tip."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from superqt import QElidingLabel


class ElidedLabel(QElidingLabel):
    """One line of plain text that never widens its panel."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setObjectName("dim")
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show another text."""
        super().setText(text)
        self.setToolTip(text.replace("<", "\N{FULLWIDTH LESS-THAN SIGN}"))
