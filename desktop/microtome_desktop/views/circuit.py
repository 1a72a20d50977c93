"""The circuit panel: the graph that produced the answer, to be walked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget
from superqt.utils import qdebounced, qthrottled

from microtome.records.circuit import OUTPUT, Circuit
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.requests import ReproducedShare
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters import circuit_text as text
from microtome_desktop.presenters.circuit import (
    Drawing,
    View,
    draw,
    inner_nodes,
    kin,
    pruned,
    selection_of,
)
from microtome_desktop.presenters.circuit_focus import edge_name, edge_row, focus_of
from microtome_desktop.presenters.circuit_walk import Way, step
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views import colours
from microtome_desktop.views.circuit_bar import Controls, FactLine
from microtome_desktop.views.circuit_canvas import CircuitCanvas
from microtome_desktop.views.circuit_legend import Legend
from microtome_desktop.views.labels import Ring
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.text_flow import EmptyState

REPRODUCED = "reproduced-share"
_WALK = {"Up": Way.UP, "Down": Way.DOWN, "Left": Way.LEFT, "Right": Way.RIGHT, "Home": Way.HOME}
_PATIENCE_MS = 400  # how long the last circuit stays while a run computes the next


class CircuitPanel(Panel):
    """Draws the session's circuit; a click selects, the rest is dimmed."""

    name = "circuit"
    title = "Circuit"
    icon = "mdi6.graph-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._circuit: Circuit | None = None  # what is drawn: the explored circuit, pruned
        self._followed: tuple[object, ...] | None = None  # the selection that the canvas shows
        self._drawing: Drawing | None = None  # laid out, and on the canvas at the next turn
        self._emptying = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._emptying.timeout.connect(self._show_empty)
        self.facts, self.legend, self.controls = FactLine(), Legend(), Controls()
        self.canvas, self.empty = CircuitCanvas(), EmptyState()
        self._build()
        self._connect()
        self.show_session()

    def _build(self) -> None:
        self._filled = QWidget()
        column = self._column = QVBoxLayout(self._filled)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.facts)
        column.addWidget(self.legend)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.controls)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._filled)
        self.setAutoFillBackground(True)
        palette = self.palette()
        palette.setColor(palette.ColorRole.Window, colours.CARD)
        self.setPalette(palette)

    def _connect(self) -> None:
        self.canvas.node_clicked.connect(self._select_node)
        self.canvas.edge_clicked.connect(self._select_edge)
        self.canvas.empty_clicked.connect(self._select_nothing)
        self.canvas.node_hovered.connect(self._hover_node)
        self.canvas.position_picked.connect(self._select_position)
        self.canvas.row_picked.connect(self._select_row)
        self.canvas.resized.connect(self._lay_out_soon)
        self.controls.view_changed.connect(self._prune_soon)
        self.facts.values_only_asked.connect(self._ask_values_only)
        self.controls.downstream_changed.connect(self._follow)
        self.controls.fit_asked.connect(self.canvas.fit)
        self.facts.reproduce_asked.connect(self._ask_reproduced)
        self._key("F").activated.connect(self.canvas.fit)
        for key, way in _WALK.items():
            self._key(key).activated.connect(partial(self._walk, way))

    def _key(self, name: str) -> QShortcut:
        key = QShortcut(QKeySequence(name), self.canvas)
        key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        return key

    # ------------------------------------------------------------ state → screen

    @property
    def explored(self) -> Circuit | None:
        """The session's whole circuit."""
        session = self.context.workspace.session
        return None if session is None else session.circuit

    def exported_table(self) -> Callable[[], Table] | str:
        """The nodes and edges that the sliders ask for."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return partial(exports.circuit_table, session, self.controls.view)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The circuit as the sliders prune it."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return as_python.circuit_lines(session, self.controls.view)

    def show_session(self) -> None:
        """Draw the session's circuit, or what to do to get one."""
        self.canvas.fit()
        session = self.context.workspace.session
        if session is not None and self.name in session.view:
            self.restore_view(session.view[self.name])
        if session is not None and session.circuit is None and self._stack.currentIndex():
            self._emptying.start()  # in a run the next one comes soon
        self._prune()

    def show_part(self, part: str) -> None:
        """A new circuit is drawn; a new measurement is told."""
        if part == "circuit":
            self._emptying.stop()
            self._prune()
        elif part == f"analyses/{REPRODUCED}":
            self._tell()

    def show_model(self) -> None:
        """What needs the model says why it cannot."""
        self._tell()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Focus what feeds the selected node; mark the selected token and layer."""
        if changed & {"node", "edge", "layer", "head"}:
            self._follow()
        elif changed & {"position", "hovered_position"}:
            self._mark_place()

    def view_state(self) -> dict[str, Any]:
        """The sliders, as plain JSON for a session's ``view``."""
        view = self.controls.view
        return {"nodes": view.nodes, "edge_share": view.edge_share}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Put the sliders where a session's ``view`` had them."""
        now = self.controls.view
        self.controls.set_view(
            View(int(held.get("nodes", now.nodes)), float(held.get("edge_share", now.edge_share)))
        )

    def finish_drawing(self) -> None:
        """Complete what is drawn little by little, for pictures of the window."""
        self.canvas.finish()

    @qthrottled(timeout=40)
    def _prune_soon(self, view: View) -> None:
        self._prune()

    @qdebounced(timeout=60)
    def _lay_out_soon(self) -> None:
        if not self._fills_room():
            self._lay_out()

    def _fills_room(self) -> bool:
        drawing = self._drawing
        return drawing is None or (drawing.layout.width, drawing.layout.height) == self.canvas.room

    def _prune(self) -> None:
        explored = self.explored
        self._circuit = None
        if explored is not None and explored.n_nodes:
            self._circuit = pruned(explored, self.controls.view)
        self.context.later((self, "lay out"), self._lay_out)

    def _lay_out(self) -> None:
        circuit = self._circuit
        if circuit is None or not circuit.n_nodes:
            self.empty.tell(
                *text.empty_text(self.context.workspace.session, self.context.workspace.offline)
            )
            if not self._emptying.isActive():
                self._show_empty()
            return
        self._emptying.stop()
        self._stack.setCurrentIndex(1)
        drawing = draw(circuit, *self.canvas.room)
        self._tell(drawing.n_edges)
        self._column.activate()  # what was told may have left another room
        if (drawing.layout.width, drawing.layout.height) != self.canvas.room:
            drawing = draw(circuit, *self.canvas.room)
        self._drawing = drawing
        self.context.later((self, "show"), self._show_drawing)

    def _show_drawing(self) -> None:
        if self._drawing is not None and self._drawing.circuit is self._circuit:
            self.canvas.show_drawing(self._drawing)
            self._followed = None
            self._follow()

    def _show_empty(self) -> None:
        self._emptying.stop()
        self._drawing = None
        self.canvas.show_drawing(None)
        self._stack.setCurrentIndex(0)

    def _tell(self, n_edges: int | None = None) -> None:
        session, circuit, explored = self.context.workspace.session, self._circuit, self.explored
        if n_edges is None:
            n_edges = self.canvas.drawing.n_edges if self.canvas.drawing is not None else 0
        if session is None or circuit is None or explored is None:
            self.legend.tell(None, "")
            return
        drawn = text.drawn_text(circuit, explored, n_edges)
        self.legend.tell(circuit, drawn)
        measured = text.reproduced_text(session.analyses.get(REPRODUCED), inner_nodes(circuit))
        known = text.facts(explored)
        self.facts.tell(
            text.metric_text(explored), known if measured is None else (*known, measured)
        )
        offline = self.context.workspace.offline
        why = "The model of this session is not loaded." if offline else ""
        self.facts.button.setVisible(measured is None)
        self.facts.button.setEnabled(not offline)
        self.facts.button.setToolTip(why or "Run once with all other heads and MLPs replaced.")
        mode = "Take attention patterns as they were: no key and query edges. Runs again."
        values_only = bool(explored.metadata.get("values_only"))
        self.facts.set_values_only(values_only, not offline, why or mode)

    def _follow(self, *_: object) -> None:
        """Bring focus, rings and bands in line with the selection."""
        circuit, selected = self._circuit, self.context.selection.current
        downstream = self.controls.downstream.isChecked()
        followed = (selected.node, selected.edge, selected.layer, selected.head, downstream)
        shown = self.canvas.drawing
        if circuit is None or shown is None or shown.circuit is not circuit:
            return
        if followed == self._followed:
            return
        self._followed = followed
        focus = focus_of(circuit, selected, downstream=downstream)
        drawn = selected.node in circuit.node_id
        node = circuit.row(selected.node) if selected.node is not None and drawn else None
        relatives = kin(circuit, selected.layer, selected.head)
        rings = [Ring(row, 2.0, 1.0, colours.TEXT_DIM) for row in relatives if row != node]
        edge = edge_row(circuit, selected.edge)
        if edge is not None:
            ends = (int(circuit.edge_source[edge]), int(circuit.edge_target[edge]))
            rings += [Ring(row, 3.0, 1.5, colours.ACCENT) for row in ends if row != node]
        self.canvas.set_focus(focus, node, tuple(rings))
        self._mark_place()

    def _mark_place(self) -> None:
        selected = self.context.selection.current
        row = None if selected.layer is None else selected.layer + 1
        self.canvas.set_place(selected.position, row, selected.hovered_position)

    # ------------------------------------------------------------ mouse → selection

    def _select_node(self, node: int) -> None:
        if self._circuit is not None:
            self.context.selection.update(**selection_of(self._circuit, node), edge=None)

    def _walk(self, way: Way) -> None:
        """Go from the selected node along its strongest edge, or along its row."""
        circuit, selected = self._circuit, self.context.selection.current.node
        if circuit is None:
            return
        known = selected is not None and selected in circuit.node_id
        there = step(circuit, circuit.row(selected) if known and selected else None, way)
        if there is not None:
            self._select_node(there)

    def _select_edge(self, edge: int) -> None:
        if self._circuit is not None:
            self.context.selection.update(edge=edge_name(self._circuit, edge))

    def _select_nothing(self) -> None:
        self.context.selection.update(node=None, edge=None)

    def _select_position(self, position: int) -> None:
        same = position == self.context.selection.current.position
        self.context.selection.update(position=None if same else position)

    def _select_row(self, row: int) -> None:
        drawing = self.canvas.drawing
        if drawing is None or not 0 < row < len(drawing.layout.rows) - 1:
            return
        same = row - 1 == self.context.selection.current.layer
        self.context.selection.update(layer=None if same else row - 1)

    def _hover_node(self, node: int) -> None:
        position = None
        if node >= 0 and self._circuit is not None and self._circuit.node_kind[node] != OUTPUT:
            position = int(self._circuit.node_position[node])
        self.context.selection.update(hovered_position=position)

    # ------------------------------------------------------------ requests

    def _ask_reproduced(self) -> None:
        if self._circuit is not None:
            self.context.ask(ReproducedShare(inner_nodes(self._circuit)))

    def _ask_values_only(self, on: bool) -> None:
        session = self.context.workspace.session
        if session is not None and session.question is not None:
            self.context.draft.update(values_only=on)  # for the runs to come
            self.context.ask(Examine(replace(session.question, values_only=on)))
