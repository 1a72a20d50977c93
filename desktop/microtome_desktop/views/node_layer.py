"""The nodes of a circuit: one scatter for each kind, bright in focus and dimmed outside."""

from __future__ import annotations

import math
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pyqtgraph as pg
from jaxtyping import Bool
from pyqtgraph.graphicsItems.ScatterPlotItem import drawSymbol
from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPixmap, Qt

from microtome.records.circuit import (
    CHANNEL,
    DIMENSION,
    HEAD,
    IMAGE,
    INPUT,
    MLP,
    NEURON,
    OUTPUT,
    POSITION,
    TOKEN,
    UNIT_HEAD,
)
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.presenters.circuit_curves import hue_colour
from microtome_desktop.presenters.circuit_kinds import (
    FALLS,
    NODE_STYLES,
    OTHER_NODE,
    RISES,
    NodeStyle,
)

_COLOURS = {  # names in the palette
    TOKEN: "TOKEN",
    INPUT: "TOKEN",
    POSITION: "POSITION",
    HEAD: "HEAD",
    MLP: "MLP",
    OUTPUT: "OUTPUT",
    IMAGE: "TOKEN",
    CHANNEL: "HEAD",
    UNIT_HEAD: "HEAD",
    NEURON: "MLP",
    DIMENSION: "POSITION",
    "feature": "ACCENT",
    "group": "GROUP",
    RISES: "EXCITES",
    FALLS: "INHIBITS",
}
_CROWD = 2_000  # nodes
# So that all glyphs of one diameter weigh the same to the eye.
_SCALE = {"s": 0.88, "d": 1.2, "star": 1.25, "t1": 1.0}


def mixed(colour: str, share: float) -> QColor:
    """A colour laid over the card with this opacity, itself opaque: no edge shines through."""
    over, under = QColor(colour), QColor(colours.CARD)
    parts = zip(over.getRgb()[:3], under.getRgb()[:3], strict=True)  # type: ignore[index]
    return QColor(*(round(share * a + (1 - share) * b) for a, b in parts))


def node_colour(kind: str) -> str:
    """The colour of a node kind."""
    return str(getattr(colours, _COLOURS.get(kind, "TEXT_DIM")))


def _paints(colour: str, negative: bool, dim: bool) -> tuple[QBrush, QPen]:
    # Dimmed glyphs keep a little more than dimmed edges: they are small and must stay legible.
    share = colours.DIMMED + 0.08 if dim else 1.0
    rim = colours.INHIBITS if negative else colours.CARD
    return _made(mixed(colour, share).name(), mixed(rim, share).name(), negative)


@cache
def _no_pen() -> QPen:
    # One for all: glyphs are found again by their pen.
    return QPen(Qt.PenStyle.NoPen)


@cache
def _made(fill: str, rim: str, negative: bool) -> tuple[QBrush, QPen]:
    pen = QPen(QColor(rim), 1.4 if negative else 1.1)
    pen.setCosmetic(True)  # glyphs are unit shapes, scaled
    return QBrush(QColor(fill)), pen


Looks = list[tuple[QBrush, QPen]]


class _Scatter(pg.ScatterPlotItem):
    """A scatter that can be silent, and that can be painted for more than the view."""

    muted = False
    frame: QRectF | None = None  # in layout units: what is painted instead of the view

    looks: tuple[Looks, np.ndarray] | None = None  # brushes and pens, and which each point has

    def paint_with(self, looks: Looks, which: np.ndarray) -> None:
        """Give each point one of some brushes and pens."""
        brushes, pens = (np.array([*each, None], object)[:-1] for each in zip(*looks, strict=True))
        self.looks = looks, which
        self.data["brush"], self.data["pen"] = brushes[which], pens[which]
        self.data["sourceRect"] = 0
        self.updateSpots()

    def updateSpots(self, dataSet: Any = None) -> None:
        """Find the points' glyphs, once for all that look alike.

        The library asks for every point, which for twenty thousand takes a tenth of a second.
        """
        if self.looks is None or len(self.looks[1]) != len(self.data):
            return  # not told yet how they look
        looks, which = self.looks
        sizes, size = np.unique(self.data["size"], return_inverse=True)
        codes, glyph = np.unique(size * len(looks) + which, return_inverse=True)
        pairs = [divmod(code, len(looks)) for code in codes.tolist()]
        styles = [(self.opts["symbol"], sizes[at], *looks[look][::-1]) for at, look in pairs]
        places = np.empty(len(styles), self.data["sourceRect"].dtype)
        places[:] = self.fragmentAtlas[styles]
        self.data["sourceRect"] = places[glyph]
        self._maybeRebuildAtlas()
        self._updateMaxSpotSizes(data=self.data)
        self.invalidate()

    def viewRect(self) -> QRectF:
        """What points are painted of."""
        return self.frame if self.frame is not None else QRectF(super().viewRect())

    def paint(self, p: QPainter, option: Any, widget: Any) -> None:
        """The points, unless something else draws them."""
        if not self.muted or self.frame is not None:
            super().paint(p, option, widget)


class NodeLayer:
    """The scatters, added to a view box."""

    def __init__(self, box: pg.ViewBox, z: float) -> None:
        self._drawing: Drawing | None = None
        self._members: dict[str, np.ndarray] = {}
        self._step = 0
        self._dim = False  # whether any node is dimmed
        self.version = 0  # counts changes of what the nodes look like
        self._scatters = {}
        for style in (*NODE_STYLES.values(), OTHER_NODE):
            scatter = _Scatter(pxMode=True, symbol=style.symbol, useCache=True)
            scatter.setZValue(z)
            box.addItem(scatter, ignoreBounds=True)
            self._scatters[style.kind] = scatter

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return 0 if self._drawing is None else self._drawing.circuit.n_nodes

    def forget(self) -> None:
        """Other nodes come at once: no zoom before is followed with the old ones."""
        self._drawing = None

    def show(self, drawing: Drawing | None, scale: float = 1.0) -> None:
        """Draw other nodes at a zoom, all bright."""
        self._drawing, self._dim = drawing, False
        self.version += 1
        self._members = {} if drawing is None else _rows_by_kind(drawing)
        if drawing is not None:
            self._step = _step_of(drawing, scale)
        for kind, scatter in self._scatters.items():
            rows = self._members.setdefault(kind, np.zeros(0, np.int64))
            if drawing is None or not len(rows):
                scatter.clear()
                continue
            layout = drawing.layout
            size = self._sizes(rows, scatter.opts["symbol"])
            scatter.looks = None
            scatter.setData(x=layout.x[rows], y=layout.y[rows], size=size)
            scatter.paint_with(*self._looks(rows, None))

    def set_scale(self, scale: float) -> None:
        """Follow the zoom: crowded nodes are small at fit and grow to their natural size."""
        if self._drawing is None:
            return
        step = _step_of(self._drawing, scale)
        if step == self._step:
            return
        self._step = step
        for kind, scatter in self._scatters.items():
            if len(self._members[kind]):
                scatter.setSize(self._sizes(self._members[kind], scatter.opts["symbol"]))

    def set_focus(self, nodes: Bool[np.ndarray, " node"] | None) -> None:
        """Dim all nodes outside a mask; None brightens all."""
        if nodes is None and not self._dim:
            return
        self._dim = nodes is not None
        self.version += 1
        for kind, scatter in self._scatters.items():
            rows = self._members.get(kind)
            if rows is not None and len(rows):
                scatter.paint_with(*self._looks(rows, nodes))

    def mute(self, on: bool) -> None:
        """Leave the nodes to something else that draws them, or draw them again."""
        for scatter in self._scatters.values():
            scatter.muted = on

    def paint_into(self, painter: QPainter, frame: QRectF) -> None:
        """Paint the nodes as they are drawn, those inside a part of the layout."""
        for kind, scatter in self._scatters.items():
            if len(self._members.get(kind, ())):
                painter.save()
                scatter.frame = frame
                scatter.paint(painter, None, None)
                scatter.frame = None
                painter.restore()

    def _sizes(self, rows: np.ndarray, symbol: str) -> np.ndarray:
        if self._drawing is None:
            return np.zeros(0)
        scale = float(np.exp(self._step / 20))
        sizes = self._drawing.layout.diameters(scale)[rows] * _SCALE.get(symbol, 1.0)
        # Half a pixel is not seen, and each size is a glyph that has to be drawn once.
        return np.asarray(np.maximum(np.round(2 * sizes) / 2, 2.0))

    def _looks(
        self, rows: np.ndarray, nodes: Bool[np.ndarray, " node"] | None
    ) -> tuple[Looks, np.ndarray]:
        if self._drawing is None:
            return [], np.zeros(0, np.int64)
        circuit, hue = self._drawing.circuit, self._drawing.node_hue
        dim = np.zeros(len(rows), bool) if nodes is None else ~nodes[rows]
        codes = 2 * (circuit.node_score[rows] < 0) + dim
        # Kinds that have no row of their own share a scatter.
        of = np.array(circuit.node_kind)[rows] if hue is None else hue[rows]
        names, which = np.unique(of, return_inverse=True)
        plain = [node_colour(str(name)) if hue is None else hue_colour(int(name)) for name in names]
        # Around the dots of a crowd a rim would be all that is seen.
        none = _no_pen() if self.count > _CROWD else None
        looks = []
        for colour, code in product(plain, range(4)):
            brush, pen = _paints(colour, hue is None and code >= 2, bool(code % 2))
            looks.append((brush, none or pen))
        return looks, 4 * which + codes


def _step_of(drawing: Drawing, scale: float) -> int:
    # A step of a twentieth is not seen, and each change of size costs a new set of glyphs.
    return round(20 * math.log(min(scale, 1 / drawing.layout.shrink)))


def _rows_by_kind(drawing: Drawing) -> dict[str, np.ndarray]:
    """The rows of each scatter; kinds that have none of their own share the last."""
    found: dict[str, list[int]] = {}
    for row, kind in enumerate(drawing.node_shapes or drawing.circuit.node_kind):
        found.setdefault(kind if kind in NODE_STYLES else OTHER_NODE.kind, []).append(row)
    return {kind: np.array(rows, np.int64) for kind, rows in found.items()}


def glyph(style: NodeStyle, size: int = 11, ratio: float = 1.0) -> QPixmap:
    """A node kind's glyph as the canvas draws it, for the legend."""
    pixmap = QPixmap(QSize(size + 3, size + 3) * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate((size + 3) / 2, (size + 3) / 2)
    brush, pen = _paints(node_colour(style.kind), False, False)
    drawSymbol(painter, style.symbol, size * _SCALE.get(style.symbol, 1.0), pen, brush)
    painter.end()
    return pixmap
