"""The dial: how large the circuit is, by share of edges or by score, and what that means."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.presenters.dial_text import Told
from microtome_desktop.presenters.discovery_dial import STEPS
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.form_fields import field

_SIGNED = ("by score", "Best scores first, as CPR has it: what raises the metric comes first")
_SIZED = ("by size", "Largest scores first whatever their sign, as CMD has it")


_NARROW = 260  # pixels


class Dial(QWidget):
    """A slider with a share and a score beside it that can be typed as well."""

    stepped = Signal(int)  # of the slider
    share_typed = Signal(str)
    threshold_typed = Signal(str)
    order_changed = Signal(bool)  # whether by score
    measure_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("dial")
        self.slider.setAccessibleName("size of the circuit")
        self.slider.setRange(0, STEPS)
        self.slider.setPageStep(50)
        self.share = field("dial_share", "share of all edges")
        self.threshold = field("dial_threshold", "least score")
        self.by_score, self.by_size = _switch(*_SIGNED), _switch(*_SIZED)
        self.by_score.setObjectName("dial_by_score")
        self.by_size.setObjectName("dial_by_size")
        self.by_score.setChecked(True)
        self.measure = QPushButton("Measure here")
        self.measure.setObjectName("dial_measure")
        self._names: list[QLabel] = []  # of the two fields
        self.edges, self.worth, self.areas = ElidedLabel(), ElidedLabel(), ElidedLabel()
        self._lay_out()
        self._listen()

    def _lay_out(self) -> None:
        for label in (self.edges, self.worth, self.areas):
            label.setFont(text_font(12))
        self.measure.setFont(text_font(11))
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.slider, 1)
        top.addWidget(self.by_score)
        top.addWidget(self.by_size)
        fields = QGridLayout()
        fields.setHorizontalSpacing(5)
        for column, (text, line) in enumerate((("Edges", self.share), ("Score ≥", self.threshold))):
            name = QLabel(text)
            name.setObjectName("dim")
            name.setFont(text_font(11))
            name.setToolTip(line.accessibleName())
            line.setFont(mono_font(11))
            line.setStyleSheet("padding: 3px 4px;")
            self._names.append(name)
            fields.addWidget(name, 0, 2 * column)
            fields.addWidget(line, 0, 2 * column + 1)
        last = QHBoxLayout()
        last.addWidget(self.worth, 1)
        last.addWidget(self.measure)
        column_ = QVBoxLayout(self)
        column_.setContentsMargins(0, 0, 0, 0)
        column_.setSpacing(3)
        column_.addLayout(top)
        column_.addLayout(fields)
        column_.addWidget(self.edges)
        column_.addLayout(last)
        column_.addWidget(self.areas)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow dial the fields have the room of a word."""
        super().resizeEvent(event)
        self._names[1].setText("≥" if self.width() < _NARROW else "Score ≥")

    def _listen(self) -> None:
        self.slider.valueChanged.connect(self.stepped)
        self.share.editingFinished.connect(self._on_share)
        self.threshold.editingFinished.connect(self._on_threshold)
        self.by_score.clicked.connect(self._on_by_score)
        self.by_size.clicked.connect(self._on_by_size)
        self.measure.clicked.connect(self.measure_asked)

    def _on_share(self) -> None:
        if self.share.isModified():
            self.share_typed.emit(self.share.text())

    def _on_threshold(self) -> None:
        if self.threshold.isModified():
            self.threshold_typed.emit(self.threshold.text())

    def _on_by_score(self) -> None:
        self._show_order(signed=True)
        self.order_changed.emit(True)

    def _on_by_size(self) -> None:
        self._show_order(signed=False)
        self.order_changed.emit(False)

    def _show_order(self, *, signed: bool) -> None:
        self.by_score.setChecked(signed)
        self.by_size.setChecked(not signed)

    def tell(self, told: Told | None, step: int, *, signed: bool, why_not: str = "") -> None:
        """Show a size; ``why_not`` says why none can be measured now."""
        with QSignalBlocker(self.slider):
            self.slider.setValue(step)
        self._show_order(signed=signed)
        self.setEnabled(told is not None)
        shown = Told("", "", "", "", "") if told is None else told
        for line, text in ((self.share, shown.share), (self.threshold, shown.threshold)):
            _write(line, text)
        self.edges.setText(shown.edges)
        self.worth.setText(shown.faithfulness)
        self.worth.setToolTip(shown.tip)
        self.areas.setText(shown.areas)
        self.measure.setVisible(told is not None and not shown.measured)
        self.measure.setEnabled(not why_not)
        self.measure.setToolTip(why_not or "Test a circuit of exactly this size")


def _write(line: QLineEdit, text: str) -> None:
    if line.text() != text:
        line.setText(text)
        line.setCursorPosition(0)  # a narrow field shows how it begins
    line.setModified(False)


def _switch(text: str, tip: str) -> QToolButton:
    made = QToolButton()
    made.setText(text)
    made.setToolTip(tip)
    made.setCheckable(True)
    made.setFont(text_font(11))
    made.setStyleSheet("padding: 2px 6px;")
    return made
