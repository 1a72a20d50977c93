"""One edit in the list: on or off, what it does, how strong, and the way out."""

from __future__ import annotations

import math

from PySide6.QtCore import QPoint, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QDoubleValidator, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome.records.edits import EditSpec
from microtome_desktop import palette as colours
from microtome_desktop.presenters.edits import EditLine
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.hover_tip import tip_lines
from microtome_desktop.views.icons import icon
from microtome_desktop.views.row_list import Row

_STEPS = 100  # of the slider, each way
_UNKNOWN = 10.0  # the end of a slider where nothing is known of the site
_LARGEST = 3e38  # nearly all that 32 bits hold: what is too much for the model, the model tells
_NORMS = 2.0  # the end of a slider, in mean norms of the site
_ALT = Qt.KeyboardModifier.AltModifier


class Grip(QLabel):
    """What one takes an edit by to move it in the list."""

    dragged = Signal(QPoint)  # on the screen
    dropped = Signal(QPoint)

    def __init__(self) -> None:
        super().__init__("\N{BRAILLE PATTERN DOTS-123456}")
        self.setObjectName("faint")
        self.setCursor(Qt.CursorShape.SizeVerCursor)
        self.setToolTip("Drag to let it act earlier or later (Alt+Up, Alt+Down)")

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take it."""
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Carry it."""
        self.dragged.emit(event.globalPosition().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let it go."""
        self.dropped.emit(event.globalPosition().toPoint())


class Strength(QWidget):
    """A slider and a number for how much to steer; tells every move, and when one is done."""

    moved = Signal(float)
    settled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("strength")
        self.slider.setAccessibleName("strength")
        self.slider.setRange(-_STEPS, _STEPS)
        self.slider.setPageStep(10)
        self.slider.setMinimumWidth(50)
        self.number = QLineEdit()
        self.number.setObjectName("strength_number")
        self.number.setAccessibleName("strength as a number")
        self.number.setValidator(QDoubleValidator(-_LARGEST, _LARGEST, 4, self))
        self.number.setFont(mono_font(11))
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.number.setFixedWidth(64)
        self.share = QLabel()
        self.share.setObjectName("dim")
        self._span, self._told = _UNKNOWN, ""
        row = QHBoxLayout(self)
        row.setContentsMargins(22, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        row.addWidget(self.share)
        self.slider.valueChanged.connect(self._on_slider)
        self.slider.sliderReleased.connect(self.settled)
        self.number.editingFinished.connect(self._on_number)

    def show_strength(self, spec: EditSpec, norm: float | None, share: str) -> None:
        """Show what is set; the ends follow the site's norm, but never during a drag."""
        if not self.slider.isSliderDown():
            self._span = _span(spec, norm)
        step = round(_STEPS * spec.strength / self._span)
        with QSignalBlocker(self.slider):
            self.slider.setValue(step)
        self._told = f"{spec.strength:.4g}"
        if not self.number.isModified():  # nobody is typing
            self.number.setText(self._told)
        self.share.setText(share)

    def _on_number(self) -> None:
        typed, acceptable = self.number.text(), self.number.hasAcceptableInput()
        self.number.setModified(False)
        if not acceptable:
            self.number.setText(self._told)
        elif typed != self._told:
            self.moved.emit(float(typed))
            self.settled.emit()

    def _on_slider(self, step: int) -> None:
        self.moved.emit(self._span * step / _STEPS)


def _span(spec: EditSpec, norm: float | None) -> float:
    """The strength at the slider's end: a round number around twice the site's norm."""
    if spec.action == "project out":
        return max(1.0, abs(spec.strength))
    unit = spec.direction is not None and spec.direction.unit
    wanted = max(_NORMS * norm if norm and unit else _UNKNOWN, abs(spec.strength))
    power = 10.0 ** math.floor(math.log10(wanted))
    return math.ceil(wanted / power) * power


class EditRow(Row[EditLine]):
    """An edit; the keyboard moves it with Alt and an arrow, switches it with Space."""

    switched = Signal(bool)
    strength_moved = Signal(float)
    settled = Signal()
    removed = Signal()
    stepped = Signal(int)  # places up or down

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("edit_row")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.grip = Grip()
        self.box = QCheckBox()
        self.box.setObjectName("edit_on")
        self.box.setAccessibleName("The edit acts")
        self.box.setToolTip("Whether the edit acts (Space)")
        self.box.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.text = ElidedLabel()
        self.fault = QLabel("\N{WARNING SIGN}")
        self.remove = QToolButton()
        self.remove.setObjectName("tiny")
        self.remove.setIcon(icon("mdi6.close"))
        self.remove.setToolTip("Remove this edit (Del)")
        self.remove.setAccessibleName("Remove this edit")
        self.remove.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.strength = Strength()
        self._lay_out()
        # Clicked, not toggled: showing what is set must not set it.
        self.box.clicked.connect(self.switched)
        self.remove.clicked.connect(self.removed)
        self.strength.moved.connect(self.strength_moved)
        self.strength.settled.connect(self.settled)

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.grip)
        line.addWidget(self.box)
        line.addWidget(self.text, 1)
        line.addWidget(self.fault)
        line.addWidget(self.remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 3, 4, 3)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self.strength)

    def show_line(self, line: EditLine, *, enabled: bool) -> None:
        """Show another edit, or the same one as it is now."""
        faulty = bool(line.problem)
        self.box.setChecked(line.spec.on)
        for part in (self.box, self.remove, self.strength, self.grip):
            part.setEnabled(enabled)
        self.text.setText(line.text)
        self.fault.setVisible(faulty)
        self.fault.setStyleSheet(f"color: {colours.BAD};" if faulty else "")
        self.fault.setToolTip(tip_lines(line.problem))
        name = "bad" if faulty else "plain" if line.spec.on else "faint"
        if self.text.objectName() != name:
            self.text.setObjectName(name)
            self.text.style().polish(self.text)
        if faulty:
            self.text.setToolTip(tip_lines(f"{line.text}\n{line.problem}"))
        self.strength.setVisible(line.has_strength)
        if line.has_strength:
            self.strength.show_strength(line.spec, line.norm, line.share)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Alt+Up and Alt+Down move it, Space switches it, Del removes it, arrows go along."""
        key, alt = event.key(), bool(event.modifiers() & _ALT)
        if alt and key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.stepped.emit(-1 if key == Qt.Key.Key_Up else 1)
        elif key == Qt.Key.Key_Space:
            self.switched.emit(not self.box.isChecked())
        elif key == Qt.Key.Key_Delete:
            self.removed.emit()
        elif key == Qt.Key.Key_Up:
            self.focusPreviousChild()
        elif key == Qt.Key.Key_Down:
            self.focusNextChild()
        else:
            super().keyPressEvent(event)
