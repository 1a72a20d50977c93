"""The canvas of the circuit: layers of drawing, the mouse, and the axes around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyqtgraph as pg
from jaxtyping import Float
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QMouseEvent, QTransform
from PySide6.QtWidgets import QGridLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.presenters.circuit_focus import Focus
from microtome_desktop.presenters.circuit_hits import HitIndex
from microtome_desktop.presenters.circuit_labels import label_order
from microtome_desktop.presenters.circuit_text import edge_tip, node_tip, spoken
from microtome_desktop.state.units import unit_layers
from microtome_desktop.views.circuit_axes import AxisStrip
from microtome_desktop.views.circuit_box import CircuitBox
from microtome_desktop.views.circuit_guides import GuideLayer
from microtome_desktop.views.edge_layer import EdgeLayer
from microtome_desktop.views.hover_tip import HoverTip
from microtome_desktop.views.labels import Badge, LabelLayer, Ring
from microtome_desktop.views.minimap import Minimap
from microtome_desktop.views.moving_picture import MovingPicture
from microtome_desktop.views.node_layer import NodeLayer
from microtome_desktop.views.spoken import tell
from microtome_desktop.views.weight_layer import WeightLayer

_IDLE_MS = 120  # after which labels are placed anew
_LEAST = 120, 90  # pixels that a circuit is laid out for; in a smaller view it is drawn smaller
_LOWEST = 30  # pixels of the view: a small screen has no more
_ROOM_FOR_TOKENS = 80  # pixels: in a lower one all of it is the circuit's
_HIT_EDGES = 1_500  # the strongest, which a cursor can find


class CircuitCanvas(QWidget):
    """Shows a ``Drawing``. Rows in its signals are rows of the drawn circuit."""

    node_clicked = Signal(int)
    node_added = Signal(int)  # clicked with Shift
    nodes_banded = Signal(tuple)  # rows inside a rubber band
    menu_asked = Signal(int, int, QPoint)  # node and edge under the cursor, -1: none
    edge_clicked = Signal(int)
    empty_clicked = Signal()
    node_hovered = Signal(int)  # -1: none
    position_picked = Signal(int)
    row_picked = Signal(int)  # of the layout
    resized = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.drawing: Drawing | None = None
        self.tips = node_tip, edge_tip  # what makes a tool tip of a row
        self._focus: Focus | None = None
        self._node: int | None = None
        self._hits: HitIndex | None = None
        self._fitted = True
        self._build_view()
        self._build_axes()
        self.tip = HoverTip(self.view.viewport())
        self.minimap = Minimap(self.view.viewport())
        self.minimap.moved.connect(self._centre_at)
        self._with_weights = False
        self._settle = QTimer(self, singleShot=True, interval=_IDLE_MS)
        self._settle.timeout.connect(self._arrange_labels)
        self._arranging = QTimer(self, singleShot=True, interval=0)
        self._arranging.timeout.connect(self._arrange_labels)

    def _build_view(self) -> None:
        self.view = pg.GraphicsView(background=colours.CARD)
        self.view.setAccessibleName("circuit")
        self.view.setMinimumSize(_LEAST[0], _LOWEST)  # the library would not go below 260 by 200
        self.view.setViewportUpdateMode(self.view.ViewportUpdateMode.FullViewportUpdate)
        self.view.viewport().installEventFilter(self)
        self.box = CircuitBox()
        self.box.banded.connect(self._on_band)
        self.view.setCentralItem(self.box)
        self.guides, self.edges = GuideLayer(), EdgeLayer()
        self.path_edges = EdgeLayer(at_once=True)
        self.labels, self.weights = LabelLayer(), WeightLayer()
        layers = self.guides, self.edges, self.path_edges, self.weights, self.labels
        for layer, z in zip(layers, (0, 10, 20, 35, 40), strict=True):
            layer.setZValue(z)
            self.box.addItem(layer, ignoreBounds=True)
        self.nodes = NodeLayer(self.box, z=30)
        self.picture = MovingPicture(self.edges, self.path_edges, self.nodes)
        self.picture.setZValue(5)
        self.box.addItem(self.picture, ignoreBounds=True)
        self.edges.renewed.connect(self._on_renewed)
        self.box.sigRangeChanged.connect(self._on_transform)
        self.box.sigRangeChangedManually.connect(self._on_moved)
        self.view.scene().sigMouseClicked.connect(self._on_click)

    def _build_axes(self) -> None:
        self.token_axis = AxisStrip(Qt.Orientation.Horizontal, "tokens below the circuit")
        self.layer_axis = AxisStrip(Qt.Orientation.Vertical, "layers beside the circuit")
        self.token_axis.picked.connect(self.position_picked)
        self.layer_axis.picked.connect(self.row_picked)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.addWidget(self.layer_axis, 0, 0)
        grid.addWidget(self.view, 0, 1)
        grid.addWidget(self.token_axis, 1, 1)

    @property
    def room(self) -> tuple[float, float]:
        """Pixels there are for a drawing."""
        port = self.view.viewport().rect()
        return max(port.width(), _LEAST[0]), max(port.height(), _LEAST[1])

    @property
    def scale(self) -> float:
        """Pixels that one unit of the layout takes; 1 at fit."""
        return 1.0 / max(float(self.box.viewPixelSize()[0]), 1e-9)

    @property
    def moving(self) -> bool:
        """Whether one picture is drawn for edges and nodes: until the view is still, or a crowd."""
        return self.picture.moving

    def show_drawing(self, drawing: Drawing | None) -> None:
        """Draw another circuit; the view stays where it is unless it was fitted."""
        self.drawing, self._focus, self._node, self._hits = drawing, None, None, None
        self.tip.hide()
        bounds = QRectF() if drawing is None else _bounds(drawing)
        layout = drawing.layout if drawing else None
        self.guides.set_layout(layout)
        limit = drawing.n_edges if drawing else 0
        self.edges.set_curves(drawing.curves if drawing else None, bounds, limit=limit)
        self.path_edges.set_curves(None, bounds)
        self.edges.setOpacity(1.0)
        self.nodes.forget()
        self.labels.set_nodes(layout, [] if drawing is None else drawing.texts)
        self.weights.set_drawing(drawing)
        self.minimap.show_drawing(drawing)
        self._name_axes()
        self._limit_view()
        if self._fitted:
            self.fit()
        self.nodes.show(drawing, self._to_view().m11())
        tell(self.view, spoken(drawing.circuit, None) if drawing else "no circuit")
        self._arranging.start()

    def set_focus(
        self, focus: Focus | None, node: int | None, rings: tuple[Ring, ...] = ()
    ) -> None:
        """Dim everything outside a focus; ring the selected node and its kin."""
        if self.drawing is None:
            return
        self._focus, self._node = focus, node
        tell(self.view, spoken(self.drawing.circuit, node))
        # A focus on everything needs no picture of its own.
        whole = focus is None or bool(focus.edges.all())
        self.edges.setOpacity(1.0 if whole else colours.DIMMED)
        mask = None if focus is None or whole else focus.edges
        curves = None if whole else self.drawing.curves
        self.path_edges.set_curves(curves, _bounds(self.drawing), mask, self.drawing.n_edges)
        self.nodes.set_focus(None if focus is None else focus.nodes)
        chosen = () if node is None else (Ring(node),)
        self.labels.set_rings((*rings, *chosen))
        self.labels.set_focus(None if focus is None else focus.nodes)
        self._arranging.start()

    def set_place(self, position: int | None, row: int | None, hovered: int | None) -> None:
        """Mark the selected token and layer on the axes and behind the nodes."""
        self.guides.set_bands(position, row, hovered)
        self.token_axis.set_selected(position)
        self.layer_axis.set_selected(row)

    def set_badges(self, badges: tuple[Badge, ...]) -> None:
        """Mark what is pinned and what has a note."""
        self.labels.set_badges(badges)

    def show_weights(self, on: bool) -> None:
        """Write the weights onto the edges in focus, or take them away."""
        self._with_weights = on
        self._arranging.start()

    def show_changes(self, changes: Float[np.ndarray, " edge"] | None) -> None:
        """Write other weights: edits have changed what flows along the edges."""
        if self.drawing is not None:
            self.drawing = replace(self.drawing, changes=changes)
            self.weights.set_drawing(self.drawing)
            self._arranging.start()

    @property
    def frame(self) -> QRectF | None:
        """The part of the layout in view, None while all of it is."""
        if self._fitted:
            return None
        (left, right), (low, high) = self.box.viewRange()
        return QRectF(left, low, right - left, high - low)

    def show_frame(self, frame: QRectF | None) -> None:
        """Show this part of the layout, or all of it."""
        if frame is None:
            self.fit()
            return
        self._fitted = False
        self.box.setRange(frame, padding=0)
        self._on_transform()

    def zoom(self, factor: float) -> None:
        """Come nearer (factor above 1) or go away, around the middle."""
        self._fitted = False
        self.box.scaleBy((1 / factor, 1 / factor))
        self._on_transform()

    def bring(self, node: int) -> None:
        """Move the view so that a node is in it, if it is not."""
        place, (width, height) = self.place_of(node), self.room
        if self.drawing is not None and not QRectF(8, 8, width - 16, height - 16).contains(place):
            layout = self.drawing.layout
            self._centre_at(QPointF(layout.x[node], layout.y[node]))

    def _centre_at(self, place: QPointF) -> None:
        (left, right), (low, high) = self.box.viewRange()
        self._fitted = False
        away = place.x() - (left + right) / 2, place.y() - (low + high) / 2
        self.box.translateBy(x=away[0], y=away[1])
        self._on_transform()

    def fit(self) -> None:
        """Show the whole circuit."""
        self._fitted = True
        if self.drawing is not None:
            layout = self.drawing.layout
            self.box.setRange(QRectF(0, 0, layout.width, layout.height), padding=0)
            self._on_transform()

    def finish(self) -> None:
        """Complete every pending drawing now."""
        self.edges.finish()
        self.path_edges.finish()
        self._arrange_labels()

    def place_of(self, node: int) -> QPointF:
        """Where a node lies in the view's viewport, in pixels."""
        if self.drawing is None:
            return QPointF()
        layout = self.drawing.layout
        return self._to_view().map(QPointF(layout.x[node], layout.y[node]))

    def middle_of(self, edge: int) -> QPointF:
        """A place on an edge in the view's viewport, in pixels."""
        if self.drawing is None:
            return QPointF()
        x, y = self.drawing.curves.sampled(3)[edge, 1]
        return self._to_view().map(QPointF(x, y))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A new size asks for a new layout; a cursor that leaves takes its tool tip along."""
        if event.type() == QEvent.Type.Resize:
            self._show_tokens()
            self.resized.emit()
            self.minimap.put(self.view.viewport().size())
        elif isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            # The scene's own signal leaves out moves that follow quickly, even the last one.
            if event.buttons() == Qt.MouseButton.NoButton:
                self._on_hover(self.view.mapToScene(event.position().toPoint()))
        elif event.type() == QEvent.Type.Leave:
            self._hover(None, None)
        return super().eventFilter(watched, event)

    def _to_view(self) -> QTransform:
        # childTransform brings the box up to date; its scene transform lags until it is painted.
        item: QTransform = self.box.childTransform() * self.box.sceneTransform()
        to_view: QTransform = item * self.view.viewportTransform()
        return to_view

    def _on_transform(self, *_: object) -> None:
        to_view = self._to_view()
        # Nodes in the moving picture grow with it; new glyphs are made when the view is still.
        if not self.picture.serves(to_view, QRectF(self.view.viewport().rect())):
            self.nodes.set_scale(to_view.m11())
        self.token_axis.set_view(to_view.m11(), to_view.dx())
        self.layer_axis.set_view(to_view.m22(), to_view.dy())
        self._settle.start()
        (left, right), (low, high) = self.box.viewRange()
        self.minimap.set_frame(QRectF(left, low, right - left, high - low))

    def _on_renewed(self) -> None:
        self.nodes.set_scale(self._to_view().m11())

    def _on_moved(self, axes: object = None) -> None:
        self._fitted = False
        self.tip.hide()

    def _on_hover(self, place: QPointF) -> None:
        node, edge = self._under(place)
        self._hover(node, edge, place)

    def _hover(self, node: int | None, edge: int | None, place: QPointF | None = None) -> None:
        self.node_hovered.emit(-1 if node is None else node)
        over = node is not None or edge is not None
        shape = Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor
        self.view.viewport().setCursor(shape)
        if self.drawing is None or place is None or not over:
            self.tip.hide()
        elif node is not None:
            notes = self.drawing.node_notes
            tip = self.tips[0](self.drawing.circuit, node) if notes is None else notes(node)
            self.tip.tell(tip, place)
        elif edge is not None:
            change, notes = self.drawing.change(edge), self.drawing.edge_notes
            plain = self.tips[1](self.drawing.circuit, edge, change)
            self.tip.tell(plain if notes is None else notes(edge), place)

    def _on_click(self, event: Any) -> None:
        if self.drawing is None:
            return
        node, edge = self._under(event.scenePos())
        if event.button() == Qt.MouseButton.RightButton:
            at = event.screenPos().toPoint()
            self.menu_asked.emit(*(-1 if row is None else row for row in (node, edge)), at)
            event.accept()
            return
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if event.double():
            self.fit()
        elif node is not None and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.node_added.emit(node)
        elif node is not None:
            self.node_clicked.emit(node)
        elif edge is not None:
            self.edge_clicked.emit(edge)
        else:
            self.empty_clicked.emit()
        event.accept()

    def _on_band(self, band: QRectF) -> None:
        if self.drawing is not None:
            x, y = self.drawing.layout.x, self.drawing.layout.y
            inside = (x >= band.left()) & (x <= band.right())
            inside &= (y >= band.top()) & (y <= band.bottom())
            self.nodes_banded.emit(tuple(np.flatnonzero(inside).tolist()))

    def _under(self, place: QPointF) -> tuple[int | None, int | None]:
        if self.drawing is None:
            return None, None
        if self._hits is None:
            shown = min(_HIT_EDGES, self.drawing.n_edges)
            self._hits = HitIndex(self.drawing.layout, self.drawing.curves, shown)
        at = self.box.mapSceneToView(place)
        node = self._hits.node_at(at.x(), at.y(), self.scale)
        return node, None if node is not None else self._hits.edge_at(at.x(), at.y(), self.scale)

    def _name_axes(self) -> None:
        if self.drawing is None:
            self.token_axis.set_names((), np.zeros(0), ())
            self.layer_axis.set_names((), np.zeros(0), ())
            return
        layout, circuit = self.drawing.layout, self.drawing.circuit
        held = range(len(layout.tokens)) if layout.by_head else circuit.node_position.tolist()
        self.token_axis.set_names(layout.tokens, layout.columns, held)
        self._show_tokens()
        self.token_axis.setEnabled(not layout.by_head)  # heads of no layer are nothing to select
        layers = [row for row, layer in enumerate(layout.row_layers) if layer is not None]
        rows = range(len(layout.rows))
        self.layer_axis.set_names(layout.row_names, layout.rows, rows, layers)

    def _show_tokens(self) -> None:
        """Tokens stand below where the circuit has some, and there is room for both."""
        units = self.drawing is not None and unit_layers(self.drawing.circuit)
        self.token_axis.setVisible(not units and self.height() >= _ROOM_FOR_TOKENS)

    def _limit_view(self) -> None:
        if self.drawing is None:
            return
        width, height = self.drawing.layout.width, self.drawing.layout.height
        self.box.setLimits(
            xMin=-0.3 * width, xMax=1.3 * width, yMin=-0.3 * height, yMax=1.3 * height,
            minXRange=width / 30, minYRange=height / 30,
        )  # fmt: skip

    def _arrange_labels(self) -> None:
        if self.drawing is not None:
            bare, circuit = not len(self.drawing.layout.columns), self.drawing.circuit
            order = label_order(circuit, self._focus, self._node, embeddings=bare)
            self.labels.arrange(order, self._to_view(), self.room)
            if self._with_weights:
                mask = None if self._focus is None else self._focus.edges
                covered = self.labels.boxes(self._to_view())
                self.weights.arrange(mask, self._to_view(), self.room, covered)
            else:
                self.weights.clear()


def _bounds(drawing: Drawing) -> QRectF:
    layout = drawing.layout
    # Curves swing out beyond the columns a little.
    room = QRectF(0, 0, layout.width, layout.height)
    return room.adjusted(-60, -60, 60, 60)
