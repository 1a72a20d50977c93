"""The map of a sweep: cells are chosen by click, keys and drag; what is to come is hatched."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QGraphicsRectItem

from microtome_desktop import palette as colours
from microtome_desktop.presenters.heatmaps import Grid
from microtome_desktop.presenters.sweep_map import SweepGrid
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.grid_plot import GridPlot
from microtome_desktop.views.spoken import tell

_STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (1, 0),
    Qt.Key.Key_Down: (-1, 0),
}
_FAINT = 120  # of 255: how strong the hatching is
_LOW = 120  # pixels
_GROUPS_ONLY = 5  # pixels of an axis without names: the bars of groups still fit

_HINT = "Click a cell, or drag over several"

Cell = tuple[int, int]


class SweepPlot(GridPlot):
    """A ``GridPlot`` with a chosen cell, or a region from ``anchor`` to ``cell``."""

    chosen = Signal()  # another cell or region, by the user
    edit_asked = Signal()
    moved = Signal()  # columns lie elsewhere now

    def __init__(self) -> None:
        super().__init__("map of the sweep")
        self.setAccessibleName("map of the sweep")
        self.plot.removeEventFilter(self)  # its keys are taken here
        self.stands_for = self.plot
        self.cell: Cell | None = None
        self.anchor: Cell | None = None
        self._pressed: Cell | None = None
        self._from = QPoint()
        self._dragging = False
        self.caption.setFont(text_font(12))
        self._pending = QGraphicsRectItem()
        self._pending.setPen(pg.mkPen(None))
        faint = QColor(colours.TEXT_FAINT)
        faint.setAlpha(_FAINT)
        self._pending.setBrush(QBrush(faint, Qt.BrushStyle.BDiagPattern))
        self._pending.setZValue(-10)
        self.plot.addItem(self._pending)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.plot.viewport().installEventFilter(self)
        self._box.sigRangeChanged.connect(self._on_moved)
        self._box.sigResized.connect(self._on_moved)

    def _on_moved(self, *_: object) -> None:
        self.moved.emit()

    def sizeHint(self) -> QSize:
        """Low: the map takes what room there is, and is not what makes its panel scroll."""
        return QSize(240, _LOW)

    def show_grid(self, grid: Grid | None, caption: str = "") -> None:
        """Draw a grid; one of the same shape as before keeps zoom and region."""
        before = self.grid
        same = grid is not None and before is not None and grid.columns == before.columns
        same = same and grid is not None and before is not None and grid.rows == before.rows
        seen = self._box.viewRect()
        super().show_grid(grid, caption)
        self._pending.setVisible(grid is not None)
        if not same:
            self.cell = self.anchor = None
        if grid is None:
            return
        height, width = grid.values.shape
        self._pending.setRect(QRectF(-0.5, -0.5, width, height))
        if same:
            self._box.setRange(seen, padding=0)
        self._frame()
        self.say()

    def show_column_names(self, *, on: bool) -> None:
        """Name the columns below, or leave that to what stands above."""
        if self.grid is None:
            return
        axis = self._axes["bottom"]
        axis.name_axis(self.grid.columns if on else ())
        if not on:
            axis.setHeight(_GROUPS_ONLY)

    def column_middle(self, column: float) -> float:
        """Where a column lies, in pixels from the left of this widget."""
        place = self.plot.viewport().mapTo(self, self.cell_centre(0, 0).toPoint())
        return float(place.x() + column * self.column_width)

    @property
    def column_width(self) -> float:
        """Pixels that a column is wide."""
        return float(self.cell_centre(0, 1).x() - self.cell_centre(0, 0).x())

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The chosen cells, by row and column."""
        if self.cell is None or self.grid is None:
            return ()
        anchor = self.anchor or self.cell
        rows, columns = (sorted((anchor[n], self.cell[n])) for n in (0, 1))
        return tuple(
            (row, column)
            for row in range(rows[0], rows[1] + 1)
            for column in range(columns[0], columns[1] + 1)
        )

    def choose(self, cell: Cell | None, anchor: Cell | None = None) -> None:
        """Choose a cell, or all between two; tells nothing."""
        self.cell, self.anchor = cell, anchor
        self._frame()
        self.say()

    def mark(self, row: int | None, column: int | None) -> None:
        """Frame a cell, a row or a column that was selected elsewhere."""
        if (row is None or column is None) and self.cell is not None:
            self.cell = self.anchor = None
        super().mark(row, column)

    def _frame(self) -> None:
        cells = self.cells
        if not cells:
            self._mark.setData([], [])
            return
        (low, left), (high, right) = cells[0], cells[-1]
        x = np.array([left, right, right, left, left]) + np.array([-1, 1, 1, -1, -1]) / 2
        y = np.array([low, low, high, high, low]) + np.array([-1, -1, 1, 1, -1]) / 2
        self._mark.setData(x, y)

    def say(self) -> None:
        """Tell of the chosen cells below the map, or what can be done with it."""
        if not isinstance(self.grid, SweepGrid):
            return
        self.caption.setText(self._said(self.grid))
        tell(self, self.caption.text())

    def _said(self, grid: SweepGrid) -> str:
        if self.cell is None:
            return _HINT
        cells = self.cells
        if len(cells) == 1:
            return grid.describe(*self.cell)
        values = np.array([grid.values[cell] for cell in cells])
        known = values[np.isfinite(values)]
        mean = f" · mean {known.mean():.3g}" if known.size else ""
        return f"{len(cells)} cells{mean} · Enter makes them edits"

    # by the mouse

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The left button chooses; everything else is the plot's own."""
        if isinstance(event, QMouseEvent) and self.grid is not None:
            kind, left = event.type(), Qt.MouseButton.LeftButton
            if kind is QEvent.Type.MouseButtonPress and event.button() is left:
                return self._on_press(event)
            if kind is QEvent.Type.MouseMove and event.buttons() & left and self._pressed:
                return self._on_drag(event)
            if kind is QEvent.Type.MouseButtonRelease and event.button() is left:
                return self._on_release()
            if kind is QEvent.Type.MouseButtonDblClick and event.button() is left:
                return self._on_double(event)
        return super().eventFilter(watched, event)

    def _under(self, event: QMouseEvent, *, nearest: bool = False) -> Cell | None:
        scene = self.plot.mapToScene(event.position().toPoint())
        found = self.cell_at(scene)
        if found is not None or not nearest or self.grid is None:
            return found
        place = self._box.mapSceneToView(scene)
        height, width = self.grid.values.shape
        row, column = round(place.y()), round(place.x())
        return min(max(row, 0), height - 1), min(max(column, 0), width - 1)

    def _on_press(self, event: QMouseEvent) -> bool:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self._pressed, self._dragging = self._under(event), False
        self._from = event.position().toPoint()
        return self._pressed is not None

    def _on_drag(self, event: QMouseEvent) -> bool:
        far = (event.position().toPoint() - self._from).manhattanLength()
        if self._dragging or far >= QApplication.startDragDistance():
            self._dragging = True
            self.choose(self._under(event, nearest=True), self._pressed)
        return True

    def _on_release(self) -> bool:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            return False
        if not self._dragging:
            self.choose(pressed)
        self.chosen.emit()
        return True

    def _on_double(self, event: QMouseEvent) -> bool:
        cell = self._under(event)
        if cell is None:
            return False
        if cell not in self.cells:
            self.choose(cell)
        self.edit_asked.emit()
        return True

    # by the keyboard

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move the cell, with Shift they stretch the region; Enter makes edits."""
        key = Qt.Key(event.key())
        if self.grid is not None and key in _STEPS:
            self._step(
                *_STEPS[key], stretch=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            )
        elif self.grid is not None and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.edit_asked.emit()
        else:
            super().keyPressEvent(event)

    def _step(self, up: int, right: int, *, stretch: bool) -> None:
        if self.grid is None:
            return
        height, width = self.grid.values.shape
        if self.cell is None:
            self.choose((height - 1, width - 1))
        else:
            row = min(max(self.cell[0] + up, 0), height - 1)
            column = min(max(self.cell[1] + right, 0), width - 1)
            self.choose((row, column), (self.anchor or self.cell) if stretch else None)
        self.chosen.emit()
