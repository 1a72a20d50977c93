"""The feature space without OpenGL: the first two components as a scatter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from jaxtyping import Float, Int
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from microtome_desktop import palette
from microtome_desktop.presenters.space import Space, nearest
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.space_marks import POINTER
from microtome_desktop.views.space_view import SpaceView

_POINT_PIXELS = 6
_OPACITY = 140 / 255
_MOST_POINTS = 20_000  # what the plot draws without standing still
_MOST_RINGS = 400


class FlatSpace(SpaceView):
    """PC1 across, PC2 up; pan and zoom instead of orbit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._space: Space | None = None
        self._rows = np.zeros(0, np.int64)  # those that are drawn
        self._brushes: Any = None
        self._plot = pg.PlotWidget(background=palette.CARD, enableMenu=False)
        self._plot.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self._plot.hideButtons()
        self._plot.setAspectLocked(True)
        self._plot.setMouseTracking(True)
        self._plot.viewport().setAccessibleName("feature space")
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # its viewport has the keyboard
        for name in ("left", "bottom"):
            self._plot.hideAxis(name)
        self._points = pg.ScatterPlotItem(size=_POINT_PIXELS, pen=None)
        self._marks = pg.ScatterPlotItem(size=13, pen=pg.mkPen(palette.TEXT, width=2), brush=None)
        self._pointed: int | None = None
        self._pointer = pg.ScatterPlotItem(
            size=2 * POINTER, symbol="s", pen=pg.mkPen(palette.TEXT, width=2), brush=None
        )
        self._texts: list[pg.TextItem] = []
        for item in (self._points, self._marks, self._pointer):
            self._plot.addItem(item)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)
        self._plot.scene().sigMouseMoved.connect(self._on_move)
        self._plot.scene().sigMouseClicked.connect(self._on_click)
        self._plot.getViewBox().sigRangeChangedManually.connect(self._on_range)

    def show_space(
        self, space: Space | None, colours: Float[np.ndarray, "point 4"] | None = None
    ) -> None:
        """Draw other points, or none."""
        self._space = space
        for text in self._texts:
            self._plot.removeItem(text)
        self._texts = []
        self._marks.setData([], [])
        self.point_to(None)
        if space is None:
            self._points.setData([], [])
            return
        shuffled = np.random.default_rng(0).permutation(len(space.points))
        self._rows = np.sort(shuffled[:_MOST_POINTS])
        for place, text in zip(space.label_places, space.label_texts, strict=True):
            self._add_label(place, text)
        self.colour(space.colours if colours is None else colours)
        self._plot.autoRange(padding=0.08)

    def place(self, space: Space) -> None:
        """Draw the same points at other places."""
        self._space = space
        self._put()
        for place, text in zip(space.label_places, self._texts, strict=False):
            text.setPos(place[0], place[1])

    def colour(self, colours: Float[np.ndarray, "point 4"]) -> None:
        """Draw the same points in other colours."""
        held = colours[self._rows]
        front = (held[:, 3] >= 1) & bool((held[:, 3] < 1).any())
        shades = held * (255, 255, 255, 255 * _OPACITY)
        shades[front, 3] = 240
        tints, inverse = np.unique(shades.astype(int), axis=0, return_inverse=True)
        brushes = np.array([pg.mkBrush(*tint) for tint in tints], dtype=object)
        self._brushes = brushes[inverse.ravel()]
        self._put()

    def _put(self) -> None:
        if self._space is not None:
            points = self._space.points[self._rows]
            self._points.setData(points[:, 0], points[:, 1], brush=self._brushes)
            self.point_to(self._pointed)

    def highlight(self, points: Int[np.ndarray, " some"]) -> None:
        """Ring points."""
        if self._space is not None:
            places = self._space.points[points[:: -(-len(points) // _MOST_RINGS) or 1]]
            self._marks.setData(places[:, 0], places[:, 1])

    def point_to(self, point: int | None) -> None:
        """Frame a point."""
        self._pointed = point
        if point is None or self._space is None:
            self._pointer.setData([], [])
        else:
            across, up = self._space.points[point, :2].tolist()
            self._pointer.setData([across], [up])

    def screen_places(self) -> Float[np.ndarray, "point 2"]:
        """Where the points lie in the plot's viewport."""
        if self._space is None:
            return np.zeros((0, 2))
        return self._on_screen(self._space.points)

    def _on_screen(self, points: Float[np.ndarray, "some 3"]) -> Float[np.ndarray, "some 2"]:
        box = self._plot.getViewBox()
        (left, right), (low, high) = box.viewRange()
        area = box.sceneBoundingRect()
        across = area.left() + (points[:, 0] - left) / (right - left) * area.width()
        up = area.bottom() - (points[:, 1] - low) / (high - low) * area.height()
        return np.stack([across, up], axis=1)

    def surface(self) -> QWidget:
        """The plot's viewport."""
        viewport: QWidget = self._plot.viewport()
        return viewport

    def camera(self) -> dict[str, Any]:
        """The part of the plane in view."""
        return {"range": self._plot.getViewBox().viewRange()}

    def look(self, camera: dict[str, Any]) -> None:
        """Show the same part of the plane."""
        across, up = camera["range"]
        self._plot.getViewBox().setRange(xRange=across, yRange=up, padding=0)

    def drawn_note(self) -> str:
        """How many of the points are drawn, empty when all are."""
        total = 0 if self._space is None else len(self._space.points)
        return "" if len(self._rows) >= total else f"{len(self._rows):,} of {total:,} points drawn"

    def _add_label(self, place: np.ndarray, text: str) -> None:
        item = pg.TextItem(text, palette.TEXT, anchor=(0.5, 0.5), fill=pg.mkBrush(palette.RAISED))
        item.setFont(text_font(11))
        item.setPos(place[0], place[1])
        self._plot.addItem(item)
        self._texts.append(item)

    def _hit(self, place: QPointF) -> int:
        if self._space is None:
            return -1
        places = self._on_screen(self._space.points[self._rows])
        found = nearest(places, np.zeros(len(places)), (place.x(), place.y()))
        return -1 if found is None else int(self._rows[found])

    def _on_move(self, place: QPointF) -> None:
        self.hovered.emit(self._hit(place))

    def _on_click(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(self._hit(event.scenePos()))

    def _on_range(self, *_: Any) -> None:
        self.looked.emit()
