"""Labels that cut their text with an ellipsis and show all of it as a tool tip."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QTextLayout
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget
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
        self.setToolTip(text)


class WholeLabel(QLabel):
    """Says all of its text, or nothing where there is no room for it."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Leave out a word that would be cut."""
        if self.width() >= self.sizeHint().width():
            super().paintEvent(event)


_DOT, _SHORT = " \N{MIDDLE DOT} ", 24  # letters


class TwoLines(QLabel):
    """Plain text over two lines at most, the second cut with an ellipsis."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("dim")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """As high as its two lines, whatever is written."""
        return QSize(80, 2 * self.fontMetrics().lineSpacing())

    def minimumSizeHint(self) -> QSize:
        """The same: what is beside it never moves."""
        return self.sizeHint()

    def _lines(self) -> tuple[str, str]:
        """The text of each line; what is short between two dots is not torn apart."""
        parts = self.text().split(_DOT)
        kept = (
            each.replace(" ", "\N{NO-BREAK SPACE}") if len(each) < _SHORT else each
            for each in parts
        )
        text = _DOT.join(kept)
        layout = QTextLayout(text, self.font())
        layout.beginLayout()
        line = layout.createLine()
        line.setLineWidth(self.width())
        layout.endLayout()
        end = line.textStart() + line.textLength()
        rest, mode = text[end:].lstrip(_DOT), Qt.TextElideMode.ElideRight
        first = text[:end].rstrip(_DOT)
        return first, self.fontMetrics().elidedText(rest, mode, self.width())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Write both lines, in the middle of the room when there is one only."""
        painter, (first, second) = QPainter(self), self._lines()
        text = f"{first}\n{second}" if second else first
        across = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        self.style().drawItemText(
            painter, self.rect(), int(across), self.palette(), self.isEnabled(), text,
            self.foregroundRole(),
        )  # fmt: skip
        painter.end()
