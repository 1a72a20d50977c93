"""The card of the selected node: its numbers, its parts, and the real ablation one click away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedLayout,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.records.faithfulness import FAITHFULNESS
from microtome.records.feature_edit import FEATURE_WORDS
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.requests import AblateEdge, AblateNode, ExplainAttention
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.presenters.circuit_kinds import node_style
from microtome_desktop.presenters.circuit_paths import PathRow, rows_through, unread_paths
from microtome_desktop.presenters.circuit_text import empty_text
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.marking import about, group_of, group_text
from microtome_desktop.presenters.node_card import (
    Card,
    Part,
    attention_sources,
    card_of,
    edge_title,
    readers_of,
    stats,
    verification,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.feature_nodes import shown_marks
from microtome_desktop.state.made_by import names_model, shows_features
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.node_card_blocks import Check, Section, Stats
from microtome_desktop.views.node_card_feature import FeaturePart
from microtome_desktop.views.node_card_tables import (
    part_cells,
    path_cells,
    reader_cells,
    source_cells,
)
from microtome_desktop.views.node_layer import glyph
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.text_flow import EmptyState
from microtome_desktop.views.unit_curve import UnitCurve

_NAMES = ("analyses/feature-labels", "analyses/feature-index")  # what features are called by
_PARTS = ("at", "kind", "weight", "share")
_MOST_PARTS = 500  # of very many edges each way
_INCOMING, _OUTGOING, _WHY, _EDGE, _PATHS = range(5)  # the tabs
_ANSWERS = {"analyses/why/": _WHY, "analyses/why-edge/": _EDGE, "analyses/paths-": _PATHS}


class NodeCardPanel(Panel):
    """Shows the node that is selected; a click on a part walks there or selects the edge."""

    name = "node_card"
    title = "Node"
    icon = "mdi6.card-text-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._card: Card | None = None
        self.empty = EmptyState()
        self.heading, self.description = ElidedLabel(), ElidedLabel()
        self._glyph = QLabel()
        self.stats = Stats()
        self.feature = FeaturePart(context)
        self.curve = UnitCurve(context)
        self.node_check = Check("Ablate this node for real")
        self.edge_check = Check("Ablate this edge for real")
        self.reason = QLabel()
        self.incoming = Section("Incoming parts", ("from", *_PARTS), "incoming", "weight")
        self.outgoing = Section("Outgoing parts", ("to", *_PARTS), "outgoing", "weight")
        terms = ("query reads", "key reads", "score")
        self.sources = Section("Why it looks there", terms, "why", "score")
        readers = ("read on by", "as", "weight")
        self.readers = Section("This edge", readers, "why_edge", "weight")
        self.paths = Section("Paths", ("path", "effect", "share"), "paths", "effect")
        self.why = QPushButton("Why does it look there?")
        self.why_edge = QPushButton("Why this edge?")
        self.parts = QTabWidget()
        self._build()
        self._connect()
        self.show_session()

    def _build(self) -> None:
        self.heading.setObjectName("heading")  # not dimmed as elided labels are
        self.heading.setFont(text_font(16))
        self.reason.setWordWrap(True)
        self.reason.setFont(text_font(11))
        self.reason.setStyleSheet(f"color: {colours.WARM};")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._glyph)
        head.addWidget(self.heading, 1)
        head.addWidget(self.why)
        self.parts.setDocumentMode(True)
        self.why_edge.setToolTip("Split its weight by who reads on what it brings")
        self.edge_check.beside(self.why_edge)
        for section in (self.incoming, self.outgoing, self.sources, self.readers, self.paths):
            self.parts.addTab(section, section.heading)
        self._filled = QWidget()
        column = QVBoxLayout(self._filled)
        column.setContentsMargins(12, 10, 12, 8)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self.description)
        column.addWidget(self.stats)
        for part in (self.feature, self.curve, self.node_check, self.edge_check):
            column.addWidget(part)
        column.addWidget(self.reason)
        column.addWidget(self.parts, 1)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._filled)

    def _connect(self) -> None:
        self.node_check.button.clicked.connect(self._ablate_node)
        self.edge_check.button.clicked.connect(self._ablate_edge)
        self.why.clicked.connect(self._explain)
        self.why_edge.clicked.connect(self._explain_edge)
        self.incoming.table.picked.connect(self._pick_incoming)
        self.outgoing.table.picked.connect(self._pick_outgoing)

    # ------------------------------------------------------------ state → screen

    def exported_table(self) -> Callable[[], Table] | str:
        """The card's numbers and parts."""
        session = self.context.workspace.session
        if session is None or self._card is None:
            return "No node is selected."
        return partial(
            exports.node_table, session, self._card.node, self.context.selection.current.edge
        )

    def exported_lines(self) -> tuple[str, ...] | str:
        """The card's numbers."""
        session = self.context.workspace.session
        if session is None or self._card is None:
            return "No node is selected."
        return as_python.node_lines(session, self._card.node, self.context.selection.current.edge)

    def show_session(self) -> None:
        """Show the selected node of the session's circuit."""
        self._card = None
        self._refresh()

    def show_part(self, part: str) -> None:
        """Show a new circuit, names and groups, or what was measured."""
        if part in {"circuit", "marks"} or part.startswith(_NAMES):
            self.show_session()
        elif part == f"analyses/{FEATURE_WORDS}":
            self._tell_findings()
        elif part.startswith(("analyses/verification", f"analyses/{FAITHFULNESS}", *_ANSWERS)):
            self._tell_findings()
            tab = next((tab for begin, tab in _ANSWERS.items() if part.startswith(begin)), None)
            if tab is not None and self.parts.isTabVisible(tab):
                self.parts.setCurrentIndex(tab)
                self.context.later((self, "answer"), self._show_answer)

    def _show_answer(self) -> None:
        """Scroll to what was asked for, where the card is higher than its place."""
        viewport = self.parentWidget()
        area = None if viewport is None else viewport.parentWidget()
        if isinstance(area, QScrollArea):
            shown = self.parts.currentWidget()
            if isinstance(shown, Section):
                area.ensureWidgetVisible(shown.table)

    def show_model(self) -> None:
        """Enable what the model makes possible."""
        self._tell_findings()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow the selected node and edge."""
        if "node" in changed:
            self._refresh()
        elif "edge" in changed:
            self._tell_findings()

    def _refresh(self) -> None:
        session = self.context.workspace.session
        circuit = None if session is None else session.circuit
        selected = self.context.selection.current.node
        if session is not None and circuit is not None:
            circuit = about(circuit, shown_marks(session), selected)
        self._card = None if circuit is None else card_of(circuit, selected, _MOST_PARTS)
        self._stack.setCurrentWidget(self.empty if self._card is None else self._filled)
        if self._card is None:
            reason = why_not(session, "circuit")
            none, _ = empty_text(session, self.context.workspace.offline)
            headline = "No node selected" if circuit is not None else none
            advice = "Click a node of the circuit." if circuit is not None else reason
            if selected is not None and circuit is not None:
                headline, advice = f"{selected} has no card", "It is not part of this circuit."
            self.empty.tell(headline, advice)
            return
        self._tell_card(self._card)
        self._tell_findings()

    def _tell_card(self, card: Card) -> None:
        self._glyph.setPixmap(glyph(node_style(card.kind), 14, self.devicePixelRatioF()))
        self.heading.setText(card.title)
        self.description.setText(self._described(card))
        self.stats.tell(stats(card))
        groups = self._groups_of_nodes()
        sides = zip((self.incoming, self.outgoing), (card.incoming, card.outgoing), card.left_out,
                    strict=True)  # fmt: skip
        for section, parts, more in sides:
            cells = [part_cells(part, groups.get(part.node, "")) for part in parts]
            said = [f"The strongest {len(parts):,}; {more:,} more."] if more else []
            said += ["Shares are of the sizes of all weights."] if card.by_weight and parts else []
            section.tell(cells, " ".join(said))
        for number, section in enumerate((self.incoming, self.outgoing)):
            self.parts.setTabText(number, section.heading)
        # The metric feeds nothing and a token is fed by nothing: no empty table is shown first.
        if bool(card.incoming) != bool(card.outgoing):
            self.parts.setCurrentIndex(_INCOMING if card.incoming else _OUTGOING)

    def _groups_of_nodes(self) -> dict[str, str]:
        """Node -> colour, for nodes at a token that is in a group of points."""
        session, groups = self.context.workspace.session, self.group_colours
        if session is None or session.circuit is None or not groups:
            return {}
        places = zip(session.circuit.node_id, session.circuit.node_position.tolist(), strict=True)
        return {node: groups[place] for node, place in places if place in groups}

    def _described(self, card: Card) -> str:
        session = self.context.workspace.session
        if session is None or session.circuit is None:
            return card.description
        group = group_of(session.marks, card.node)
        return card.description if group is None else group_text(session.circuit, group)

    def _tell_findings(self) -> None:
        """What was measured about the node and the selected edge, and what can be."""
        session, card = self.context.workspace.session, self._card
        if session is None or session.circuit is None or card is None:
            return
        offline = self.context.workspace.offline
        self.reason.setVisible(offline)
        named = names_model(session)
        model = f"the model {session.model.name}, which is not loaded" if named else "its model"
        self.reason.setText(f"Ablating and explaining need {model}.")
        self.feature.tell(card.node)
        self.curve.tell(card)
        features = shows_features(session)
        self.node_check.setVisible(card.can_be_ablated and not features)
        self.node_check.tell("", verification(session.analyses, card.node), not offline)
        edge = self.context.selection.current.edge
        held = about(session.circuit, shown_marks(session), card.node)
        line = None if edge is None else edge_title(held, edge)
        self.edge_check.setVisible(line is not None and not features and not card.of_units)
        if edge is not None and line is not None:
            self.edge_check.tell(line, verification(session.analyses, edge), not offline)
        self._tell_sources(card, offline)
        self._tell_readers(edge if line is not None else None, offline)
        self._tell_paths(card)
        self._mark_edge(card, edge)

    def _tell_readers(self, edge: tuple[str, str, int] | None, offline: bool) -> None:
        """Who reads on what the selected edge brings, once that was asked for."""
        session = self.context.workspace.session
        found = None if session is None or edge is None else readers_of(session.analyses, edge)
        self.why_edge.setVisible(found is None or found.unread)
        self.why_edge.setEnabled(not offline)
        self.parts.setTabVisible(_EDGE, found is not None)
        if found is not None:
            self.readers.tell([reader_cells(row) for row in found.rows], found.caption)

    def _tell_paths(self, card: Card) -> None:
        """The patched paths that go through the node."""
        session = self.context.workspace.session
        rows: tuple[PathRow, ...] = ()
        lost = "" if session is None else unread_paths(session.analyses)
        if session is not None and session.circuit is not None:
            rows = rows_through(session.analyses, session.circuit, card.node)
        self.parts.setTabVisible(_PATHS, bool(rows or lost))
        self.paths.tell([path_cells(row) for row in rows], lost)
        self.parts.setTabText(_PATHS, self.paths.heading)

    def _tell_sources(self, card: Card, offline: bool) -> None:
        session = self.context.workspace.session
        found = None if session is None else attention_sources(session.analyses, card)
        self.why.setVisible(card.is_head and (found is None or found.unread))
        self.why.setEnabled(not offline)
        self.parts.setTabVisible(_WHY, card.is_head and found is not None)
        if found is not None:
            self.sources.tell([source_cells(source) for source in found.rows], found.caption)

    def _mark_edge(self, card: Card, edge: tuple[str, str, int] | None) -> None:
        for section, parts in ((self.incoming, card.incoming), (self.outgoing, card.outgoing)):
            rows = [row for row, part in enumerate(parts) if part.edge == edge]
            section.table.show_row(rows[0] if rows else None)
            if rows:
                self.parts.setCurrentWidget(section)

    # ------------------------------------------------------------ mouse → selection, requests

    def _pick_incoming(self, row: int, column: int) -> None:
        if self._card is not None:
            self._pick(self._card.incoming[row], column)

    def _pick_outgoing(self, row: int, column: int) -> None:
        if self._card is not None:
            self._pick(self._card.outgoing[row], column)

    def _pick(self, part: Part, column: int) -> None:
        """The name is a link to the node; the rest of the row selects the edge."""
        session = self.context.workspace.session
        if session is None or session.circuit is None:
            return
        if column == 0:
            chosen = selection_of(session.circuit, session.circuit.row(part.node))
            self.context.selection.update(**chosen, edge=None)
        else:
            self.context.selection.update(edge=part.edge)

    def _ablate_node(self) -> None:
        if self._card is not None:
            self.context.ask(AblateNode(self._card.node))

    def _ablate_edge(self) -> None:
        edge = self.context.selection.current.edge
        if edge is not None:
            self.context.ask(AblateEdge(*edge))

    def _explain_edge(self) -> None:
        self.context.do(CommandId.WHY_EDGE)

    def _explain(self) -> None:
        session, card = self.context.workspace.session, self._card
        if session is None or session.circuit is None or card is None:
            return
        circuit, node = session.circuit, session.circuit.row(card.node)  # a head, never a group
        numbers = (circuit.node_layer, circuit.node_head, circuit.node_position)
        self.context.ask(ExplainAttention(*(int(column[node]) for column in numbers)))
