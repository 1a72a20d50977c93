"""The graph of a discovered circuit at the dial's size, on the canvas of the Circuit panel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool
from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut, Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.edges import edge_name
from microtome_desktop.presenters.circuit_focus import Focus, focus_of
from microtome_desktop.presenters.discovery_dial import Ranked
from microtome_desktop.presenters.discovery_graph import Board, Hues, edge_tip, node_tip
from microtome_desktop.presenters.edge_places import Places
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.circuit_canvas import CircuitCanvas
from microtome_desktop.views.circuit_legend import Legend
from microtome_desktop.views.edge_layer import LINES
from microtome_desktop.views.fonts import text_font

_AFTER_RESIZE_MS = 60
_ROOM_FOR_LEGEND = 200  # pixels of the height
_LEGEND_PARTS = 5  # of the height, of which the legend takes one at most


class DiscoveryGraph(QWidget):
    """Canvas, legend, and what is said where there is nothing to draw."""

    chosen = Signal(object, object)  # layer and head of a component, None where it has none
    layer_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.canvas, self.legend = CircuitCanvas(), Legend()
        self.canvas.tips = node_tip, self._edge_tip
        self.nothing = QLabel(self.canvas.view.viewport(), alignment=Qt.AlignmentFlag.AlignCenter)
        self.nothing.setObjectName("dim")
        self.nothing.setFont(text_font(13))
        self.nothing.setWordWrap(True)
        self._ranked: Ranked | None = None
        self._told: dict[str, object] = {}
        self._board: Board | None = None
        self._kept: Bool[np.ndarray, " edge"] | None = None
        self._hues: Hues | None = None
        self._colouring: Mapping[str, int] | None = None
        self._picked: str | None = None  # the node that was clicked
        self._places: Places | None = None
        self._place: tuple[int | None, int | None] = None, None
        self._fitting = QTimer(self, singleShot=True, interval=_AFTER_RESIZE_MS)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.legend)
        column.addWidget(self.canvas, 1)
        self._listen()

    def _listen(self) -> None:
        self._fitting.timeout.connect(self._lay_out)
        self.canvas.resized.connect(self._on_resized)
        self.canvas.node_clicked.connect(self._on_node)
        self.canvas.edge_clicked.connect(self._on_edge)
        self.canvas.empty_clicked.connect(self._on_empty)
        self.canvas.row_picked.connect(self._on_row)
        key = QShortcut(QKeySequence("F"), self.canvas)
        key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        key.activated.connect(self.canvas.fit)

    @property
    def _room(self) -> tuple[float, float]:
        return self.canvas.room

    def show_circuit(
        self, ranked: Ranked | None, analysis: Analysis | None, places: Places | None = None
    ) -> None:
        """Another circuit; it is drawn when its size is told.

        Tips of its edges say at which ``places`` they work.
        """
        self._places = places
        if ranked is self._ranked and ranked is not None:
            return
        self._ranked = ranked
        self._told = {} if analysis is None else dict(analysis.params)
        self._board = None
        self._kept = self._hues = None
        if ranked is None:
            self.canvas.show_drawing(None)
            self.legend.tell(None, "")

    def wait(self, why: str) -> None:
        """There is nothing to draw yet."""
        self.show_circuit(None, None)
        self.nothing.setText(why)
        self.nothing.show()

    def show_size(
        self,
        kept: Bool[np.ndarray, " edge"],
        hues: Hues | None = None,
        colouring: Mapping[str, int] | None = None,
    ) -> None:
        """Draw the kept edges, coloured by their signs or by ``hues`` of rows."""
        self._kept, self._hues, self._colouring = kept, hues, colouring
        self._draw()

    def _edge_tip(self, circuit: Circuit, edge: int, change: float | None = None) -> str:
        told = edge_tip(circuit, edge, change)
        if self._places is None:
            return told
        return f"{told}, summed over positions\n{self._places.told(edge_name(circuit, edge))}"

    def _lay_out(self) -> None:
        self._board = None
        self._draw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """On a low screen the graph has the room of its legend."""
        super().resizeEvent(event)
        self._show_legend()

    def _show_legend(self) -> None:
        needs = self.legend.heightForWidth(max(self.width(), 1))
        self.legend.setVisible(self.height() >= max(_ROOM_FOR_LEGEND, _LEGEND_PARTS * needs))

    def _on_resized(self) -> None:
        self._fitting.start()
        self.nothing.setGeometry(self.canvas.view.viewport().rect().adjusted(20, 0, -20, 0))

    def _draw(self) -> None:
        if self._ranked is None or self._kept is None:
            return
        if self._board is None:
            self._board = Board.of(self._ranked, self._told, *self._room)
        drawing = self._board.drawing(self._kept, self._hues)
        self.canvas.show_drawing(drawing)
        count, drawn = int(np.count_nonzero(self._kept)), drawing.circuit.n_edges
        said = f"{drawn:,} of {count:,} edges drawn" if drawn < count else f"{count:,} edges"
        said += "" if self._places is None else " · summed over positions"
        self.legend.tell(drawing.circuit, said, 0, self._colouring, crowd=drawn > LINES)
        self._show_legend()
        self.nothing.setText(
            "" if count else "No way leads from the input to the logits at this size."
        )
        self.nothing.setVisible(not count)
        self._mark()

    # the selection

    def show_place(self, layer: int | None, head: int | None) -> None:
        """Focus the component that is selected elsewhere."""
        if (layer, head) != self._place:
            self._place = layer, head
            if self._picked is not None and self._place_of(self._picked) != self._place:
                self._picked = None
        self._mark()

    def _place_of(self, node_id: str) -> tuple[int | None, int | None]:
        drawing = self.canvas.drawing
        if drawing is None or node_id not in drawing.circuit.node_id:
            return None, None
        row = drawing.circuit.row(node_id)
        layer, head = (
            int(numbers[row]) for numbers in (drawing.circuit.node_layer, drawing.circuit.node_head)
        )
        return layer if layer >= 0 else None, head if head >= 0 else None

    def _mark(self) -> None:
        drawing = self.canvas.drawing
        if drawing is None:
            return
        layer, head = self._place
        wanted = self._picked
        if wanted is None and layer is not None and head is not None:
            wanted = f"a{layer}.h{head}"
        there = wanted is not None and wanted in drawing.circuit.node_id
        focus: Focus | None = None
        if there:
            focus = focus_of(drawing.circuit, Selected(node=wanted), downstream=True)
        self.canvas.set_focus(focus, drawing.circuit.row(wanted) if there and wanted else None)
        self.canvas.set_place(None, drawing.layout.row_of(layer), None)

    def _on_node(self, row: int) -> None:
        drawing = self.canvas.drawing
        if drawing is not None:
            self._pick(drawing.circuit.node_id[row])

    def _on_edge(self, row: int) -> None:
        drawing = self.canvas.drawing
        if drawing is not None:
            self._pick(drawing.circuit.node_id[int(drawing.circuit.edge_source[row])])

    def _pick(self, node_id: str) -> None:
        self._picked = node_id
        self._place = self._place_of(node_id)
        self.chosen.emit(*self._place)
        self._mark()

    def _on_empty(self) -> None:
        self._picked, self._place = None, (None, None)
        self.chosen.emit(None, None)
        self._mark()

    def _on_row(self, row: int) -> None:
        drawing = self.canvas.drawing
        layer = None if drawing is None else drawing.layout.row_layers[row]
        if layer is not None:
            self.layer_chosen.emit(layer)
