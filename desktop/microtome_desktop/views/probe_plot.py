"""Accuracy by site, painted: folds, band, control task and chance."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip

from microtome.records.probe import Probe
from microtome_desktop import palette as colours
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.spoken import tell
from microtome_desktop.views.stepping import Stepping

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 30, 26  # pixels around the plot
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_LOW = 0.02  # below the axis, so that 0 has room


class ProbePlot(Stepping):
    """A column a site; a click chooses one."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.found: Probe | None = None
        self.site = -1
        self.setObjectName("probe_plot")
        self.setAccessibleName("accuracy of probes by site")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(220, 140)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)

    def show_probe(self, found: Probe | None, site: int) -> None:
        """Show other probes, or another site of them."""
        self.found, self.site = found, site
        tell(self, self.told(site) if 0 <= site < self.count() else "no site is chosen")
        self.update()

    def count(self) -> int:
        """Sites."""
        return 0 if self.found is None else len(self.found.sites)

    def current(self) -> int | None:
        """The chosen site."""
        return self.site if self.site >= 0 else None

    def step_to(self, index: int) -> None:
        """As a click on its column."""
        self.show_probe(self.found, index)  # at once, for the next key
        self.chosen.emit(index)

    def place(self, site: int, value: float) -> QPointF:
        """Where an accuracy at a site is drawn."""
        count = 1 if self.found is None else max(1, len(self.found.sites))
        wide, high = self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM
        x = _LEFT + wide * (site + 0.5) / count
        return QPointF(x, _TOP + high * (1 - (value + _LOW) / (1 + 2 * _LOW)))

    def _site_at(self, x: float) -> int:
        count = 0 if self.found is None else len(self.found.sites)
        wide = max(1, self.width() - _LEFT - _RIGHT)
        at = int((x - _LEFT) / wide * count) if count and x >= _LEFT else -1
        return at if 0 <= at < count else -1

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the site under the pointer."""
        at = self._site_at(event.position().x())
        if at >= 0:
            self.chosen.emit(at)

    def event(self, event: QEvent) -> bool:
        """The site under the pointer in numbers."""
        if isinstance(event, QHelpEvent):
            at = self._site_at(event.pos().x())
            QToolTip.showText(event.globalPos(), self.told(at) if at >= 0 else "", self)
            return True
        return super().event(event)

    def told(self, at: int) -> str:
        """A site in numbers."""
        found = self.found
        if found is None:
            return ""
        folds = " ".join(f"{value:.2f}" for value in found.accuracy[at])
        return (
            f"{found.sites[at]}\naccuracy {found.mean[at]:.3f} ± {found.error[at]:.3f}\n"
            f"control {found.control[at].mean():.3f}, selectivity {found.selectivity[at]:+.3f}\n"
            f"folds {folds}"
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Axes, then chance, control, band, folds and means."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_axes(painter)
        found = self.found
        if found is not None and found.sites:
            self._paint_band(painter, found)
            self._paint_lines(painter, found)
            self._paint_names(painter, found)
            self._paint_legend(painter)
        painter.end()

    def _paint_axes(self, painter: QPainter) -> None:
        painter.setFont(mono_font(10))
        for value in _TICKS:
            y = self.place(0, value).y()
            painter.setPen(QPen(QColor(colours.LINE), 1))
            painter.drawLine(QPointF(_LEFT, y), QPointF(self.width() - _RIGHT, y))
            painter.setPen(QColor(colours.TEXT_DIM))
            box = QRectF(0, y - 8, _LEFT - 6, 16)
            painter.drawText(box, int(_ALIGN_RIGHT), f"{value:.0%}")

    def _paint_band(self, painter: QPainter, found: Probe) -> None:
        low, high = found.mean - found.error, np.minimum(1, found.mean + found.error)
        edge = [self.place(at, float(value)) for at, value in enumerate(high)]
        edge += [self.place(at, float(low[at])) for at in reversed(range(len(low)))]
        colour = QColor(colours.ACCENT)
        colour.setAlpha(50)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF(edge))
        colour.setAlpha(120)
        painter.setBrush(colour)
        for at, folds in enumerate(found.accuracy):
            for value in folds.tolist():
                painter.drawEllipse(self.place(at, value), 2.2, 2.2)

    def _paint_lines(self, painter: QPainter, found: Probe) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        y = self.place(0, found.chance).y()
        painter.setPen(QPen(QColor(colours.TEXT_FAINT), 1.4, Qt.PenStyle.DotLine))
        painter.drawLine(QPointF(_LEFT, y), QPointF(self.width() - _RIGHT, y))
        rows = (
            (found.control.mean(axis=1), colours.WARM, Qt.PenStyle.DashLine),
            (found.mean, colours.ACCENT, Qt.PenStyle.SolidLine),
        )
        for values, colour, style in rows:
            points = [self.place(at, float(value)) for at, value in enumerate(values)]
            painter.setPen(QPen(QColor(colour), 1.8, style))
            painter.drawPolyline(QPolygonF(points))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colour))
            for point in points:
                painter.drawEllipse(point, 3.2, 3.2)
            painter.setBrush(Qt.BrushStyle.NoBrush)
        if 0 <= self.site < len(found.sites):
            painter.setPen(QPen(QColor(colours.TEXT), 1.4))
            painter.drawEllipse(self.place(self.site, float(found.mean[self.site])), 6.5, 6.5)

    def _paint_names(self, painter: QPainter, found: Probe) -> None:
        """As many names as there is room for."""
        painter.setFont(mono_font(10))
        painter.setPen(QColor(colours.TEXT_DIM))
        wide = max(painter.fontMetrics().horizontalAdvance(site) for site in found.sites) + 10
        each = (self.width() - _LEFT - _RIGHT) / len(found.sites)
        step = max(1, int(np.ceil(wide / max(1.0, each))))
        for at in range(0, len(found.sites), step):
            x = self.place(at, 0).x()
            box = QRectF(x - wide, self.height() - _BOTTOM + 6, 2 * wide, 16)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignHCenter), found.sites[at])

    def _paint_legend(self, painter: QPainter) -> None:
        painter.setFont(text_font(11))
        x = float(_LEFT)
        for title, colour, style in (
            ("accuracy ± error, folds", colours.ACCENT, Qt.PenStyle.SolidLine),
            ("control task", colours.WARM, Qt.PenStyle.DashLine),
            ("chance", colours.TEXT_FAINT, Qt.PenStyle.DotLine),
        ):
            painter.setPen(QPen(QColor(colour), 1.8, style))
            painter.drawLine(QPointF(x, 14), QPointF(x + 22, 14))
            painter.setPen(QColor(colours.TEXT_DIM))
            painter.drawText(QPointF(x + 28, 18), title)
            x += 28 + painter.fontMetrics().horizontalAdvance(title) + 18


_ALIGN_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
