"""What stands above and below the circuit: the metric's facts, the legend, the two sliders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from microtome.records.circuit import Circuit
from microtome_desktop.presenters.circuit import NODES, View
from microtome_desktop.presenters.circuit_kinds import EdgeStyle, edge_style
from microtome_desktop.presenters.circuit_text import Fact, edge_counts, legend_counts
from microtome_desktop.views import colours
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.node_layer import glyph

_LINE = 22  # so that labels and buttons of one line share their middle


class FactLine(QWidget):
    """The metric with its value, then what to know about it; warnings in a warm colour."""

    reproduce_asked = Signal()
    values_only_asked = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.headline = _text("", colours.TEXT, 13)
        self.facts: list[QLabel] = []
        self._told: tuple[Fact, ...] = ()
        self.values_only = QCheckBox("values only")
        self.button = QPushButton("Do these nodes suffice?")
        for part in (self.headline, self.values_only, self.button):
            part.setMinimumHeight(_LINE)
        self._row = _flow(self, top=8)
        self._row.addWidget(self.headline)
        self._row.addWidget(self.values_only)
        self._row.addWidget(self.button)
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
            _drop(self._row, label)
        self.facts = []
        for fact in facts:
            colour = colours.WARM if fact.warning else colours.TEXT_DIM
            label = _text(f"⚠ {fact.text}" if fact.warning else fact.text, colour)
            label.setToolTip(fact.tip)
            label.setMinimumHeight(_LINE)
            self.facts.append(label)
            self._row.addWidget(label)
        for last in (self.values_only, self.button):
            self._row.removeWidget(last)
            self._row.addWidget(last)
        _renew(self, self._row)

    def set_values_only(self, on: bool, enabled: bool, tip: str) -> None:
        """Show which mode the circuit was computed in, and whether another can be asked for."""
        self.values_only.setChecked(on)
        self.values_only.setEnabled(enabled)
        self.values_only.setToolTip(tip)


class Legend(QWidget):
    """Glyphs and dashes exactly as drawn, with how many of each are on screen."""

    def __init__(self) -> None:
        super().__init__()
        self._row = _flow(self, bottom=4)
        self._keys: list[str] = []
        self._parts: list[QWidget] = []
        self._labels: list[QLabel] = []
        self.entries: tuple[str, ...] = ()
        self.drawn = ""

    def tell(self, circuit: Circuit | None, drawn: str) -> None:
        """List the kinds of a circuit and say how much of it is drawn."""
        rows = [] if circuit is None else _legend_rows(circuit, drawn, self.devicePixelRatioF())
        self.entries, self.drawn = tuple(row.text for row in rows), drawn
        if [row.key for row in rows] == self._keys:
            for label, row in zip(self._labels, rows, strict=True):
                label.setText(row.text)
            _renew(self, self._row)
            return
        for part in self._parts:
            _drop(self._row, part)
        self._keys, self._parts, self._labels = [row.key for row in rows], [], []
        for row in rows:
            self._add(row)
        _renew(self, self._row)

    def _add(self, entry: _Entry) -> None:
        part = QWidget()
        row = QHBoxLayout(part)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        if entry.picture is not None:
            mark = QLabel()
            mark.setPixmap(entry.picture)
            row.addWidget(mark)
        label = _text(entry.text, colours.TEXT if entry.picture is None else colours.TEXT_DIM)
        row.addWidget(label)
        self._row.addWidget(part)
        self._parts.append(part)
        self._labels.append(label)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the legend; entries of one key differ in their count only."""

    key: str
    text: str
    picture: QPixmap | None = None


def _legend_rows(circuit: Circuit, drawn: str, ratio: float) -> list[_Entry]:
    rows = [
        _Entry(style.kind, f"{style.title} {count}", glyph(style, ratio=ratio))
        for style, count in legend_counts(circuit)
    ]
    for kind, count in edge_counts(circuit):
        style = edge_style(kind)
        if style.mark:
            rows.append(
                _Entry(style.mark, f"{style.title} {count}", _line(style, colours.TEXT_DIM))
            )
    rows.append(_Entry("raises", "raises", _line(edge_style(0), colours.EXCITES)))
    rows.append(_Entry("lowers", "lowers", _line(edge_style(0), colours.INHIBITS)))
    return [*rows, _Entry("drawn", drawn)]


def _flow(widget: QWidget, top: int = 2, bottom: int = 2) -> QFlowLayout:
    flow = QFlowLayout(widget)
    flow.setContentsMargins(12, top, 12, bottom)
    flow.setHorizontalSpacing(14)
    flow.setVerticalSpacing(3)
    policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    widget.setSizePolicy(policy)
    return flow


def _renew(widget: QWidget, row: QFlowLayout) -> None:
    """Lay out anew: the flow does not notice by itself that its parts are others."""
    row.invalidate()
    row.activate()
    widget.updateGeometry()


def _drop(row: QFlowLayout, part: QWidget) -> None:
    row.removeWidget(part)
    part.hide()
    part.deleteLater()


def _text(text: str, colour: str, pixels: int = 12) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setFont(text_font(pixels))
    label.setStyleSheet(f"color: {colour};")
    return label


def _line(style: EdgeStyle, colour: str) -> QPixmap:
    pixmap = QPixmap(QSize(20, 10))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(QColor(colour), 1.8)
    if style.dashes:
        pen.setDashPattern([max(step / 1.3, 0.1) for step in style.dashes])
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    painter.setPen(pen)
    painter.drawLine(1, 5, 19, 5)
    painter.end()
    return pixmap


class Controls(QWidget):
    """Two sliders and the switches. Emits every move; who listens throttles."""

    view_changed = Signal(object)  # View
    downstream_changed = Signal(bool)
    fit_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.nodes = _slider("nodes", *NODES, View().nodes)
        self.nodes.setToolTip("How many heads and MLPs are kept, by influence")
        self.edges = _slider("edge_share", 0, 100, round(100 * View().edge_share))
        self.edges.setToolTip("The strongest edges that carry this share of the influence are kept")
        self.node_value, self.edge_value = _number(), _number()
        self.downstream = QCheckBox("What it feeds")
        self.downstream.setToolTip("Beside what feeds the selected node, show what it feeds")
        self.fit = QPushButton("Fit")
        self.fit.setFixedWidth(46)
        self.fit.setToolTip("Show the whole circuit (F, or a double click)")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 12, 8)
        row.setSpacing(8)
        for title, slider, value in (
            ("Nodes", self.nodes, self.node_value), ("Edges", self.edges, self.edge_value)
        ):  # fmt: skip
            row.addWidget(_text(title, colours.TEXT_DIM))
            row.addWidget(slider, 1)
            row.addWidget(value)
        row.addWidget(self.downstream)
        row.addWidget(self.fit)
        self._connect()
        self._tell()

    @property
    def view(self) -> View:
        """What the sliders say."""
        return View(self.nodes.value(), self.edges.value() / 100)

    def set_view(self, view: View) -> None:
        """Put the sliders there; emits when that changes anything."""
        self.nodes.setValue(view.nodes)
        self.edges.setValue(round(100 * view.edge_share))

    def _connect(self) -> None:
        for slider in (self.nodes, self.edges):
            slider.valueChanged.connect(self._on_slider)
        self.downstream.toggled.connect(self.downstream_changed)
        self.fit.clicked.connect(self.fit_asked)

    def _on_slider(self, value: int) -> None:
        self._tell()
        self.view_changed.emit(self.view)

    def _tell(self) -> None:
        self.node_value.setText(str(self.nodes.value()))
        self.edge_value.setText(f"{self.edges.value()} %")


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
    label.setFixedWidth(40)
    return label


class EmptyState(QWidget):
    """Says why there is nothing to see and what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.headline, self.advice = QLabel(), QLabel()
        self.headline.setFont(text_font(16))
        self.advice.setFont(text_font(13))
        self.advice.setStyleSheet(f"color: {colours.TEXT_DIM};")
        column = QVBoxLayout(self)
        column.addStretch(1)
        for label in (self.headline, self.advice):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
            column.addWidget(label)
        column.addStretch(1)

    def tell(self, headline: str, advice: str) -> None:
        """Show these two lines."""
        self.headline.setText(headline)
        self.advice.setText(advice)
