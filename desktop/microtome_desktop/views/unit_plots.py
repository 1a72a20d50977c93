"""Plots of a unit card, painted: selectivity as bars, orientation around a circle, frequency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.views.fonts import mono_font, text_font

_ROW, _NAME, _NUMBER = 14, 74, 40  # pixels
_BIG = 3.0  # an index beyond which a bar is at its end


class IndexBars(QWidget):
    """A bar a class from zero to both sides, domains first."""

    def __init__(self) -> None:
        super().__init__()
        self._names: tuple[str, ...] = ()
        self._values: Float[np.ndarray, " bar"] = np.zeros(0)
        self._strong = 0  # so many of the first are set off
        self.setObjectName("unit_selectivity")
        self.setAccessibleName("selectivity by domain and class")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_bars(
        self, names: Sequence[str], values: Float[np.ndarray, " bar"], strong: int
    ) -> None:
        """Show other bars; the first ``strong`` are domains."""
        self._names, self._values, self._strong = tuple(names), values, strong
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def sizeHint(self) -> QSize:
        """A line a bar."""
        return QSize(240, _ROW * len(self._names) + 8)

    def _top(self, at: int) -> int:
        return at * _ROW + (6 if at >= self._strong else 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Names, bars and numbers."""
        painter = QPainter(self)
        left, wide = _NAME, max(20, self.width() - _NAME - _NUMBER)
        middle, finite = left + wide / 2, self._values[np.isfinite(self._values)]
        most = min(_BIG, max(0.5, float(np.abs(finite).max(initial=0.5))))
        painter.setPen(QPen(QColor(colours.LINE), 1))
        painter.drawLine(QPointF(middle, 0), QPointF(middle, self.height()))
        for at, (name, value) in enumerate(zip(self._names, self._values.tolist(), strict=True)):
            top = self._top(at)
            bold = at < self._strong
            painter.setFont(text_font(11))
            painter.setPen(QColor(colours.TEXT if bold else colours.TEXT_DIM))
            shown = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, _NAME - 8)
            painter.drawText(QRectF(0, top, _NAME - 8, _ROW), int(_RIGHT), shown)
            if np.isnan(value):
                continue
            long = float(np.clip(value / most, -1, 1)) * wide / 2
            bar = QRectF(min(middle, middle + long), top + 3, abs(long), _ROW - 6)
            painter.fillRect(bar, QColor(colours.EXCITES if value > 0 else colours.INHIBITS))
            painter.setFont(mono_font(10))
            text = f"{value:+.2f}".replace("-", "−")
            painter.drawText(QRectF(left + wide, top, _NUMBER, _ROW), int(_RIGHT), text)
        painter.end()

    def event(self, event: QEvent) -> bool:
        """The bar under the pointer in words."""
        if isinstance(event, QHelpEvent):
            for at, name in enumerate(self._names):
                if self._top(at) <= event.pos().y() < self._top(at) + _ROW:
                    text = (
                        f"{name}: (mean inside − mean outside) / (sum of both standard "
                        f"deviations) = {self._values[at]:.3f}"
                    )
                    QToolTip.showText(event.globalPos(), text, self)
                    return True
        return super().event(event)


class OrientationPlot(QWidget):
    """Responses around a circle: a line points where its stripes run."""

    def __init__(self) -> None:
        super().__init__()
        self._angles: Float[np.ndarray, " orientation"] = np.zeros(0)
        self._values: Float[np.ndarray, " orientation"] = np.zeros(0)
        self._preferred: float | None = None
        self.setObjectName("unit_orientation")
        self.setAccessibleName("response by orientation")
        self.setMinimumSize(120, 132)
        self.setToolTip("Response to gratings by the direction of their stripes, at the best "
                        "frequency; the dashed line is the preferred orientation")  # fmt: skip

    def show_curve(
        self,
        angles: Float[np.ndarray, " orientation"],
        values: Float[np.ndarray, " orientation"],
        preferred: float | None,
    ) -> None:
        """Show another curve; ``preferred`` in degrees, None for none."""
        self._angles, self._values, self._preferred = angles, values, preferred
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Circle, curve and preferred orientation."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = QPointF(self.width() / 2, (self.height() - 14) / 2)
        reach = min(self.width(), self.height() - 14) / 2 - 6
        painter.setPen(QPen(QColor(colours.LINE), 1))
        for share in (0.5, 1.0):
            painter.drawEllipse(middle, reach * share, reach * share)
        most = float(self._values.max(initial=0))
        if most > 0:
            both = np.concatenate([self._angles, self._angles + 180])
            points = [
                _polar(middle, float(angle), reach * float(value) / most)
                for angle, value in zip(both, np.tile(self._values, 2), strict=True)
            ]
            fill = QColor(colours.ACCENT)
            fill.setAlpha(60)
            painter.setBrush(fill)
            painter.setPen(QPen(QColor(colours.ACCENT), 1.6))
            painter.drawPolygon(QPolygonF(points))
        if self._preferred is not None:
            painter.setPen(QPen(QColor(colours.WARM), 1.6, Qt.PenStyle.DashLine))
            ends = (_polar(middle, self._preferred + turn, reach) for turn in (0, 180))
            painter.drawLine(*ends)
        painter.setFont(mono_font(10))
        painter.setPen(QColor(colours.TEXT_DIM))
        said = "–" if self._preferred is None else f"{self._preferred:.0f}°"
        painter.drawText(QRectF(0, self.height() - 14, self.width(), 14), int(_MIDDLE),
                         f"orientation {said}")  # fmt: skip
        painter.end()


class FrequencyPlot(QWidget):
    """The largest response by spatial frequency, on an axis of equal ratios."""

    def __init__(self) -> None:
        super().__init__()
        self._at: Float[np.ndarray, " frequency"] = np.zeros(0)
        self._values: Float[np.ndarray, " frequency"] = np.zeros(0)
        self.setObjectName("unit_frequency")
        self.setAccessibleName("response by spatial frequency")
        self.setMinimumSize(120, 132)
        self.setToolTip("Largest response to gratings by their periods an image")

    def show_curve(
        self, at: Float[np.ndarray, " frequency"], values: Float[np.ndarray, " frequency"]
    ) -> None:
        """Show another curve."""
        self._at, self._values = at, values
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Axis, line and points."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(12, 8, self.width() - 24, self.height() - 38)
        painter.setPen(QPen(QColor(colours.LINE), 1))
        painter.drawLine(room.bottomLeft(), room.bottomRight())
        most = float(self._values.max(initial=0)) or 1.0
        count = len(self._at)
        points = [
            QPointF(room.left() + room.width() * at / max(1, count - 1),
                    room.bottom() - room.height() * float(value) / most)
            for at, value in enumerate(self._values)
        ]  # fmt: skip
        painter.setPen(QPen(QColor(colours.ACCENT), 1.6))
        painter.drawPolyline(QPolygonF(points))
        painter.setBrush(QColor(colours.ACCENT))
        for point in points:
            painter.drawEllipse(point, 2.4, 2.4)
        painter.setFont(mono_font(10))
        painter.setPen(QColor(colours.TEXT_DIM))
        for at in sorted({0, count // 2, count - 1} if count else ()):
            box = QRectF(points[at].x() - 24, room.bottom() + 2, 48, 14)
            painter.drawText(box, int(_MIDDLE), f"{self._at[at]:.2g}")
        painter.drawText(QRectF(0, self.height() - 14, self.width(), 14), int(_MIDDLE),
                         "periods an image")  # fmt: skip
        painter.end()


def _polar(middle: QPointF, degrees: float, reach: float) -> QPointF:
    """Counter-clockwise from the right."""
    angle = np.deg2rad(degrees)
    return middle + QPointF(float(np.cos(angle)) * reach, -float(np.sin(angle)) * reach)


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_MIDDLE = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter
