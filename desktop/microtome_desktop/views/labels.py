"""Names beside nodes and rings around them, drawn in pixels over everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QTransform
from PySide6.QtWidgets import QGraphicsObject, QStyleOptionGraphicsItem, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_labels import Label, place_labels
from microtome_desktop.presenters.circuit_layout import Layout
from microtome_desktop.views.fonts import mono_font

_PAD_X, _HEIGHT = 4.0, 15.0


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring around a node: how far from its rim, how thick, in which colour."""

    node: int
    gap: float = 3.0
    width: float = 2.0
    colour: str = field(default_factory=lambda: colours.TEXT)


@dataclass(frozen=True, slots=True)
class Badge:
    """A small mark at a node: at its right (pinned), at its left (a note), or over it (edited)."""

    node: int
    colour: str
    left: bool = False
    cross: bool = False


def paint_cross(painter: QPainter, middle: QPointF, arm: float, colour: str) -> None:
    """What says that an edit acts on a node: a cross, lined so that it shows on any glyph."""
    for ink, width in ((colours.CARD, 4.5), (colour, 2.0)):
        pen = QPen(QColor(ink), width)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        for way in (1, -1):
            shift = QPointF(arm, way * arm)
            painter.drawLine(middle - shift, middle + shift)


class LabelLayer(QGraphicsObject):
    """Draws labels where they fit. They keep their place beside the node while the view moves."""

    def __init__(self) -> None:
        super().__init__()
        self._font = mono_font(10)
        self._metrics = QFontMetricsF(self._font)
        self._layout: Layout | None = None
        self._texts: Sequence[str] = ()
        self._widths: dict[int, float] = {}  # of the texts that a place was looked for
        self._labels: tuple[Label, ...] = ()
        self._offsets: list[QPointF] = []
        self._rings: tuple[Ring, ...] = ()
        self._badges: tuple[Badge, ...] = ()
        self._bright: Bool[np.ndarray, " node"] | None = None

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels on screen, in pixels of the view they were placed for."""
        return self._labels

    def boxes(self, to_view: QTransform) -> Float[np.ndarray, "label 4"]:
        """What the labels cover of a view: left, top, right, bottom, in pixels."""
        pairs = zip(self._labels, self._offsets, strict=True)
        corners = [(self._centre(label.node, to_view) + offset, label) for label, offset in pairs]
        boxes = [(at.x(), at.y(), at.x() + n.width, at.y() + n.height) for at, n in corners]
        return np.array(boxes).reshape(-1, 4)

    def text_of(self, node: int) -> str:
        """What a node's label says."""
        return self._texts[node]

    def set_nodes(self, layout: Layout | None, texts: Sequence[str]) -> None:
        """Other nodes: nothing is labelled until ``arrange``."""
        self.prepareGeometryChange()
        self._layout, self._texts, self._widths = layout, texts, {}
        self._labels, self._offsets, self._rings, self._bright = (), [], (), None
        self._badges = ()
        self.update()

    def set_focus(self, nodes: Bool[np.ndarray, " node"] | None) -> None:
        """Dim the names of all nodes outside a mask; None brightens all."""
        self._bright = nodes
        self.update()

    def set_rings(self, rings: tuple[Ring, ...]) -> None:
        """Draw these rings."""
        self._rings = rings
        self.update()

    @property
    def badges(self) -> tuple[Badge, ...]:
        """The marks at nodes."""
        return self._badges

    def set_badges(self, badges: tuple[Badge, ...]) -> None:
        """Draw these marks."""
        self._badges = badges
        self.update()

    def arrange(
        self, order: Int[np.ndarray, " some"], to_view: QTransform, size: tuple[float, float]
    ) -> None:
        """Choose and place labels for a view: ``to_view`` maps the layout to its pixels."""
        if self._layout is None:
            return
        centres = self._centres(to_view)
        flipped = np.stack([centres[:, 0], size[1] - centres[:, 1]], axis=1)  # y upward
        self._labels = place_labels(
            order,
            flipped,
            self._layout.diameters(_scale(to_view)) / 2,
            self._width_of,
            _HEIGHT,
            size,
        )
        self._offsets = [
            QPointF(
                label.x - flipped[label.node, 0],
                flipped[label.node, 1] - label.y - label.height,
            )
            for label in self._labels
        ]
        self.update()

    def boundingRect(self) -> QRectF:
        # Labels are pixels, so their room in layout units changes with the zoom: claim plenty.
        if self._layout is None:
            return QRectF()
        width, height = self._layout.width, self._layout.height
        return QRectF(-width, -height, 3 * width, 3 * height)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,
        widget: QWidget | None = None,
    ) -> None:
        """Rings first, then labels."""
        if self._layout is None:
            return
        to_view = painter.worldTransform()
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_rings(painter, to_view)
        self._paint_badges(painter, to_view)
        self._paint_labels(painter, to_view)
        painter.restore()

    def _paint_rings(self, painter: QPainter, to_view: QTransform) -> None:
        if self._layout is None:
            return
        diameters = self._layout.diameters(_scale(to_view))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for ring in self._rings:
            radius = diameters[ring.node] / 2 + ring.gap
            painter.setPen(QPen(QColor(ring.colour), ring.width))
            painter.drawEllipse(self._centre(ring.node, to_view), radius, radius)

    def _paint_badges(self, painter: QPainter, to_view: QTransform) -> None:
        if self._layout is None:
            return
        diameters = self._layout.diameters(_scale(to_view))
        painter.setPen(QPen(QColor(colours.CARD), 1.0))
        for badge in self._badges:
            if badge.cross:
                middle, arm = self._centre(badge.node, to_view), diameters[badge.node] / 2 + 2.5
                paint_cross(painter, middle, arm, badge.colour)
                painter.setPen(QPen(QColor(colours.CARD), 1.0))
                continue
            away = diameters[badge.node] / 2 * 0.8
            shift = QPointF(-away if badge.left else away, -away)
            painter.setBrush(QColor(badge.colour))
            painter.drawEllipse(self._centre(badge.node, to_view) + shift, 3.2, 3.2)

    def _paint_labels(self, painter: QPainter, to_view: QTransform) -> None:
        chip = QColor(colours.RAISED)
        chip.setAlpha(225)
        painter.setFont(self._font)
        for label, offset in zip(self._labels, self._offsets, strict=True):
            box = QRectF(
                self._centre(label.node, to_view) + offset, QSizeF(label.width, label.height)
            )
            bright = self._bright is None or self._bright[label.node]
            if bright:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(chip)
                painter.drawRoundedRect(box, 3, 3)
            painter.setPen(QColor(colours.TEXT if bright else colours.TEXT_FAINT))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self._texts[label.node])

    def _width_of(self, node: int) -> float:
        """Pixels that a node's label takes across; measured for those that may get one."""
        if node not in self._widths:
            advance = self._metrics.horizontalAdvance(self._texts[node])
            self._widths[node] = float(advance) + 2 * _PAD_X
        return self._widths[node]

    def _centre(self, node: int, to_view: QTransform) -> QPointF:
        if self._layout is None:
            return QPointF()
        return to_view.map(QPointF(self._layout.x[node], self._layout.y[node]))

    def _centres(self, to_view: QTransform) -> Float[np.ndarray, "node 2"]:
        if self._layout is None:
            return np.zeros((0, 2))
        x, y = self._layout.x, self._layout.y
        return np.stack(
            [
                to_view.m11() * x + to_view.m21() * y + to_view.dx(),
                to_view.m12() * x + to_view.m22() * y + to_view.dy(),
            ],
            axis=1,
        )


def _scale(to_view: QTransform) -> float:
    """Pixels that one unit of the layout takes."""
    return abs(to_view.m11())
