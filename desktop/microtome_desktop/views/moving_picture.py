"""The one picture of edges and nodes that is drawn while the view of a circuit moves."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPixmap, QTransform
from PySide6.QtWidgets import QGraphicsObject, QStyleOptionGraphicsItem, QWidget

from microtome_desktop.views.drawings import keeps_lines
from microtome_desktop.views.edge_layer import EdgeLayer
from microtome_desktop.views.edge_picture import EdgePicture
from microtome_desktop.views.node_layer import NodeLayer

_CROWD = 2_000  # nodes


class MovingPicture(QGraphicsObject):
    """Takes the place of all edges and nodes until the edges have been painted anew.

    The nodes are painted into a copy of the edges' picture, which is larger than the view, at the
    first frame of a movement; every further frame is one blit. Lies below the layers that it stands
    for, so that it is painted first and tells them whether to draw themselves in this frame.
    """

    def __init__(self, edges: EdgeLayer, path_edges: EdgeLayer, nodes: NodeLayer) -> None:
        super().__init__()
        self._edges, self._path_edges, self._nodes = edges, path_edges, nodes
        self._pixmap: QPixmap | None = None
        self._painted_of: tuple[Any, ...] = ()
        self._rested: EdgePicture | None = None  # seen as it was painted, before anything moved
        self.moving = False  # whether the last frame was drawn from the one picture

    def boundingRect(self) -> QRectF:
        return self._edges.boundingRect()

    def serves(self, to_view: QTransform, port: QRectF) -> bool:
        """Whether the picture holds all of the circuit that this view shows.

        Beyond its rim, and until a new circuit has been seen at rest, nodes are live.
        """
        picture = self._edges.picture
        back, there = to_view.inverted()
        if picture is None or picture is not self._rested or not there:
            return False
        seen = back.mapRect(port).intersected(self.boundingRect())
        inverse, invertible = picture.transform.inverted()
        return invertible and (seen.isEmpty() or inverse.mapRect(picture.frame).contains(seen))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,
        widget: QWidget | None = None,
    ) -> None:
        """Blit edges and nodes when the view has moved; leave them to their layers when not."""
        picture, now = self._edges.picture, painter.worldTransform()
        port = QRectF(widget.rect() if widget is not None else painter.viewport())
        pixels = not keeps_lines(painter)
        moved = pixels and picture is not None and picture.transform != now
        if pixels and not moved:
            self._rested = picture
        # A crowd is one picture at rest as well: painting each node takes a tenth of a second.
        crowd = self._nodes.count > _CROWD and picture is not None and picture.complete
        self.moving = (moved or (pixels and crowd)) and self.serves(now, port)
        self._edges.muted = self._path_edges.muted = self.moving
        self._nodes.mute(self.moving)
        if self.moving and picture is not None:
            picture.blit(painter, self._whole())
        elif not moved and not crowd:
            self._pixmap = None  # as large as the window: kept only while it is needed

    def _whole(self) -> QPixmap | None:
        """Edges, edges in focus and nodes, painted once for all frames that show the same."""
        picture, path = self._edges.picture, self._path_edges.picture
        if path is not None and not path.complete:
            path = None  # it comes whole, since each look at it paints all nodes again
        opacity = self._edges.opacity()
        of = (picture, path, opacity, self._nodes.version)
        if picture is None or (self._pixmap is not None and of == self._painted_of):
            return self._pixmap
        pixmap = QPixmap(picture.pixmap.size())
        pixmap.setDevicePixelRatio(picture.pixmap.devicePixelRatio())
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setWorldTransform(picture.to_pixmap())
        painter.setOpacity(opacity)
        picture.blit(painter)
        painter.setOpacity(1.0)
        if path is not None:
            path.blit(painter)
        back, _ = picture.transform.inverted()
        self._nodes.paint_into(painter, back.mapRect(picture.frame))
        painter.end()
        self._pixmap, self._painted_of = pixmap, of
        return pixmap
