"""What stands above and below the circuit: the metric's facts, and the two sliders."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_text import Fact
from microtome_desktop.presenters.circuit_view import NODES, Placing, Rule, View
from microtome_desktop.presenters.edited_graph import Side
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.icons import icon
from microtome_desktop.views.text_flow import drop, flow, renew, text_label

_WORDS_FROM = 860  # pixels of the bar from which the buttons have their names beside them
_LINE = 24  # of every part: the canvas below must not move when another part is shown

_BY_SIZE = "By size, since this graph has no order from input to output"
_TIPS = {  # of both sliders
    Rule.COMPONENTS: (
        "How many heads and MLPs are kept, by influence",
        "The strongest edges that carry this share of the influence are kept",
    ),
    Rule.INFLUENCE: (
        "Nodes that have this share of the influence together; tokens and outputs always",
        "Edges that carry this share of the influence together; what then feeds nothing goes",
    ),
    Rule.STRENGTH: (
        f"{_BY_SIZE}: nodes whose edges have this share of all weights together",
        f"{_BY_SIZE}: edges that have this share of the weights together",
    ),
}


class FactLine(QWidget):
    """The metric with its value, then what to know about it; warnings in a warm colour."""

    reproduce_asked = Signal()
    values_only_asked = Signal(bool)
    features_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.headline = text_label("", colours.TEXT, 13)
        self.facts: list[QLabel] = []
        self._told: tuple[Fact, ...] = ()
        self.values_only = QCheckBox("values only")
        self.button = QPushButton("Do these nodes suffice?")
        self.features = QPushButton("Feature graph")
        for low in (self.button, self.features):
            low.setObjectName("low")
        self.features.hide()
        self.side = Choice()
        self.side.setObjectName("edited_side")
        self.side.setAccessibleName("side of the edits")
        self.side.setToolTip("The graph without the edits of features, with them, or the change")
        self.side.addItems([side.value for side in Side])
        self.side.hide()
        for part in (
            self.headline, self.values_only, self.button, self.features, self.side
        ):  # fmt: skip
            part.setFixedHeight(_LINE)
        self._row = flow(self, top=8)
        self._row.addWidget(self.headline)
        self._row.addWidget(self.side)
        self._row.addWidget(self.values_only)
        self._row.addWidget(self.button)
        self._row.addWidget(self.features)
        self.features.clicked.connect(self.features_asked)
        self.button.clicked.connect(self.reproduce_asked)
        # Clicked, not toggled: showing a result's mode must not ask for a run.
        self.values_only.clicked.connect(self.values_only_asked)

    def tell(self, metric: str, facts: Sequence[Fact]) -> None:
        """Show the metric and its facts; the tool tip explains each."""
        self.headline.setText(metric)
        if tuple(facts) == self._told:
            return
        self._told = tuple(facts)
        for label in self.facts:
            drop(self._row, label)
        self.facts = []
        for fact in facts:
            colour = colours.WARM if fact.warning else colours.TEXT_DIM
            label = text_label(f"⚠ {fact.text}" if fact.warning else fact.text, colour)
            label.setToolTip(fact.tip)
            label.setFixedHeight(_LINE)
            self.facts.append(label)
            self._row.addWidget(label)
        for last in (self.side, self.values_only, self.button, self.features):
            self._row.removeWidget(last)
            self._row.addWidget(last)
        renew(self, self._row)

    def set_values_only(self, on: bool, enabled: bool, tip: str) -> None:
        """Show which mode the circuit was computed in, and whether another can be asked for."""
        self.values_only.setChecked(on)
        self.values_only.setEnabled(enabled)
        self.values_only.setToolTip(tip)


class Controls(QWidget):
    """Two sliders, the switches, the views. Emits every move; who listens throttles."""

    nodes_moved = Signal(int)  # a count of nodes, or percent of a share
    share_moved = Signal(float)
    settled = Signal()  # a slider was let go
    downstream_changed = Signal(bool)
    fit_asked = Signal()
    search_asked = Signal()
    compact_asked = Signal()
    weights_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rule = Rule.COMPONENTS
        self.nodes = _slider("nodes", *NODES, View().nodes)
        self.edges = _slider("edge_share", 0, 100, round(100 * View().edge_share))
        self._explain()
        self.node_value, self.edge_value = _number(), _number()
        self.fit = QPushButton("Fit")
        self.fit.setFixedWidth(42)
        self.fit.setToolTip("Show the whole circuit (F, or a double click)")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 10, 8)
        row.setSpacing(6)
        for title, slider, value in (
            ("Nodes", self.nodes, self.node_value), ("Edges", self.edges, self.edge_value)
        ):  # fmt: skip
            row.addWidget(text_label(title, colours.TEXT_DIM))
            row.addWidget(slider, 1)
            row.addWidget(value)
        feeds = "What it feeds: beside what feeds the selected node, show what it feeds"
        self.downstream = _tool("mdi6.source-branch", "Feeds", feeds, checkable=True)
        self.search = _tool("mdi6.text-search", "Find", "Find in the circuit")
        self.compact = _tool(
            "mdi6.arrow-collapse-horizontal", "Compact", "Compact layout", checkable=True
        )
        self.weights = _tool(
            "mdi6.numeric", "Weights", "Write the weights onto the edges", checkable=True
        )
        self.views = _tool("mdi6.bookmark-outline", "Views", "Named views of the circuit")
        self.views.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._buttons = (self.downstream, self.search, self.compact, self.weights, self.views)
        for button in self._buttons:
            row.addWidget(button)
        row.addWidget(self.fit)
        self._connect()
        self._tell()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Name the buttons where there is room."""
        named = event.size().width() >= _WORDS_FROM
        style = Qt.ToolButtonStyle
        for button in self._buttons:
            button.setToolButtonStyle(
                style.ToolButtonTextBesideIcon if named else style.ToolButtonIconOnly
            )
        super().resizeEvent(event)

    def set_rule(self, rule: Rule, view: View) -> None:
        """Count by what the circuit on screen is chosen by; emits nothing."""
        if rule is not self.rule:
            self.rule = rule
            with QSignalBlocker(self.nodes):
                self.nodes.setRange(*(NODES if rule is Rule.COMPONENTS else (0, 100)))
            self._explain()
            self._set_sliders(view)

    def _explain(self) -> None:
        nodes, edges = _TIPS[self.rule]
        self.nodes.setToolTip(nodes)
        self.edges.setToolTip(edges)

    def set_view(self, view: View, *, weights: bool, downstream: bool) -> None:
        """Show what is set; emits nothing."""
        self._set_sliders(view)
        self.compact.setChecked(view.placing is Placing.COMPACT)
        self.weights.setChecked(weights)
        self.downstream.setChecked(downstream)

    def _set_sliders(self, view: View) -> None:
        shares = view.node_influence, view.edge_influence
        if self.rule is Rule.COMPONENTS:
            values = view.nodes, round(100 * view.edge_share)
        else:
            values = round(100 * shares[0]), round(100 * shares[1])
        for slider, value in zip((self.nodes, self.edges), values, strict=True):
            with QSignalBlocker(slider):
                slider.setValue(value)
        self._tell()

    def _connect(self) -> None:
        self.nodes.valueChanged.connect(self._on_nodes)
        self.edges.valueChanged.connect(self._on_edges)
        for slider in (self.nodes, self.edges):
            slider.sliderReleased.connect(self.settled)
        # Clicked, not toggled: showing what is set must not set it.
        self.downstream.clicked.connect(self.downstream_changed)
        self.fit.clicked.connect(self.fit_asked)
        self.search.clicked.connect(self.search_asked)
        self.compact.clicked.connect(self.compact_asked)
        self.weights.clicked.connect(self.weights_asked)

    def _on_nodes(self, value: int) -> None:
        self._tell()
        self.nodes_moved.emit(value)

    def _on_edges(self, value: int) -> None:
        self._tell()
        self.share_moved.emit(value / 100)

    def _tell(self) -> None:
        count, counted = self.nodes.value(), self.rule is Rule.COMPONENTS
        self.node_value.setText(f"≤ {count}" if counted else f"{count} %")
        self.edge_value.setText(f"{self.edges.value()} %")


def _tool(picture: str, name: str, tip: str, *, checkable: bool = False) -> QToolButton:
    button = QToolButton()
    button.setObjectName("tiny")
    button.setIcon(icon(picture))
    button.setText(name)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setCheckable(checkable)
    button.setFixedHeight(_LINE)
    button.setMinimumWidth(26)
    return button


def _slider(name: str, low: int, high: int, value: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setObjectName(name)
    slider.setAccessibleName(name.replace("_", " "))
    slider.setRange(low, high)
    slider.setPageStep(10)
    slider.setValue(value)
    slider.setMinimumWidth(36)
    return slider


def _number() -> QLabel:
    label = QLabel()
    label.setFont(mono_font(11))
    label.setFixedWidth(36)
    return label
