"""Edits of features of the graph on screen: the list, and what they do to it and to the answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome.records.feature_edit import FEATURE_EDIT, FEATURE_MODES, FEATURE_TEXT
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.feature_edit_requests import WriteWithFeatures
from microtome_desktop.jobs.generate_request import Writing
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.presenters.circuit_text import signed
from microtome_desktop.presenters.feature_edits import (
    Moved,
    effects_table,
    feature_effects,
    feature_lines,
    feature_texts,
    moved_nodes,
)
from microtome_desktop.presenters.feature_graph_python import feature_edit_lines
from microtome_desktop.presenters.predictions import heading
from microtome_desktop.presenters.writing import text_of
from microtome_desktop.state.book import FEATURE_EDITS
from microtome_desktop.state.exports import Table
from microtome_desktop.state.feature_acts import acting, changed
from microtome_desktop.state.feature_sets import why_no_feature_edits
from microtome_desktop.state.made_by import shows_features
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.edit_effect import EffectView
from microtome_desktop.views.edit_writing import WritingView
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.feature_edit_list import FeatureEditList
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.plain_table import PlainTable

_MODES = {
    "frozen": ("direct", "All but the edits stays as it was: what the edges of the graph say"),
    "free": ("free", "The model runs with the edits, and all behind them is computed anew"),
}  # fmt: skip
_MOVED = (
    ("node", "Nodes of the graph that the edits move most"),
    ("before", "Activation, or logit over the mean, without the edits"),
    ("after", "With the edits"),
)
_ROW_HEIGHT = 21
_TIP = Qt.ItemDataRole.ToolTipRole


class FeatureEditsPanel(Panel):
    """Edits to switch, change and remove; beneath, predictions, nodes and text with them."""

    name = "feature_edits"
    title = "Feature edits"
    icon = "mdi6.hexagon-slice-3"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._moved: tuple[Moved, ...] = ()
        self.mode = Choice()
        self.mode.setObjectName("feature_mode")
        self.mode.setAccessibleName("how the edits act")
        for name in FEATURE_MODES:
            self.mode.addItem(_MODES[name][0], name)
            self.mode.setItemData(self.mode.count() - 1, _MODES[name][1], _TIP)
        self.said = ElidedLabel()
        self.after = QPushButton("Graph with the edits")
        self.clear = QToolButton()
        self.clear.setObjectName("tiny")
        self.clear.setIcon(icon("mdi6.playlist-remove"))
        self.clear.setToolTip("Remove all edits of features")
        self.clear.setAccessibleName("remove all edits of features")
        self.list = FeatureEditList()
        self.effect, self.writing = EffectView(), WritingView()
        said = "Nodes of the graph that the edits move"
        self.moved = PlainTable(
            "moved_table", said, _MOVED, row_height=_ROW_HEIGHT, widths=(72, 72)
        )
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        for page, name in ((self.effect, "Predictions"), (self.moved, "Nodes"),
                           (self.writing, "Text")):  # fmt: skip
            self.pages.addTab(page, name)
        self._lay_out()
        self._connect()
        self.show_session()

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(6)
        bar.addWidget(self.mode)
        bar.addWidget(self.said, 1)
        acts = QHBoxLayout()  # a row of their own: the panel stands in a narrow column
        acts.setSpacing(6)
        acts.addWidget(self.after, 1)
        acts.addWidget(self.clear)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setChildrenCollapsible(False)
        parts.addWidget(self.list)
        parts.addWidget(self.pages)
        parts.setStretchFactor(0, 2)
        parts.setStretchFactor(1, 3)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 8, 6)
        column.setSpacing(4)
        column.addLayout(bar)
        column.addLayout(acts)
        column.addWidget(parts, 1)

    def _connect(self) -> None:
        self.mode.activated.connect(self._on_mode)
        self.after.clicked.connect(partial(self.context.do, CommandId.FEATURE_AFTER))
        self.clear.clicked.connect(partial(self.context.do, CommandId.FEATURE_CLEAR))
        self.list.switched.connect(self._on_switched)
        self.list.amount_set.connect(self._on_amount)
        self.list.placed.connect(self._on_placed)
        self.list.removed.connect(self._on_removed)
        self.writing.asked.connect(self._on_writing)
        self.moved.cellClicked.connect(self._on_node)
        self.context.trials.changed.connect(self._on_trials)
        self.context.library.changed.connect(self._on_library)

    # acts

    def _on_mode(self, number: int) -> None:
        name = FEATURE_MODES[number]
        self.context.book.mark(f"Let edits of features act {_MODES[name][0]}", feature_mode=name)

    def _change(self, title: str, rows: tuple[int, ...], **fields: object) -> None:
        edits = changed(self.context.book.marks.feature_edits, rows, **fields)
        self.context.book.mark(title, feature_edits=edits)

    def _on_switched(self, rows: tuple[int, ...], on: bool) -> None:
        self._change(f"Switch the edit of a feature {'on' if on else 'off'}", rows, on=on)

    def _on_amount(self, rows: tuple[int, ...], amount: float) -> None:
        self._change("Amount of the edit of a feature", rows, amount=amount)

    def _on_placed(self, rows: tuple[int, ...], here: bool) -> None:
        """At the tokens of the graph where the feature is active, or everywhere."""
        session = self.context.workspace.session
        circuit = None if session is None else session.circuit
        edits = list(self.context.book.marks.feature_edits)
        if circuit is None:
            return
        for row in rows:
            spec = edits[row]
            own = circuit.node_layer == spec.layer
            own &= circuit.node_feature == spec.feature
            places = tuple(sorted({int(at) for at in circuit.node_position[own]}))
            edits[row] = changed((spec,), (0,), positions=places if here else None)[0]
        title = f"Edit the feature {'here' if here else 'everywhere'}"
        self.context.book.mark(title, feature_edits=tuple(edits))

    def _on_removed(self, rows: tuple[int, ...]) -> None:
        held = self.context.book.marks.feature_edits
        left = tuple(spec for row, spec in enumerate(held) if row not in rows)
        self.context.book.mark("Remove the edit of a feature", feature_edits=left)

    def _on_writing(self, writing: Writing) -> None:
        self.context.ask(WriteWithFeatures(writing=writing))

    def _on_node(self, row: int, _column: int) -> None:
        session = self.context.workspace.session
        if session is not None and session.circuit is not None and row < len(self._moved):
            node = session.circuit.row(self._moved[row].node)
            self.context.selection.update(**selection_of(session.circuit, node), edge=None)

    def exported_table(self) -> Callable[[], Table] | str:
        """Predictions and nodes without and with the edits."""
        session = self.context.workspace.session
        return exports.NO_RUN if session is None else effects_table(session)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The edits, and what they do."""
        session = self.context.workspace.session
        return exports.NO_RUN if session is None else feature_edit_lines(session)

    # what is shown

    def show_session(self) -> None:
        """The edits of another session."""
        self._show_list()
        self._show_effect()
        self._show_texts()

    def show_part(self, part: str) -> None:
        """What was changed, undone, or has been run."""
        if part in {"marks", FEATURE_EDITS, "circuit"}:
            self._show_list()
        elif part == f"analyses/{FEATURE_EDIT}":
            self._show_effect()
        elif part == f"analyses/{FEATURE_TEXT}":
            self._show_texts()

    def show_model(self) -> None:
        """With its model, features can be edited."""
        self._show_list()

    def _on_trials(self, names: frozenset[str]) -> None:
        if "running_features" in names:
            self.context.later((self, "say"), self._say)

    def _on_library(self, shelf: object, names: frozenset[str]) -> None:
        if "transcoders" in names:
            self.context.later((self, "list"), self._show_list)

    @property
    def _reason(self) -> str:
        return why_no_feature_edits(self.context.workspace, self.context.library)

    def _show_list(self) -> None:
        session, marks = self.context.workspace.session, self.context.book.marks
        able = not self._reason
        self.list.show_lines(feature_lines(session), enabled=able)
        self.mode.setCurrentIndex(FEATURE_MODES.index(marks.feature_mode))
        self.mode.setToolTip(_MODES[marks.feature_mode][1])
        self.mode.setEnabled(able)
        self.after.setEnabled(able and bool(acting(marks)))
        self.after.setToolTip(self.context.why_not(CommandId.FEATURE_AFTER))
        self.clear.setEnabled(bool(marks.feature_edits))
        self.writing.set_able(self._reason)
        self._say()

    def _show_effect(self) -> None:
        session = self.context.workspace.session
        rows = feature_effects(session)
        self.effect.show_effects(rows, None, heading(session, None) if rows else "")
        self._moved = moved_nodes(session)
        self.moved.setRowCount(len(self._moved))
        for number, row in enumerate(self._moved):
            after = "not likely" if row.after is None else signed(round(row.after, 4))
            rises = row.after is not None and row.after > row.before
            tone = colours.EXCITES if rises else colours.INHIBITS
            cells = ((row.label, colours.TEXT), (signed(round(row.before, 4)), colours.TEXT_DIM),
                     (after, tone))  # fmt: skip
            self.moved.write(number, cells)
        self._say()

    def _show_texts(self) -> None:
        pair = feature_texts(self.context.workspace.session)
        self.writing.show_texts(text_of(*pair), text_of(*reversed(pair)))

    def _say(self) -> None:
        session, marks = self.context.workspace.session, self.context.book.marks
        text = ""
        if not shows_features(session) or (acting(marks) and self._reason):
            text = self._reason
        elif self.context.trials.running_features:
            text = "Running the edits …"
        self.said.setText(text)
