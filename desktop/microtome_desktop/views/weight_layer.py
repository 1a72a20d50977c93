"""The weights of edges, written onto their curves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QTransform
from PySide6.QtWidgets import QGraphicsObject, QStyleOptionGraphicsItem, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.presenters.circuit_weights import Weight, place_weights
from microtome_desktop.views.fonts import mono_font

_PAD, _HEIGHT = 3.0, 13.0


class WeightLayer(QGraphicsObject):
    """Writes weights where they fit; while the view moves they stay on their curves."""

    def __init__(self) -> None:
        super().__init__()
        self._font = mono_font(9)
        self._metrics = QFontMetricsF(self._font)
        self._drawing: Drawing | None = None
        self._placed: list[tuple[Weight, QPointF]] = []  # with the place in layout units

    @property
    def weights(self) -> tuple[Weight, ...]:
        """The weights on screen."""
        return tuple(weight for weight, _ in self._placed)

    def set_drawing(self, drawing: Drawing | None) -> None:
        """Another circuit: nothing is written until ``arrange``."""
        self.prepareGeometryChange()
        self._drawing, self._placed = drawing, []
        self.update()

    def arrange(
        self,
        edges: Bool[np.ndarray, " edge"] | None,
        to_view: QTransform,
        room: tuple[float, float],
        taken: Float[np.ndarray, "box 4"],
    ) -> None:
        """Choose and place weights for a view, of the edges of a mask or of all, off ``taken``."""
        if self._drawing is None:
            return
        matrix = np.array([
            [to_view.m11(), to_view.m21(), to_view.dx()],
            [to_view.m12(), to_view.m22(), to_view.dy()],
        ])  # fmt: skip
        found = place_weights(self._drawing, matrix, edges, self._width, _HEIGHT, room, taken)
        back, _ = to_view.inverted()
        self._placed = [(weight, back.map(QPointF(weight.x, weight.y))) for weight in found]
        self.update()

    def _width(self, text: str) -> float:
        return self._metrics.horizontalAdvance(text) + 2 * _PAD

    def clear(self) -> None:
        """Write nothing."""
        self._placed = []
        self.update()

    def boundingRect(self) -> QRectF:
        """Plenty of room: texts are pixels."""
        if self._drawing is None:
            return QRectF()
        width, height = self._drawing.layout.width, self._drawing.layout.height
        return QRectF(-width, -height, 3 * width, 3 * height)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,
        widget: QWidget | None = None,
    ) -> None:
        """Each weight on a chip of the card's colour."""
        to_view = painter.worldTransform()
        painter.save()
        painter.resetTransform()
        painter.setFont(self._font)
        chip = QColor(colours.CARD)
        chip.setAlpha(215)
        for weight, place in self._placed:
            width = self._width(weight.text)
            centre = to_view.map(place)
            box = QRectF(centre.x() - width / 2, centre.y() - _HEIGHT / 2, width, _HEIGHT)
            painter.fillRect(box, chip)
            raises = not weight.text.startswith("\N{MINUS SIGN}")
            painter.setPen(QColor(colours.EXCITES if raises else colours.INHIBITS))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, weight.text)
        painter.restore()
