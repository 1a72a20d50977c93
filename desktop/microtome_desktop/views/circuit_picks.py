"""The mouse and the keys on the circuit: what each selects, and the menu of a right click."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtWidgets import QMenu, QWidget

from microtome.records.circuit import OUTPUT, Circuit
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.presenters.circuit_focus import edge_name
from microtome_desktop.presenters.circuit_walk import Way, step
from microtome_desktop.presenters.marking import shown_as
from microtome_desktop.state.edit_places import node_places
from microtome_desktop.state.feature_nodes import feature_of
from microtome_desktop.views.circuit_acts import CircuitActs
from microtome_desktop.views.circuit_canvas import CircuitCanvas
from microtome_desktop.views.circuit_menu import context_menu
from microtome_desktop.views.edit_menu import edit_menu
from microtome_desktop.views.panel import PanelContext


class Drawn(Protocol):
    """Who draws the circuit."""

    @property
    def shown(self) -> Circuit | None:
        """The circuit that is drawn."""


class CircuitPicks(QObject):
    """Turns what happens on the canvas into a selection. Rows are those of the drawn circuit."""

    def __init__(
        self,
        context: PanelContext,
        canvas: CircuitCanvas,
        acts: CircuitActs,
        drawn: Drawn,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._context, self._canvas, self._acts, self._drawn = context, canvas, acts, drawn
        self._menus_on = parent
        canvas.node_clicked.connect(self.select_node)
        canvas.node_added.connect(self._add_node)
        canvas.nodes_banded.connect(self._add_nodes)
        canvas.edge_clicked.connect(self._select_edge)
        canvas.empty_clicked.connect(self._select_nothing)
        canvas.node_hovered.connect(self._hover_node)
        canvas.position_picked.connect(self._select_position)
        canvas.row_picked.connect(self._select_row)
        canvas.menu_asked.connect(self._open_menu)

    def select_node(self, node: int) -> None:
        if self._drawn.shown is not None:
            chosen = selection_of(self._drawn.shown, node)
            self._context.selection.update(**chosen, edge=None, others=())

    def walk(self, way: Way) -> None:
        """Go from the selected node along its strongest edge, or along its row."""
        circuit = self._drawn.shown
        selected = shown_as(self._context.book.marks, self._context.selection.current.node)
        if circuit is None:
            return
        known = selected is not None and selected in circuit.node_id
        there = step(circuit, circuit.row(selected) if known and selected else None, way)
        if there is not None:
            self.select_node(there)

    def _select_edge(self, edge: int) -> None:
        if self._drawn.shown is not None:
            self._context.selection.update(edge=edge_name(self._drawn.shown, edge))

    def _select_nothing(self) -> None:
        self._context.selection.update(node=None, edge=None, others=())

    def _select_position(self, position: int) -> None:
        same = position == self._context.selection.current.position
        self._context.selection.update(position=None if same else position)

    def _select_row(self, row: int) -> None:
        drawing = self._canvas.drawing
        layer = None if drawing is None else drawing.layout.row_layers[row]
        if layer is not None:
            same = layer == self._context.selection.current.layer
            self._context.selection.update(layer=None if same else layer)

    def _hover_node(self, node: int) -> None:
        shown, position, feature = self._drawn.shown, None, None
        if node >= 0 and shown is not None and shown.node_kind[node] != OUTPUT:
            position, feature = int(shown.node_position[node]), feature_of(shown, node)
        self._context.selection.update(hovered_position=position, hovered_feature=feature)

    def _add_node(self, node: int) -> None:
        if self._drawn.shown is not None:
            self._acts.add(self._drawn.shown.node_id[node])

    def _add_nodes(self, nodes: tuple[int, ...]) -> None:
        if self._drawn.shown is not None:
            self._acts.add_all(tuple(self._drawn.shown.node_id[node] for node in nodes))

    def _open_menu(self, node: int, edge: int, at: QPoint) -> None:
        if node >= 0 and self._drawn.shown is not None:
            if self._drawn.shown.node_id[node] not in self._acts.chosen:
                self.select_node(node)
        elif edge >= 0:
            self._select_edge(edge)
        menu = context_menu(self._context, on_node=node >= 0, parent=self._menus_on)
        self._offer_edits(menu, on_node=node >= 0)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(at)

    def _offer_edits(self, menu: QMenu, *, on_node: bool) -> None:
        session, selected = self._context.workspace.session, self._context.selection.current
        if session is None or not on_node:
            return
        places = node_places(session, (selected.node, *selected.others))
        if places:
            menu.addSeparator()
            menu.addMenu(edit_menu(self._context, places, menu))
