"""The phase diagram: when a feature has its own dimension, shares one, or is lost."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from microtome.records.superposition import PhaseDiagram
from microtome_desktop import palette as colours
from microtome_desktop.presenters.superposition import (
    NO_PHASES,
    STATE_COLOURS,
    STATE_NAMES,
    phase_text,
    square_text,
)
from microtome_desktop.state.superpositions import PhaseWish
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.form_fields import scrolled, spin
from microtome_desktop.views.markup import take_markup
from microtome_desktop.views.superposition_plots import PhasePlot
from microtome_desktop.views.text_flow import EmptyState

_FORM = 222  # pixels
_SAID = ("", "", " (dotted)")  # of each state, beside its colour
_FIELDS = (
    ("features", "features", 2, 12, 2),
    ("dimensions", "dimensions", 1, 8, 1),
    ("squares", "squares a side", 2, 24, 12),
    ("repeats", "starts of each", 1, 8, 5),
    ("steps", "steps", 1, 100_000, 1_000),
    ("seed", "seed", 0, 2**31 - 1, 0),
)


class PhasePage(QWidget):
    """Numbers and a button at the left, the diagram with its legend at the right."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = {
            name: spin(f"phase_{name}", title, low, high, start)
            for name, title, low, high, start in _FIELDS
        }
        self.run = QPushButton("Find phases")
        self.run.setObjectName("phase_run")
        self.plot, self.empty, self.said, self.legend = (
            PhasePlot(), EmptyState(), TwoLines(), QLabel(),
        )  # fmt: skip
        self._phases: PhaseDiagram | None = None
        self._under_way = ""  # how far the one is that is being found
        self._lay_out()
        self.plot.hovered.connect(self._on_hover)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        for name, title, *_ in _FIELDS:
            form.addRow(title, self.fields[name])
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 6, 6, 0)
        column.addLayout(form)
        take_markup(self.legend)
        self.legend.setText(
            "<br>".join(
                f'<span style="color: {getattr(colours, colour)}">\u25a0</span> {name}{said}'
                for name, colour, said in zip(STATE_NAMES, STATE_COLOURS, _SAID, strict=True)
            )
        )
        column.addSpacing(8)
        column.addWidget(self.legend)
        column.addStretch(1)
        right = QVBoxLayout()
        right.setContentsMargins(0, 6, 0, 0)
        right.addWidget(self.plot, 1)
        right.addWidget(self.empty, 1)
        right.addWidget(self.said)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        held = QVBoxLayout()
        held.addWidget(scrolled(left, _FORM), 1)
        held.addWidget(self.run)
        line.addLayout(held)
        line.addLayout(right, 1)

    def wish(self) -> PhaseWish:
        """What the numbers say."""
        return PhaseWish(**self.state())

    def state(self) -> dict[str, int]:
        """The numbers by name."""
        return {name: box.value() for name, box in self.fields.items()}

    def restore(self, held: dict[str, Any]) -> None:
        """Set them."""
        for name, box in self.fields.items():
            if isinstance(held.get(name), int):
                box.setValue(held[name])

    def show_phases(self, phases: PhaseDiagram | None) -> None:
        """Draw a diagram, or say how to get one."""
        self._phases = phases
        for part in (self.plot, self.legend):
            part.setVisible(phases is not None)
        self.empty.setVisible(phases is None)
        self.empty.tell("No phase diagram yet", NO_PHASES)
        if phases is not None:
            self.plot.show_phases(phases)
        self._tell()

    def show_progress(self, under_way: str) -> None:
        """Say how far the diagram is that is being found; nothing when none is."""
        if under_way != self._under_way:
            self._under_way = under_way
            self._tell()

    def _tell(self) -> None:
        parts = [self._under_way, phase_text(self._phases)]
        self.said.setText(" \N{MIDDLE DOT} ".join(part for part in parts if part))
        self.said.setVisible(any(parts))

    def _on_hover(self, row: int, column: int) -> None:
        if self._phases is not None and row >= 0:
            self.said.setText(square_text(self._phases, row, column))
        else:
            self._tell()
