"""The feature space without OpenGL: the first two components as a scatter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from microtome_desktop import palette
from microtome_desktop.presenters.space import Space, nearest
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.space_view import SpaceView

_POINT_PIXELS = 6


class FlatSpace(SpaceView):
    """PC1 across, PC2 up; pan and zoom instead of orbit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._space: Space | None = None
        self._plot = pg.PlotWidget(background=palette.CARD)
        self._plot.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self._plot.hideButtons()
        self._plot.setMenuEnabled(False)
        self._plot.setAspectLocked(True)
        self._plot.setMouseTracking(True)
        for name in ("left", "bottom"):
            self._plot.hideAxis(name)
        self._points = pg.ScatterPlotItem(size=_POINT_PIXELS, pen=None)
        self._marks = pg.ScatterPlotItem(size=13, pen=pg.mkPen(palette.TEXT, width=2), brush=None)
        self._texts: list[pg.TextItem] = []
        self._plot.addItem(self._points)
        self._plot.addItem(self._marks)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)
        self._plot.scene().sigMouseMoved.connect(self._on_move)
        self._plot.scene().sigMouseClicked.connect(self._on_click)

    def show_space(self, space: Space | None) -> None:
        """Draw other points, or none."""
        self._space = space
        for text in self._texts:
            self._plot.removeItem(text)
        self._texts = []
        self._marks.setData([], [])
        if space is None:
            self._points.setData([], [])
            return
        shades = (space.colours * (255, 255, 255, 140)).astype(int)
        tints, inverse = np.unique(shades, axis=0, return_inverse=True)
        brushes = np.array([pg.mkBrush(*tint) for tint in tints], dtype=object)
        self._points.setData(space.points[:, 0], space.points[:, 1], brush=brushes[inverse.ravel()])
        for place, text in zip(space.label_places, space.label_texts, strict=True):
            self._add_label(place, text)
        self._plot.autoRange(padding=0.08)

    def highlight(self, points: np.ndarray) -> None:
        """Ring points."""
        if self._space is not None:
            places = self._space.points[points]
            self._marks.setData(places[:, 0], places[:, 1])

    def screen_places(self) -> np.ndarray:
        """Where the points lie in the plot's viewport."""
        if self._space is None:
            return np.zeros((0, 2))
        box = self._plot.getViewBox()
        (left, right), (low, high) = box.viewRange()
        area = box.sceneBoundingRect()
        across = area.left() + (self._space.points[:, 0] - left) / (right - left) * area.width()
        up = area.bottom() - (self._space.points[:, 1] - low) / (high - low) * area.height()
        return np.stack([across, up], axis=1)

    def surface(self) -> QWidget:
        """The plot's viewport."""
        viewport: QWidget = self._plot.viewport()
        return viewport

    def _add_label(self, place: np.ndarray, text: str) -> None:
        item = pg.TextItem(text, color=palette.TEXT, anchor=(0.5, 0.5))
        item.setFont(text_font(11))
        item.setPos(place[0], place[1])
        self._plot.addItem(item)
        self._texts.append(item)

    def _hit(self, place: QPointF) -> int:
        places = self.screen_places()
        found = nearest(places, np.zeros(len(places)), (place.x(), place.y()))
        return -1 if found is None else found

    def _on_move(self, place: QPointF) -> None:
        self.hovered.emit(self._hit(place))

    def _on_click(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(self._hit(event.scenePos()))
