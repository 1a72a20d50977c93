"""A cached picture of edges: its pixels, and the view that they were painted for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int
from PySide6.QtCore import QPoint, QRectF, QSizeF
from PySide6.QtGui import QPainter, QPixmap, QTransform

from microtome_desktop.views.edge_haze import Haze


@dataclass(slots=True, eq=False)
class EdgePicture:
    """Painted edges: the pixels, the transform they were painted with, and what is still to do."""

    pixmap: QPixmap
    transform: QTransform
    corner: QPoint  # of the pixmap, in viewport pixels
    todo: list[int]
    rows: Int[np.ndarray, " edge"]  # all edges of the layer when it was begun, in view or not
    started: float = field(default_factory=time.perf_counter)
    painted: int = 0
    haze: Haze | None = None  # of the edges that no pen draws, until it lies in the picture

    @property
    def lined(self) -> bool:
        """Whether all edges are in the picture that a pen draws."""
        return self.painted >= len(self.todo)

    @property
    def complete(self) -> bool:
        """Whether every edge is in the picture."""
        return self.lined and self.haze is None

    @property
    def frame(self) -> QRectF:
        """What the picture covers, in pixels of the viewport it was painted for."""
        return QRectF(self.corner, QSizeF(self.pixmap.deviceIndependentSize()))

    def to_pixmap(self) -> QTransform:
        """From the layout to the pixmap."""
        return self.transform * QTransform.fromTranslate(-self.corner.x(), -self.corner.y())

    def blit(self, painter: QPainter, pixmap: QPixmap | None = None) -> None:
        """Draw the picture (or another pixmap of its size and view) where the painter's view is."""
        inverse, invertible = self.transform.inverted()
        if invertible:
            painter.save()
            painter.setWorldTransform(inverse * painter.worldTransform())
            painter.drawPixmap(self.corner, self.pixmap if pixmap is None else pixmap)
            painter.restore()
