"""A box to choose from that gives way where there is little room."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QComboBox, QSizePolicy, QWidget

_LETTERS = 5  # stay readable at least


class Choice(QComboBox):
    """As wide as its longest entry where there is room; its list always is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        """A few letters and the arrow."""
        full = super().minimumSizeHint()
        least = self.fontMetrics().averageCharWidth() * _LETTERS + 44
        return QSize(min(full.width(), least), full.height())

    def showPopup(self) -> None:
        """Every entry can be read, however narrow the box."""
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + 24)
        super().showPopup()
