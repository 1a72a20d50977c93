"""Results of a visualisation side by side, and the curves of their values."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from microtome.records.visualisation import Visualisation
from microtome_desktop import palette as colours
from microtome_desktop.presenters.visualisations import caption
from microtome_desktop.views.image_view import ImageView
from microtome_desktop.views.superposition_plots import SmallPlot

_MOST, _COLUMNS = 16, 4


class VisualPictures(QWidget):
    """As many pictures as there are results; ``chosen`` tells the number of a pressed one."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.views: list[ImageView] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(6)

    def show_made(self, made: Visualisation | None, chosen: int) -> None:
        """Draw the pictures as they are now, the chosen one framed."""
        count = 0 if made is None else min(_MOST, len(made.pictures))
        while len(self.views) < count:
            self._add()
        columns = _COLUMNS if count > 2 else max(1, count)
        for at, view in enumerate(self.views):
            view.setVisible(at < count)
            if made is None or at >= count:
                continue
            self._grid.addWidget(view, at // columns, at % columns)
            view.show_image(made.pictures[at], title=caption(made, at))
            rows, across = made.pictures.shape[1:3]
            view.mark(0, 0, rows if at == chosen else 0, across)

    def _add(self) -> None:
        number, view = len(self.views), ImageView(side=150)
        view.setObjectName(f"visual_picture_{number}")
        view.setToolTip("What was made, and what the model sees in it; press to choose it")
        view.pressed.connect(lambda *_: self.chosen.emit(number))
        self.views.append(view)


class ValueCurves(QWidget):
    """What was maximised, by step: a line a result, the chosen one bright."""

    def __init__(self) -> None:
        super().__init__()
        self.plot = SmallPlot("value by step")
        self.plot.setToolTip(
            "The value at each step, of the pictures as they were moved and turned then; dotted "
            "the largest over the images that it is compared with"
        )
        self.lines: list[pg.PlotDataItem] = []
        dotted = pg.mkPen(colours.TEXT_FAINT, width=1, style=pg.QtCore.Qt.PenStyle.DotLine)
        self._most = pg.InfiniteLine(0, 0, pen=dotted)
        self.plot.addItem(self._most, ignoreBounds=False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plot)

    def show_made(self, made: Visualisation | None, chosen: int) -> None:
        """Draw the curves as far as they are."""
        count = 0 if made is None else made.values.shape[1]
        while len(self.lines) < count:
            self.lines.append(self.plot.plot())
        for at, line in enumerate(self.lines):
            line.setVisible(at < count)
            if made is not None and at < count:
                bright = at == chosen
                line.setPen(pg.mkPen(colours.ACCENT if bright else colours.TEXT_FAINT,
                                     width=2 if bright else 1))  # fmt: skip
                line.setData(made.step, made.values[:, at])
        held = None if made is None else made.reference
        self._most.setVisible(held is not None)
        if held is not None and len(held):
            self._most.setValue(float(held[-1]))
