"""The circuit panel: the graph that produced the answer, to be walked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget
from superqt.utils import qdebounced, qthrottled

from microtome.records.circuit import Circuit
from microtome.records.feature_edit import FEATURE_EDIT
from microtome.records.marks import Marks
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.drawing_request import LayOut
from microtome_desktop.jobs.edit_requests import WHOLE
from microtome_desktop.jobs.requests import ReproducedShare
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters import circuit_look as looks
from microtome_desktop.presenters import circuit_text as text
from microtome_desktop.presenters.circuit import (
    Drawing,
    draw,
    drawn,
    inner_nodes,
    is_large,
    pruned,
)
from microtome_desktop.presenters.circuit_focus import focus_of
from microtome_desktop.presenters.circuit_view import View, rule_of
from microtome_desktop.presenters.circuit_walk import Way
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.edited_graph import LINE_HUES, counts
from microtome_desktop.presenters.edited_nodes import EDGE_CHANGES, n_edited
from microtome_desktop.presenters.marking import shown_as, shown_selection
from microtome_desktop.state.book import EDITS, FEATURE_EDITS
from microtome_desktop.state.exports import Table
from microtome_desktop.state.feature_nodes import shown_marks
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.circuit_acts import CircuitActs
from microtome_desktop.views.circuit_bar import Controls, FactLine
from microtome_desktop.views.circuit_canvas import CircuitCanvas
from microtome_desktop.views.circuit_edits import CircuitEdits
from microtome_desktop.views.circuit_facts import ask_values_only, tell_facts
from microtome_desktop.views.circuit_legend import Legend
from microtome_desktop.views.circuit_menu import ViewsMenu
from microtome_desktop.views.circuit_picks import CircuitPicks
from microtome_desktop.views.circuit_rings import badges_of, rings_of
from microtome_desktop.views.edge_layer import LINES
from microtome_desktop.views.graph_finder import GraphFinder
from microtome_desktop.views.inline_field import InlineField
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.text_flow import EmptyState

_DRAWN = ("analyses/feature-labels", "analyses/feature-index", f"analyses/{FEATURE_EDIT}")
REPRODUCED = "reproduced-share"
_WALK = {"Up": Way.UP, "Down": Way.DOWN, "Left": Way.LEFT, "Right": Way.RIGHT, "Home": Way.HOME}
_ROOM_FOR_LEGEND = 320  # pixels of the panel's height
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
        self._pruned: View | None = None  # what it was pruned by
        self._large: Circuit | None = None  # a circuit that a worker lays out
        self._drawing: Drawing | None = None  # laid out, and on the canvas at the next turn
        self._emptying = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._emptying.timeout.connect(self._show_empty)
        self.facts, self.legend, self.controls = FactLine(), Legend(), Controls()
        self.canvas, self.empty = CircuitCanvas(), EmptyState()
        self.naming = InlineField(self.canvas)
        self.edits = CircuitEdits(context, self.canvas, self.facts)
        self.acts = CircuitActs(context, self)
        self.controls.views.setMenu(ViewsMenu(context, self.acts, self.controls.views))
        self.picks = CircuitPicks(context, self.canvas, self.acts, self, self)
        self.finder = GraphFinder(context, self.canvas, self.picks, self, self._follow)
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
        self.canvas.resized.connect(self._on_resized)
        self.facts.side.textActivated.connect(self.edits.choose)
        self.facts.features_asked.connect(partial(self.context.do, CommandId.FEATURE_GRAPH))
        self.facts.values_only_asked.connect(partial(ask_values_only, self.context))
        self.context.book.changed.connect(self._on_book)
        controls, book = self.controls, self.context.book
        controls.nodes_moved.connect(partial(looks.set_nodes, book, controls))
        controls.share_moved.connect(partial(looks.set_share, book, controls))
        controls.downstream_changed.connect(partial(looks.DOWNSTREAM.set, book))
        controls.settled.connect(book.settle)
        controls.fit_asked.connect(self.canvas.fit)
        controls.search_asked.connect(self.finder.field.open)
        controls.compact_asked.connect(self.acts.switch_layout)
        controls.weights_asked.connect(self.acts.switch_weights)
        self.facts.reproduce_asked.connect(self._ask_reproduced)
        self._key("F").activated.connect(self.canvas.fit)
        for key, way in _WALK.items():
            self._key(key).activated.connect(partial(self.picks.walk, way))

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

    @property
    def _marks(self) -> Marks:
        session, marks = self.context.workspace.session, self.context.book.marks
        return marks if session is None else shown_marks(session, marks)

    def exported_table(self) -> Callable[[], Table] | str:
        """The nodes and edges that the sliders ask for."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return partial(exports.circuit_table, session, self._view)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The circuit as the sliders prune it."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return why_not(session, "circuit") or as_python.circuit_lines(session, self._view)

    def show_session(self) -> None:
        """Draw the session's circuit, or what to do to get one."""
        self.canvas.token_axis.set_groups(self.group_colours)
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
        elif part == "marks" or part.startswith(_DRAWN):
            self.canvas.token_axis.set_groups(self.group_colours)
            self._prune()
        elif part == f"analyses/{REPRODUCED}":
            self._tell()
        elif part in {EDITS, FEATURE_EDITS}:
            self._mark_edits()
        elif part in {WHOLE, f"analyses/{EDGE_CHANGES}"}:
            self.edits.show_changes()

    def show_model(self) -> None:
        """What needs the model says why it cannot."""
        self._tell()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Focus what feeds the selected node; mark the selected token and layer."""
        if changed & {"node", "edge", "layer", "head", "others"}:
            self._follow()
        elif changed & {"position", "hovered_position"}:
            self._mark_place()

    def view_state(self) -> dict[str, Any]:
        """The sliders and switches, as plain JSON for a session's ``view``."""
        return looks.as_json(self.context.book)

    def restore_view(self, held: dict[str, Any]) -> None:
        """Put sliders and switches where a session's ``view`` had them."""
        self.context.book.take_looks(looks.understood(held))

    @property
    def _view(self) -> View:
        return looks.view_of(self.context.book)

    def _on_book(self, name: str) -> None:
        if name.startswith("circuit."):
            self.context.later((self, "look"), self._show_looks)

    def _show_looks(self) -> None:
        book = self.context.book
        weights, downstream = looks.WEIGHTS.of(book), looks.DOWNSTREAM.of(book)
        self.controls.set_view(self._view, weights=weights, downstream=downstream)
        self.canvas.show_weights(weights)
        if self._view != self._pruned or self.edits.stale:
            self._prune_soon()
        self._follow()

    def finish_drawing(self) -> None:
        """Complete what is drawn little by little, for pictures."""
        self.canvas.finish()

    @qthrottled(timeout=40)
    def _prune_soon(self) -> None:
        self._prune()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room it is the circuit's; the tool tips name what is drawn."""
        self.legend.setVisible(self.height() >= _ROOM_FOR_LEGEND)
        super().resizeEvent(event)

    def _on_resized(self) -> None:
        self.finder.field.put(self.canvas.size())
        self._lay_out_soon()

    @qdebounced(timeout=60)
    def _lay_out_soon(self) -> None:
        if not self._fills_room():
            (self._lay_out if self._large is not self.explored else self._prune)()

    def _fills_room(self) -> bool:
        drawing = self._drawing
        return drawing is None or (drawing.layout.width, drawing.layout.height) == self.canvas.room

    def _prune(self) -> None:
        explored, view = self.explored, self._view
        self._pruned = view
        if explored is not None:
            self.controls.set_rule(rule_of(explored), view)
        if explored is not None and is_large(explored):
            self._ask_drawing(explored)
            return
        self._circuit = None
        if explored is not None and explored.n_nodes:
            self._circuit = pruned(explored, view, self._marks)
        self.context.later((self, "lay out"), self._lay_out)

    def _ask_drawing(self, explored: Circuit) -> None:
        """Let a worker prune and lay out; until then what is drawn of this circuit stays."""
        if self._large is not explored:
            self._large, self._circuit, self._drawing = explored, None, None
            self.empty.tell(*text.laying_out_text(explored))
            self._emptying.start()
        marks, room = self._marks, self.canvas.room
        self.context.ask(LayOut(partial(drawn, explored, self._view, marks, room), self._take))

    def _take(self, drawing: Drawing) -> None:
        self._circuit = drawing.circuit
        if not drawing.circuit.n_nodes:
            self._lay_out()
            return
        self._emptying.stop()
        self._stack.setCurrentIndex(1)
        self._drawing = self.edits.applied(drawing, self._marks)
        self._tell(drawing.n_edges)
        self._column.activate()
        self.context.later((self, "show"), self._show_drawing)
        self._lay_out_soon()

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
        self._drawing = self._drawn(circuit)
        self._tell(self._drawing.n_edges)
        self._column.activate()  # what was told may have left another room
        if not self._fills_room():
            self._drawing = self._drawn(circuit)
        self.context.later((self, "show"), self._show_drawing)

    def _drawn(self, circuit: Circuit) -> Drawing:
        made = draw(circuit, *self.canvas.room, self._view.placing)
        return self.edits.applied(made, self._marks)

    def _show_drawing(self) -> None:
        if self._drawing is not None and self._drawing.circuit is self._circuit:
            self.canvas.show_drawing(self._drawing)
            self._followed = None
            self._show_badges(self._drawing.circuit)
            # A turn of its own: dimming thousands of nodes takes as long as showing them.
            large = self._large is self.explored
            self.context.later((self, "follow"), self._follow) if large else self._follow()

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
        drawn, moved = text.drawn_text(circuit, explored, n_edges), counts(self._drawing)
        edited, hues = n_edited(circuit, session.marks), LINE_HUES if moved else None
        self.legend.tell(circuit, drawn, edited, hues, moved, crowd=n_edges > LINES)
        kept = inner_nodes(circuit, explored, session.marks)
        tell_facts(self.facts, self.context, explored, session.analyses.get(REPRODUCED), kept)

    def _follow(self, *_: object) -> None:
        """Bring focus, rings and bands in line with the selection."""
        circuit, book = self._circuit, self.context.book
        selected = shown_selection(book.marks, self.context.selection.current)
        downstream = bool(looks.DOWNSTREAM.of(book))
        followed = (selected, downstream, self.finder.found)
        shown = self.canvas.drawing
        if circuit is None or shown is None or shown.circuit is not circuit:
            return
        if followed == self._followed:
            return
        self._followed = followed
        focus = focus_of(circuit, selected, downstream=downstream)
        drawn = selected.node in circuit.node_id
        node = circuit.row(selected.node) if selected.node is not None and drawn else None
        rings = rings_of(circuit, selected, self.finder.found, node)
        self.canvas.set_focus(focus, node, rings)
        self._mark_place()

    def _show_badges(self, circuit: Circuit) -> None:
        self.canvas.set_badges(badges_of(circuit, self.context.book.marks))

    def _mark_edits(self) -> None:
        if self._circuit is not None and self.canvas.drawing is not None:
            self._show_badges(self.canvas.drawing.circuit)
            self._tell()

    def _mark_place(self) -> None:
        selected = self.context.selection.current
        drawing = self.canvas.drawing
        row = None if drawing is None else drawing.layout.row_of(selected.layer)
        self.canvas.set_place(selected.position, row, selected.hovered_position)

    # ------------------------------------------------------------ what the acts need

    @property
    def shown(self) -> Circuit | None:
        """The circuit that is drawn."""
        return self._circuit

    @property
    def frame(self) -> QRectF | None:
        """The part of the layout in view, None for all of it."""
        return self.canvas.frame

    def show_frame(self, frame: QRectF | None) -> None:
        """Show a part of the layout, once it is drawn."""
        self.context.later((self, "frame"), partial(self.canvas.show_frame, frame))

    def ask_name(self, hint: str, text: str, node: str, take: Callable[[str], None]) -> None:
        """Ask for a name beside a node, or in the middle of the canvas."""
        shown = shown_as(self.context.book.marks, node)
        known = self._circuit is not None and shown in self._circuit.node_id
        place = self.canvas.rect().center()
        if known and self._circuit is not None and shown is not None:
            place = self.canvas.place_of(self._circuit.row(shown)).toPoint()
            place = self.canvas.view.viewport().mapTo(self.canvas, place)
        self.naming.ask(hint, text, place, take)

    # ------------------------------------------------------------ requests

    def _ask_reproduced(self) -> None:
        if self._circuit is not None:
            nodes = inner_nodes(self._circuit, self.explored, self.context.book.marks)
            self.context.ask(ReproducedShare(nodes))
