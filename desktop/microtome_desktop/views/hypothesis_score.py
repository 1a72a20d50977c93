"""The score of a test in one line: a bar with its band, and the number."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from microtome.records.scrubbed import Scrubbed
from microtome_desktop import palette as colours
from microtome_desktop.presenters.scrubbed import verdict
from microtome_desktop.views.fonts import mono_font

_BAR = QSize(130, 14)


class ScoreLine(QWidget):
    """Nothing without a test."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("scrub_score")
        self.bar = ScoreBar()
        self.text = QLabel()
        self.text.setFont(mono_font(12))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.bar)
        row.addWidget(self.text)
        self.hide()

    def show_score(self, found: Scrubbed | None) -> None:
        """Show the share recovered and its 95 % interval."""
        self.setVisible(found is not None)
        if found is not None:
            self.text.setText(verdict(found))
            self.bar.show_share(found.recovered, (float(found.band[0]), float(found.band[1])))


class ScoreBar(QWidget):
    """A share from 0 to 1, and the interval around it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(_BAR)
        self._share, self._band = 0.0, (0.0, 0.0)
        self.setToolTip(
            "1: scrubbed as well as the model itself; 0: no better than with labels of other "
            "inputs. The thin line is the 95 % interval over inputs"
        )

    def show_share(self, share: float, band: tuple[float, float]) -> None:
        """Show another share."""
        self._share, self._band = share, band
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A track, the share on it, and a line for the interval."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        room = QRectF(self.rect()).adjusted(0, 3, 0, -3)
        low, high, share = (min(max(each, 0.0), 1.0) for each in (*self._band, self._share))
        painter.setBrush(QColor(colours.RAISED_MORE))
        painter.drawRoundedRect(room, 3, 3)
        good = share >= _GOOD
        painter.setBrush(QColor(colours.GOOD if good else colours.WARM))
        painter.drawRoundedRect(
            QRectF(room.x(), room.y(), room.width() * share, room.height()), 3, 3
        )
        painter.setBrush(QColor(colours.TEXT))
        span = max(2.0, room.width() * (high - low))
        left = min(room.x() + room.width() * low, room.right() - span)
        painter.drawRect(QRectF(left, room.center().y() - 1, span, 2))
        painter.end()


_GOOD = 0.9  # of a share that is called recovered
