"""The edges of a circuit as one graphics item that stays fast however many there are.

While the view moves, the item blits its last picture with the change of the transform. Once
the view has been still for a moment it paints a new one in slices short enough that nothing
else waits, the strongest edges first, and shows it when it is better than the old one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int
from PySide6.QtCore import QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPen, QPixmap, QTransform
from PySide6.QtWidgets import QGraphicsObject, QStyleOptionGraphicsItem, QWidget

from microtome_desktop.presenters.circuit_curves import (
    LEVELS,
    Curves,
    curve_boxes,
    hue_colour,
    hue_mark,
)
from microtome_desktop.presenters.circuit_kinds import edge_style
from microtome_desktop.views.drawings import keeps_lines
from microtome_desktop.views.edge_haze import Block, Haze
from microtome_desktop.views.edge_marks import paint_mark
from microtome_desktop.views.edge_picture import EdgePicture

_SLICE = 0.008  # seconds of painting before the event loop gets its turn
_IDLE_MS = 130  # how long the view must be still before a repaint
_PATIENCE = 0.12  # seconds after which a half-painted picture replaces the old one
# Edges are drawn each by itself as long as they are not more, painted little by little or at once;
# of more only the strongest are, and all others are one haze.
LINES, _LINES_AT_ONCE = 5_000, 600
_STRONGEST, _STRONGEST_AT_ONCE = 1_000, 200
_BLOCK = 10_000  # edges of a haze that are made ready in one go
_CROWDED_S = 0.4  # between two looks at a half-painted picture of more
_MARGIN = 0.25  # of the viewport's size, painted beyond each side so that panning has edges to show


def edge_pen(number: int, dash: tuple[float, ...], faintest: float = 0.38) -> QPen:
    """The pen of a level, hue and dash pattern: width and opacity grow with the level."""
    colour = hue_colour(number // LEVELS)
    return _pen(colour, number % LEVELS / (LEVELS - 1), dash, faintest)


@cache
def _pen(code: str, level: float, dash: tuple[float, ...], faintest: float) -> QPen:
    colour = QColor(code)
    colour.setAlphaF(faintest + (0.95 - faintest) * level)
    width = 1.0 + 2.8 * level
    pen = QPen(colour, width)
    pen.setCosmetic(True)
    if dash:
        # Qt counts dashes in pen widths; dividing keeps a fat line's rhythm that of a thin one.
        pen.setDashPattern([max(step / width**0.5, 0.1) for step in dash])
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    else:
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    return pen


class EdgeLayer(QGraphicsObject):
    """Draws curves. ``at_once`` paints whole pictures of few edges: those must not lag."""

    renewed = Signal()  # another picture is shown

    def __init__(self, *, at_once: bool = False) -> None:
        super().__init__()
        self._at_once = at_once
        self.muted = False  # the view is followed, but something else draws the edges
        self._points = np.zeros((0, 4, 2))
        self._boxes = np.zeros((0, 4))
        self._curves: Curves | None = None
        self._faintest = 0.38
        self._rows = np.zeros(0, np.int64)
        self._bounds = QRectF()
        self._shown: EdgePicture | None = None
        self._fresh: EdgePicture | None = None
        self._seen: tuple[QTransform, QRect, float] | None = None
        self._idle = QTimer(self, singleShot=True, interval=_IDLE_MS)
        self._idle.timeout.connect(self._begin)
        self._slices = QTimer(self, interval=0)
        self._slices.timeout.connect(self._paint_slice)

    @property
    def n_drawn(self) -> int:
        """How many edges the layer holds."""
        return len(self._rows)

    @property
    def settled(self) -> bool:
        """Whether the picture on screen is whole and belongs to the view as it is."""
        if self._seen is None or not len(self._rows):
            return True
        shown = self._shown
        return shown is not None and shown.complete and shown.transform == self._seen[0]

    @property
    def picture(self) -> EdgePicture | None:
        """The picture on screen, None while it is of edges that were there before."""
        shown = self._shown
        return shown if shown is not None and shown.rows is self._rows else None

    def set_curves(
        self,
        curves: Curves | None,
        bounds: QRectF,
        edges: Bool[np.ndarray, " edge"] | None = None,
        limit: int | None = None,
    ) -> None:
        """Draw these curves (all, or those of a mask), at most ``limit``, strongest first."""
        self.prepareGeometryChange()
        self._bounds = bounds
        self._rows = np.zeros(0, np.int64)
        if curves is not None:
            self._points, self._boxes = curves.points, curve_boxes(curves.points)
            rows = curves.order if edges is None else curves.order[edges[curves.order]]
            self._rows = rows[:limit]
            self._curves, self._faintest = curves, _faintest(len(self._rows))
        self._fresh = None
        self._slices.stop()
        if self._at_once or not len(self._rows):
            self._shown = None
        if self._seen is not None:
            self._begin()
        self.update()

    def boundingRect(self) -> QRectF:
        return self._bounds

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,
        widget: QWidget | None = None,
    ) -> None:
        """Blit the last picture; see to a new one when the view has moved."""
        if keeps_lines(painter):
            self._paint_curves(painter)
            return
        port = widget.rect() if widget is not None else painter.viewport()
        ratio = painter.device().devicePixelRatio()
        seen = (painter.worldTransform(), port, ratio)
        if self._seen != seen:
            self._seen = seen
            if self._shown is None:
                self._begin()
            else:
                self._slices.stop()
                self._fresh = None
                self._idle.start()
        if self._shown is not None and not self.muted:
            self._shown.blit(painter)

    def _paint_curves(self, painter: QPainter) -> None:
        """All curves as curves, the strongest on top."""
        for row in self._rows[::-1].tolist():
            self._paint_row(painter, row)

    def _paint_row(self, painter: QPainter, row: int) -> None:
        """A curve, and on it what says the same as its colour."""
        pen = self._pen_of(row)
        painter.setPen(pen)
        painter.drawPath(_path(self._points[row]))
        if self._curves is not None:
            paint_mark(painter, self._points[row], pen, hue_mark(int(self._curves.hue[row])))

    def _pen_of(self, row: int) -> QPen:
        curves = self._curves
        if curves is None:
            return QPen()
        number = int(curves.level[row]) + LEVELS * int(curves.hue[row])
        return edge_pen(number, edge_style(int(curves.kind[row])).dashes, self._faintest)

    def finish(self) -> None:
        """Paint what is missing now, however long it takes: for exports and tests."""
        self._idle.stop()
        if not self.settled and self._fresh is None:
            self._begin()
        while self._slices.isActive():
            self._paint_slice()

    def _begin(self) -> None:
        """Start a new picture of the view as it is now."""
        if self._seen is None or not len(self._rows):
            return
        transform, port, ratio = self._seen
        margin_x, margin_y = int(port.width() * _MARGIN), int(port.height() * _MARGIN)
        frame = port.adjusted(-margin_x, -margin_y, margin_x, margin_y)
        pixmap = QPixmap(frame.size() * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        todo = self._visible(transform, QRectF(frame))
        all_, strongest = (
            (_LINES_AT_ONCE, _STRONGEST_AT_ONCE) if self._at_once else (LINES, _STRONGEST)
        )
        lines = len(todo) if len(todo) <= all_ else strongest
        rest, todo = todo[lines:], todo[:lines]
        self._fresh = EdgePicture(
            pixmap, QTransform(transform), frame.topLeft(), todo.tolist(), self._rows
        )
        if len(rest):
            self._fresh.haze = self._haze(self._fresh, rest)
        self._slices.start()
        if self._at_once and not len(rest):
            self._paint_slice(float("inf"))

    def _haze(self, picture: EdgePicture, rows: Int[np.ndarray, " some"]) -> Haze | None:
        if self._curves is None:
            return None
        size, blocks = picture.pixmap.size(), self._blocks(picture, self._curves, rows)
        hues, ratio = np.unique(self._curves.hue[rows]), picture.pixmap.devicePixelRatio()
        return Haze(blocks, hues, size.width(), size.height(), ratio)

    def _blocks(
        self, picture: EdgePicture, curves: Curves, rows: Int[np.ndarray, " some"]
    ) -> Iterator[Block]:
        """What the haze is of, made ready some thousand edges at a time, inside its slices."""
        points, faintest, to = self._points, self._faintest, picture.to_pixmap()
        ratio = picture.pixmap.devicePixelRatio()
        turn = np.array([[to.m11(), to.m12()], [to.m21(), to.m22()]])
        for first in range(0, len(rows), _BLOCK):
            some = rows[first : first + _BLOCK]
            level = curves.level[some] / (LEVELS - 1)
            yield Block(
                (points[some] @ turn + [to.dx(), to.dy()]) * ratio,
                faintest + (0.95 - faintest) * level,
                curves.hue[some],
            )

    def _visible(self, transform: QTransform, frame: QRectF) -> Int[np.ndarray, " some"]:
        inverse, invertible = transform.inverted()
        if not invertible:
            return self._rows[:0]
        window = inverse.mapRect(frame)
        left, low, right, high = self._boxes[self._rows].T
        inside = (right >= window.left()) & (left <= window.right())
        inside &= (high >= window.top()) & (low <= window.bottom())
        return np.asarray(self._rows[inside])

    def _paint_slice(self, seconds: float = _SLICE) -> None:
        picture = self._fresh
        if picture is None:
            self._slices.stop()
            return
        deadline = time.perf_counter() + seconds
        self._paint_lines(picture, deadline)
        if picture.lined and picture.haze is not None:
            picture.haze.step(deadline - time.perf_counter())
            if picture.haze.complete:
                _lay_under(picture.pixmap, picture.haze.image())
                picture.haze = None
        self._show(picture)

    def _paint_lines(self, picture: EdgePicture, deadline: float) -> None:
        painter = QPainter(picture.pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        # The strongest come first and must end up on top: later ones go underneath.
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_DestinationOver)
        painter.setWorldTransform(picture.to_pixmap())
        while not picture.lined:
            row = picture.todo[picture.painted]
            self._paint_row(painter, row)
            picture.painted += 1
            if time.perf_counter() >= deadline:
                break
        painter.end()

    def _show(self, picture: EdgePicture) -> None:
        """Put the picture on the screen when it is complete, or better than none or an old one."""
        now = time.perf_counter()
        crowded = len(self._rows) > LINES
        overdue = now - picture.started > (_CROWDED_S if crowded else _PATIENCE)
        if picture.complete or overdue or self._shown is None:
            if crowded and not picture.complete:
                picture.started = now  # each look at it paints all nodes again
            other, self._shown = self._shown is not picture, picture
            self.update()
            if other:
                self.renewed.emit()
        if picture.complete:
            self._fresh = None
            self._slices.stop()


def _lay_under(pixmap: QPixmap, image: QImage) -> None:
    image.setDevicePixelRatio(pixmap.devicePixelRatio())
    painter = QPainter(pixmap)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_DestinationOver)
    painter.drawImage(0, 0, image)
    painter.end()


def _faintest(n_edges: int) -> float:
    """Opacity of the weakest edges: among a thousand they must not drown the strong ones."""
    return round(float(np.clip(0.38 - 0.28 * (n_edges - 150) / 850, 0.10, 0.38)), 2)


def _path(points: Float[np.ndarray, "4 2"]) -> QPainterPath:
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points.tolist()
    path = QPainterPath()
    path.moveTo(x0, y0)
    path.cubicTo(x1, y1, x2, y2, x3, y3)
    return path
