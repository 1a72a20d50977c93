"""A map with labelled rows and columns: values under the cursor, a marked cell, a colour bar."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.colour_maps import magnitude_table, signed_table
from microtome_desktop.presenters.heatmaps import Grid
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.grid_image import GridImage
from microtome_desktop.views.spoken import tell

_LABEL_PIXELS = 15  # room that one row label needs
_LETTER_PIXELS = 6.5  # mean width of one letter of the axis font
_STEPS = {  # down, right
    Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1),
}  # fmt: skip
_KEYPAD = Qt.KeyboardModifier.KeypadModifier
_BAR = 3.0  # pixels that the bar of a group is wide
_TURNED_HEIGHT = 64  # pixels that turned names take at most


_NONE: Mapping[int, str] = MappingProxyType({})


class _Axis(pg.AxisItem):
    """Names at whole numbers, as many as fit; turned where they would not fit side by side."""

    # Of the class, because the library lays the axis out while it is being made.
    names: tuple[str, ...] = ()
    turned = False
    groups: Mapping[int, str] = _NONE

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation, textPen=colours.TEXT_DIM, tickLength=0)
        self.setPen(pg.mkPen(None))
        self.setStyle(
            tickFont=mono_font(10), autoReduceTextSpace=False, hideOverlappingLabels=False
        )

    def name_axis(self, names: tuple[str, ...]) -> None:
        """Show other names."""
        self.names = names
        length = int(max((len(name) for name in names), default=1) * _LETTER_PIXELS) + 10
        if self.orientation == "left":
            self.setWidth(length)
        else:
            # Upright where they fit beside each other, else turned: a name is worth the height.
            self.turned = self._turns()
            self.setHeight(min(length, _TURNED_HEIGHT) if self.turned else None)
        self.picture = None
        self.update()

    def clear_names(self) -> None:
        """Show no names, and keep the room: what is still being read brings them back."""
        self.names = ()
        self.picture = None
        self.update()

    def mark_groups(self, groups: Mapping[int, str]) -> None:
        """A bar in the colour of its group beside each of these numbers."""
        if groups != self.groups:
            self.groups = groups
            self.picture = None
            self.update()

    def group_bar(self, number: int) -> QRectF:
        """Where the bar of a number lies on this axis."""
        bounds = self.mapRectFromParent(self.geometry())
        low, high = self.range
        if self.orientation == "left":
            scale = -bounds.height() / (high - low)
            ends = sorted(bounds.bottom() + (number + step - low) * scale for step in (-0.5, 0.5))
            return QRectF(bounds.right() - _BAR, ends[0] + 0.5, _BAR, ends[1] - ends[0] - 1)
        scale = bounds.width() / (high - low)
        left = bounds.left() + (number - 0.5 - low) * scale
        return QRectF(left + 0.5, bounds.top(), max(scale - 1, 1), _BAR)

    def _draw_groups(self, painter: QPainter) -> None:
        painter.save()
        painter.setPen(Qt.PenStyle.NoPen)
        low, high = sorted(self.range)
        for number, colour in self.groups.items():
            if low - 0.5 < number < high + 0.5 and number < len(self.names):
                painter.setBrush(QColor(colour))
                painter.drawRect(self.group_bar(number))
        painter.restore()

    def tickValues(
        self, minVal: float, maxVal: float, size: float
    ) -> list[tuple[float, list[float]]]:
        """Every n-th name, so that neighbours do not touch."""
        low, high = sorted((minVal, maxVal))  # an axis that runs downward gives them reversed
        first, last = max(0, int(np.ceil(low))), min(len(self.names) - 1, int(high))
        if last < first or size <= 0:
            return []
        per_cell = size / max(high - low, 1e-9)
        beside = self.orientation == "bottom" and not self.turned
        longest = max(len(name) for name in self.names)
        wanted = longest * _LETTER_PIXELS + 6 if beside else _LABEL_PIXELS
        step = max(1, int(np.ceil(wanted / max(per_cell, 1e-9))))
        return [(float(step), [float(i) for i in range(first, last + 1, step)])]

    def resizeEvent(self, event: Any = None) -> None:
        """Names may have to turn, or not any more."""
        super().resizeEvent(event)
        if self.orientation == "bottom" and self.turned != self._turns():
            self.name_axis(self.names)

    def _turns(self) -> bool:
        longest = max((len(name) for name in self.names), default=1)
        return longest * _LETTER_PIXELS + 6 > float(self.size().width()) / max(len(self.names), 1)

    def drawPicture(self, p: QPainter, axisSpec: Any, tickSpecs: Any, textSpecs: Any) -> None:
        """As the library draws, with the names turned by a quarter where they must."""
        self._draw_groups(p)
        if not self.turned:
            super().drawPicture(p, axisSpec, tickSpecs, textSpecs)
            return
        super().drawPicture(p, axisSpec, tickSpecs, [])
        p.setFont(self.style["tickFont"])
        p.setPen(self.textPen())
        for rect, _, text in textSpecs:
            p.save()
            p.translate(rect.center().x(), rect.top() + 2)
            p.rotate(-90)
            room = QRectF(-_TURNED_HEIGHT, -_LABEL_PIXELS / 2, _TURNED_HEIGHT, _LABEL_PIXELS)
            p.drawText(room, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
            p.restore()

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """The names of these numbers."""
        return [self.names[int(value)] for value in values]


class GridPlot(QWidget):
    """Draws a ``Grid``. Emits the cell under the cursor and the cell that was clicked."""

    cell_hovered = Signal(int, int)  # row, column; -1, -1 when the cursor leaves
    cell_clicked = Signal(int, int)
    menu_asked = Signal(int, int, QPoint)  # row, column, where on the screen

    def __init__(self, said: str, *, top_down: bool = False, bar: bool = True) -> None:
        """``said`` is what a screen reader calls it; ``top_down`` puts the first row above."""
        super().__init__()
        self.grid: Grid | None = None
        self.place: tuple[int | None, int | None] = (None, None)  # the marked row and column
        self._down = 1 if top_down else -1  # rows further that the one below is
        self._axes = {"left": _Axis("left"), "bottom": _Axis("bottom")}
        self.plot = pg.PlotWidget(background=colours.CARD, enableMenu=False, axisItems=self._axes)
        self.plot.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.plot.setMinimumSize(90, 56)
        self.plot.hideButtons()
        self.plot.setMouseTracking(True)
        self.plot.setAccessibleName(said)
        self.plot.installEventFilter(self)
        self._box = self.plot.getViewBox()
        self._box.invertY(top_down)
        self.picture = GridImage(self.plot)
        self._mark = pg.PlotCurveItem(pen=pg.mkPen(colours.TEXT, width=1.5))
        self.plot.addItem(self._mark)
        self.caption = QLabel()
        self.caption.setObjectName("dim")
        self.caption.setTextFormat(Qt.TextFormat.PlainText)
        self.caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._build_layout(bar)
        self.plot.scene().sigMouseMoved.connect(self._on_move)
        self.plot.scene().sigMouseClicked.connect(self._on_click)

    def _build_layout(self, bar: bool) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.plot, 0, 0)
        self._bar = ColourBar() if bar else None
        if self._bar is not None:
            layout.addWidget(self._bar, 0, 1)
        layout.addWidget(self.caption, 1, 0, 1, 2)

    def show_grid(self, grid: Grid | None, caption: str = "") -> None:
        """Draw a grid, or nothing with ``caption`` as the reason."""
        self.grid = grid
        self.picture.item.setVisible(grid is not None)
        if self._bar is not None:
            self._bar.setVisible(grid is not None)
        self.caption.setText(caption)
        self.caption.setWordWrap(grid is None)  # a reason is read whole
        self._make_room()
        if grid is None:
            self.mark(None, None)
            for axis in self._axes.values():
                axis.clear_names()  # those of another run would stand beside nothing
            return
        values = np.log10(grid.values + 1) if grid.logarithmic else grid.values
        low, high = (np.log10(v + 1) if grid.logarithmic else v for v in (grid.low, grid.high))
        table = signed_table() if grid.signed else magnitude_table()
        if grid.logarithmic:
            table = table[::-1]  # a small rank is the strong finding
        self._axes["left"].name_axis(grid.rows)
        self._axes["bottom"].name_axis(grid.columns)
        # First the limits: those of a smaller map would cut the range off.
        self._box.setLimits(
            xMin=-0.5, xMax=values.shape[1] - 0.5, yMin=-0.5, yMax=values.shape[0] - 0.5
        )
        self._box.setRange(
            xRange=(-0.5, values.shape[1] - 0.5), yRange=(-0.5, values.shape[0] - 0.5), padding=0
        )
        self.picture.show(values, grid.coarser, low, high, table)
        if self._bar is not None:
            self._bar.show_scale(table, grid.low, grid.high, grid.logarithmic)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A reason may take more lines."""
        super().resizeEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        wraps = self.caption.wordWrap()
        self.caption.setMinimumHeight(
            max(0, self.caption.heightForWidth(self.width())) if wraps else 0
        )

    def mark(self, row: int | None, column: int | None) -> None:
        """Draw a frame around a cell, a whole row or a whole column."""
        if self.grid is None or (row is None and column is None):
            self._mark.setData([], [])
            self.place = (None, None)
            self.tell()
            return
        self.place = (row, column)
        self.tell()
        height, width = self.grid.values.shape
        left, right = (-0.5, width - 0.5) if column is None else (column - 0.5, column + 0.5)
        low, high = (-0.5, height - 0.5) if row is None else (row - 0.5, row + 0.5)
        self._mark.setData([left, right, right, left, left], [low, low, high, high, low])

    def tell(self) -> None:
        """Say what is drawn, and what the frame is around."""
        grid, (row, column) = self.grid, self.place
        if grid is None:
            tell(self.plot, self.caption.text())
            return
        height, width = grid.values.shape
        known = row is not None and row < height and column is not None and column < width
        if known and row is not None and column is not None:
            tell(self.plot, grid.describe(row, column))
            return
        framed = [
            f"{kind} {names[at]}"
            for kind, names, at in (("row", grid.rows, row), ("column", grid.columns, column))
            if at is not None and at < len(names)
        ]
        what = f"{grid.title}: {height} rows by {width} columns"
        tell(self.plot, "; ".join((what, *framed)))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrows go from cell to cell, as a click on each."""
        if watched is self.plot and isinstance(event, QKeyEvent):
            cell = self._after(event)
            if cell is not None and event.type() == QEvent.Type.KeyPress:
                self.place = cell  # at once, for the next key
                self.cell_clicked.emit(*cell)
            if cell is not None:
                event.accept()
                return True
        return super().eventFilter(watched, event)

    def _after(self, event: QKeyEvent) -> tuple[int, int] | None:
        step = _STEPS.get(Qt.Key(event.key()))
        if self.grid is None or step is None or event.modifiers() & ~_KEYPAD:
            return None
        height, width = self.grid.values.shape
        row, column = self.place
        if row is None and column is None:
            return 0, 0
        down, right = self._down * step[0], step[1]
        # Where a whole row is framed, the cells of it are all the same to whoever frames it.
        return (
            min(max((row or 0) + down, 0), height - 1),
            min(max((column or 0) + right, 0), width - 1),
        )

    def mark_groups(self, columns: Mapping[int, str], rows: Mapping[int, str] = _NONE) -> None:
        """Show which columns, and which rows, stand for tokens that are in a group of points."""
        self._axes["bottom"].mark_groups(columns)
        self._axes["left"].mark_groups(rows)

    def cell_at(self, scene_place: QPointF) -> tuple[int, int] | None:
        """Row and column under a place of the scene."""
        if self.grid is None or not self._box.sceneBoundingRect().contains(scene_place):
            return None
        place = self._box.mapSceneToView(scene_place)
        row, column = int(np.floor(place.y() + 0.5)), int(np.floor(place.x() + 0.5))
        height, width = self.grid.values.shape
        return (row, column) if 0 <= row < height and 0 <= column < width else None

    def cell_centre(self, row: int, column: int) -> QPointF:
        """Where a cell lies in the plot's viewport, in pixels."""
        scene = self._box.mapViewToScene(QPointF(column, row))
        return QPointF(self.plot.mapFromScene(scene))

    def _on_move(self, scene_place: QPointF) -> None:
        cell = self.cell_at(scene_place)
        if cell is None or self.grid is None:
            self.cell_hovered.emit(-1, -1)
            return
        self.caption.setText(self.grid.describe(*cell))
        self.cell_hovered.emit(*cell)

    def _on_click(self, event: Any) -> None:
        cell = self.cell_at(event.scenePos())
        if event.button() == Qt.MouseButton.LeftButton and cell is not None:
            event.accept()
            self.cell_clicked.emit(*cell)
        elif event.button() == Qt.MouseButton.RightButton and cell is not None:
            event.accept()
            self.menu_asked.emit(*cell, event.screenPos().toPoint())


class ColourBar(QWidget):
    """The scale of a map: its colours with the values at the ends."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedWidth(56)
        self._plot = pg.PlotWidget(background=colours.CARD, enableMenu=False)
        self._plot.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self._plot.setMouseEnabled(False, False)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._plot.hideButtons()
        self._plot.hideAxis("left")
        self._plot.hideAxis("bottom")
        self._plot.showAxis("right")
        self._axis = self._plot.getAxis("right")
        self._axis.setPen(pg.mkPen(None))
        self._axis.setTextPen(colours.TEXT_DIM)
        self._axis.setStyle(tickLength=0, tickFont=mono_font(10))
        self._axis.setWidth(44)
        self._image = pg.ImageItem(axisOrder="row-major")
        self._plot.addItem(self._image)
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 0, 0, 18)
        layout.addWidget(self._plot)

    def show_scale(self, table: np.ndarray, low: float, high: float, logarithmic: bool) -> None:
        """Show another scale."""
        self._image.setImage(
            np.linspace(0, 1, 256, dtype=np.float32)[:, None], levels=(0, 1), lut=table
        )
        self._image.setRect(QRectF(0, 0, 1, 1))
        self._plot.setXRange(0, 1, padding=0)
        self._plot.setYRange(0, 1, padding=0.02)
        self._axis.setTicks([_scale_ticks(low, high, logarithmic)])


def _scale_ticks(low: float, high: float, logarithmic: bool) -> list[tuple[float, str]]:
    places = np.linspace(0, 1, 5)
    if logarithmic:
        top = np.log10(high + 1)
        return [(float(p), f"{10 ** (p * top) - 1:.0f}") for p in places]
    return [(float(p), f"{low + p * (high - low):.3g}") for p in places]
