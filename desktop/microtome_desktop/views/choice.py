"""A box to choose from that gives way where there is little room."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QWidget,
)

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

    def _cut(self) -> tuple[QStyleOptionComboBox, bool]:
        """How the box is drawn, its text cut with an ellipsis, and whether it had to be."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = QStyle.SubControl.SC_ComboBoxEditField
        room = (
            self.style()
            .subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, self)
            .width()
        )
        whole = str(option.currentText)
        text = self.fontMetrics().elidedText(whole, Qt.TextElideMode.ElideRight, room)
        option.currentText = text
        return option, text != whole

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the box; what has no room ends in an ellipsis."""
        painter, (option, _) = QStylePainter(self), self._cut()
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def event(self, event: QEvent) -> bool:
        """A text that was cut is read as the tool tip."""
        if isinstance(event, QHelpEvent) and not self.toolTip() and self._cut()[1]:
            QToolTip.showText(event.globalPos(), self.currentText(), self)
            return True
        return super().event(event)

    def showPopup(self) -> None:
        """Every entry can be read, however narrow the box."""
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + 24)
        super().showPopup()
