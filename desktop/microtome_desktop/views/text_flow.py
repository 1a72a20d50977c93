"""Lines of small parts that wrap like words, and plain text in a colour."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget
from superqt import QFlowLayout

from microtome_desktop import palette as colours
from microtome_desktop.views.fonts import text_font

_LINE = 21


class Flow(QFlowLayout):
    """A flow that remembers its height: Qt asks for it dozens of times in one layout."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._heights: dict[int, int] = {}

    def invalidate(self) -> None:
        """Forget what was measured."""
        self._heights = {}
        super().invalidate()

    def heightForWidth(self, width: int) -> int:
        """The height for a width, measured once."""
        if width not in self._heights:
            self._heights[width] = int(super().heightForWidth(width))
        return self._heights[width]


def flow(widget: QWidget, top: int = 2, bottom: int = 2) -> Flow:
    """A layout for a widget whose parts wrap into lines like words."""
    flow = Flow(widget)
    # Else Qt takes the height at the least width, many lines, as the least height at any width.
    widget.setMinimumHeight(_LINE)
    flow.setContentsMargins(12, top, 12, bottom)
    flow.setHorizontalSpacing(11)
    flow.setVerticalSpacing(3)
    policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    widget.setSizePolicy(policy)
    return flow


def renew(widget: QWidget, row: Flow) -> None:
    """Lay out anew: the flow does not notice by itself that its parts are others."""
    row.invalidate()
    row.activate()
    widget.updateGeometry()


def drop(row: Flow, part: QWidget) -> None:
    """Take a part out and let it go."""
    row.removeWidget(part)
    part.hide()
    part.deleteLater()


def text_label(text: str, colour: str, pixels: int = 12) -> QLabel:
    """A line of plain text in a colour."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setFont(text_font(pixels))
    label.setStyleSheet(f"color: {colour};")
    return label


class EmptyState(QWidget):
    """Says why there is nothing to see and what to do."""

    offered = Signal()  # the button was pressed

    def __init__(self) -> None:
        super().__init__()
        self.headline, self.advice, self.button = QLabel(), QLabel(), QPushButton()
        self.headline.setFont(text_font(16))
        self.advice.setFont(text_font(13))
        self.advice.setStyleSheet(f"color: {colours.TEXT_DIM};")
        column = QVBoxLayout(self)
        column.addStretch(1)
        for label in (self.headline, self.advice):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
            column.addWidget(label)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignCenter)
        column.addStretch(1)
        self.button.hide()
        self.button.clicked.connect(self.offered)

    def tell(self, headline: str, advice: str, offer: str = "") -> None:
        """Show these two lines, and a button where something is offered."""
        self.headline.setText(headline)
        self.advice.setText(advice)
        self.button.setText(offer)
        self.button.setVisible(bool(offer))
