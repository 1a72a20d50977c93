"""The dose curve of a lesion beside random ones, and who is taken for whom."""

from __future__ import annotations

from html import escape

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from microtome.records.lesion import Lesion
from microtome_desktop import palette as colours
from microtome_desktop.views.fonts import mono_font, text_font

_BAND = 55  # opacity of 255
_NAMES, _TOP, _SMALL = 64, 26, 9  # pixels beside and above the matrix, and of a cell with a number


class DosePlot(pg.PlotWidget):
    """Right answers of one group over the number of units, the lesion and random ones."""

    def __init__(self) -> None:
        super().__init__(background=colours.CARD, enableMenu=False)
        self.setObjectName("lesion_dose")
        self.setAccessibleName("dose curve")
        self.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.hideButtons()
        self.setMouseEnabled(False, False)
        self.setMinimumSize(150, 90)
        for name in ("left", "bottom"):
            axis = self.getAxis(name)
            axis.setPen(pg.mkPen(None))
            axis.setTextPen(colours.TEXT_DIM)
            axis.setStyle(tickLength=0, tickFont=mono_font(10), hideOverlappingLabels=False)
        self.getAxis("left").setWidth(40)
        shares = (0.0, 0.25, 0.5, 0.75, 1.0)
        self.getAxis("left").setTicks([[(share, f"{share:.0%}") for share in shares]])
        self.getPlotItem().setContentsMargins(0, 0, 12, 0)
        self.showGrid(y=True, alpha=0.12)
        self.setYRange(-0.09, 1.12, padding=0)  # room for the outer numbers
        edge = pg.mkPen(None)
        self.low, self.high = pg.PlotDataItem(pen=edge), pg.PlotDataItem(pen=edge)
        shade = QColor(colours.WARM)
        shade.setAlpha(_BAND)
        self.band = pg.FillBetweenItem(self.low, self.high, brush=shade)
        dashed = pg.mkPen(colours.WARM, width=1.8, style=Qt.PenStyle.DashLine)
        self.random = pg.PlotDataItem(pen=dashed)
        self.curve = pg.PlotDataItem(
            pen=pg.mkPen(colours.ACCENT, width=2), symbol="o", symbolSize=6, symbolPen=None,
            symbolBrush=colours.ACCENT,
        )  # fmt: skip
        for item in (self.low, self.high, self.band, self.random, self.curve):
            self.addItem(item)

    def show_group(self, found: Lesion, measure: int, group: int) -> None:
        """Draw the curves of a group."""
        doses = found.doses.astype(np.float64)
        self.curve.setData(doses, found.curve[measure, :, group])
        there = found.n_controls > 0
        for item in (self.band, self.random):
            item.setVisible(there)
        if there:
            low, high = found.control_band[:, measure, :, group]
            self.low.setData(doses, low)
            self.high.setData(doses, high)
            self.random.setData(doses, found.control_mean[measure, :, group])
        last = int(doses[-1])
        step = max(1, -(-last // 6))
        ticks = [(float(at), str(at)) for at in range(0, last + 1, step)]
        self.getAxis("bottom").setTicks([ticks])
        self.setXRange(0, max(1, last), padding=0.03)
        name = escape(found.groups[group])
        said = (
            f"<span style='color: {colours.ACCENT}'>{name}</span> by units changed, "
            f"<span style='color: {colours.WARM}'>random units (- -)</span>"
        )
        self.setTitle(said, color=colours.TEXT_DIM, size="9pt")


class ConfusionMatrix(QWidget):
    """Cases by what they are (row) and what was said (column), before or after, painted."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Lesion | None = None
        self.side = 1
        self.setObjectName("lesion_confusion")
        self.setAccessibleName("confusion matrix")
        self.setMinimumSize(150, 90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)

    def show_found(self, found: Lesion | None, side: int) -> None:
        """Show another lesion, or its other side: 0 before, 1 after."""
        self.found, self.side = found, side
        self.update()

    @property
    def counts(self) -> np.ndarray:
        """The counts that are shown [class, said]."""
        if self.found is None:
            return np.zeros((0, 0), dtype=np.int64)
        counts: np.ndarray = self.found.confusion[self.side]
        return counts

    def cell(self, row: int, column: int) -> QRectF:
        """Where a cell is drawn."""
        rows, columns = self.counts.shape
        wide, high = self.width() - _NAMES - 4, self.height() - _TOP - 4
        size = (wide / max(1, columns), high / max(1, rows))
        return QRectF(_NAMES + column * size[0], _TOP + row * size[1], size[0], size[1])

    def told(self, place: QPointF) -> str:
        """A cell in words; empty beside the cells."""
        found = self.found
        if found is None:
            return ""
        for row, name in enumerate(found.classes):
            for column, said in enumerate(found.said):
                if self.cell(row, column).contains(place):
                    count = int(self.counts[row, column])
                    return f"{name}: {count} of {int(self.counts[row].sum())} said to be {said}"
        return ""

    def event(self, event: QEvent) -> bool:
        """The cell under the pointer in words."""
        if isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.told(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Names, then a cell for each count: right ones in one colour, wrong ones in another."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(colours.CARD))
        found = self.found
        if found is not None:
            self._paint_names(painter, found)
            for row in range(len(found.classes)):
                for column in range(len(found.said)):
                    self._paint_cell(painter, found, row, column)
        painter.end()

    def _paint_names(self, painter: QPainter, found: Lesion) -> None:
        painter.setFont(text_font(11))
        painter.setPen(QColor(colours.TEXT_DIM))
        side = ("before", "after")[self.side]
        painter.drawText(QRectF(_NAMES, 2, self.width() - _NAMES, _TOP - 4), f"said, {side}")
        painter.setFont(mono_font(10))
        high = self.cell(0, 0).height()
        step = max(1, int(np.ceil(11 / max(0.1, high))))
        metrics = painter.fontMetrics()
        for row in range(0, len(found.classes), step):
            cell = self.cell(row, 0)
            box = QRectF(0, cell.center().y() - 8, _NAMES - 6, 16)
            name = metrics.elidedText(
                found.classes[row], Qt.TextElideMode.ElideRight, int(box.width())
            )
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, int(flags), name)

    def _paint_cell(self, painter: QPainter, found: Lesion, row: int, column: int) -> None:
        count, cell = int(self.counts[row, column]), self.cell(row, column)
        inner = cell.adjusted(0.5, 0.5, -0.5, -0.5)
        share = count / max(1, int(self.counts[row].sum()))
        right = found.said[column] in {found.classes[row], "answer"}
        over = colours.ACCENT if right else colours.BAD
        fill = _mixed(colours.RAISED, over, 0.2 + 0.8 * share if count else 0.0)
        painter.fillRect(inner, QColor(fill))
        if not count:
            return
        if cell.height() > _SMALL + 3 and cell.width() > 22:
            painter.setFont(mono_font(10))
            painter.setPen(QColor(colours.ink(fill)))
            painter.drawText(inner, int(Qt.AlignmentFlag.AlignCenter), str(count))


def _mixed(under: str, over: str, share: float) -> str:
    """A colour laid over another with this opacity."""
    parts = zip(QColor(under).getRgb()[:3], QColor(over).getRgb()[:3], strict=True)  # type: ignore[index]
    return QColor(*(round((1 - share) * a + share * b) for a, b in parts)).name()
