"""The picture of a map: whole where it is small, the part in view at screen resolution else."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from jaxtyping import Float, UInt8
from PySide6.QtCore import QObject, QRectF, QTimer

_ROOM = 0.25  # of what is in view, drawn beyond each side so that panning has something to show


class GridImage(QObject):
    """Draws values into a view box; row 0 and column 0 are centred on 0.

    Of a map with ``coarser`` values only as much is handed to the painter as there are pixels:
    the resolution that the zoom needs, of the part in view. Zooming in ends at the exact values.
    """

    def __init__(self, plot: pg.PlotWidget) -> None:
        super().__init__(plot)
        self.item = pg.ImageItem(axisOrder="row-major")
        plot.addItem(self.item)
        self._box = plot.getViewBox()
        self._levels: tuple[Float[np.ndarray, "_ _"], ...] = ()
        self._look: dict[str, object] = {}
        self._drawn: tuple[int, QRectF] | None = None  # resolution, and the cells that are drawn
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._draw)
        self._box.sigRangeChanged.connect(self._on_range)
        self._box.sigResized.connect(self._on_range)

    def show(
        self,
        values: Float[np.ndarray, "row column"],
        coarser: tuple[Float[np.ndarray, "_ _"], ...],
        low: float,
        high: float,
        table: UInt8[np.ndarray, "_ _"],
    ) -> None:
        """Draw other values, coloured from ``low`` to ``high`` by a table."""
        self._look = {"autoLevels": False, "levels": (low, high), "lut": table}
        self._levels, self._drawn = (values, *coarser), None
        if coarser:
            self._draw()
        else:
            self.item.setImage(np.asarray(values, dtype=np.float32), **self._look)
            self.item.setRect(QRectF(-0.5, -0.5, values.shape[1], values.shape[0]))

    @property
    def resolution(self) -> int:
        """Cells a side that one drawn cell covers."""
        return 1 if self._drawn is None else int(2 ** self._drawn[0])

    def _on_range(self, *_: object) -> None:
        if len(self._levels) > 1:
            self._soon.start()

    def _draw(self) -> None:
        if len(self._levels) < 2:
            return
        seen, room = self._box.viewRect(), self._box.rect()
        level = self._level(seen, max(room.width(), 1), max(room.height(), 1))
        if self._drawn is not None and self._drawn[0] == level and self._covers(seen):
            return
        wide, high = _ROOM * seen.width(), _ROOM * seen.height()
        wanted = seen.adjusted(-wide, -high, wide, high)
        values, cell = self._levels[level], 2**level
        rows = _span(wanted.top(), wanted.bottom(), cell, values.shape[0])
        columns = _span(wanted.left(), wanted.right(), cell, values.shape[1])
        part = values[rows, columns]
        if not part.size:
            return
        self.item.setImage(np.ascontiguousarray(part, dtype=np.float32), **self._look)
        place = QRectF(
            columns.start * cell - 0.5, rows.start * cell - 0.5,
            part.shape[1] * cell, part.shape[0] * cell,
        )  # fmt: skip
        self.item.setRect(place)
        self._drawn = (level, place)

    def _covers(self, seen: QRectF) -> bool:
        height, width = self._levels[0].shape
        inside = seen.intersected(QRectF(-0.5, -0.5, width, height))
        return self._drawn is not None and self._drawn[1].contains(inside)

    def _level(self, seen: QRectF, wide: float, high: float) -> int:
        # The coarsest that still has a cell for every pixel.
        cells = min(seen.width() / wide, seen.height() / high)
        wanted = int(np.floor(np.log2(max(cells, 1.0))))
        return min(wanted, len(self._levels) - 1)


def _span(low: float, high: float, cell: int, count: int) -> slice:
    first = int(np.clip(np.floor((low + 0.5) / cell), 0, count))
    last = int(np.clip(np.ceil((high + 0.5) / cell), first, count))
    return slice(first, last)
