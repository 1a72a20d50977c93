"""Step through a test: which input was read where in place of another, and why it may."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from microtome.records.scrubbed import Scrubbed, Wire
from microtome_desktop import palette as colours
from microtome_desktop.presenters.scrubbed import (
    Step,
    steps,
    why_they_agree,
    wire_title,
    wires_of,
)
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.hypothesis_canvas import Picked
from microtome_desktop.views.plain_table import PlainTable

_ROW_HEIGHT = 20
_COLUMNS = (
    ("at: token", "The position, and the token of the input there"),
    ("read", "The input that was read there instead, and its token"),
    ("both say", "What the claim says of both, which is why one may stand in for the other"),
)
_WIDTHS = (96, 84)


class HypothesisSwaps(QWidget):
    """An input, a wire, and a row for each position that it is read at."""

    followed = Signal(str)  # the box that goes on with another input

    def __init__(self) -> None:
        super().__init__()
        self._found: Scrubbed | None = None
        self._steps: tuple[Step, ...] = ()
        self.number = QSpinBox()
        self.number.setObjectName("swap_input")
        self.number.setAccessibleName("number of the input")
        self.number.setToolTip("The input that the test went through; Up and Down go to the next")
        self.number.setPrefix("input ")
        self.number.setMinimumWidth(84)
        self.number.setProperty("plain", True)
        self.number.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.number.lineEdit().setTextMargins(7, 0, 0, 0)
        self.wire = Choice()
        self.wire.setObjectName("swap_wire")
        self.wire.setAccessibleName("what reads what")
        self.text = ElidedLabel()
        self.why = QLabel()
        self.why.setObjectName("dim")
        self.why.setFont(text_font(11))
        self.why.setWordWrap(True)
        said = "What was read at each position in place of the input"
        self.table = PlainTable(
            "swap_table", said, _COLUMNS, row_height=_ROW_HEIGHT, widths=_WIDTHS
        )
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._lay_out()
        self.number.valueChanged.connect(self._on_number)
        self.wire.activated.connect(self._on_wire)
        self.table.cellDoubleClicked.connect(self._on_follow)
        self.show_test(None, None)

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.number)
        line.addWidget(self.wire, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        column.addLayout(line)
        column.addWidget(self.text)
        column.addWidget(self.why)
        column.addWidget(self.table, 1)

    def show_test(self, found: Scrubbed | None, picked: Picked) -> None:
        """Show the wires of what is picked; without a test nothing."""
        self._found = found
        there = found is not None
        for part in (self.number, self.wire, self.text, self.table):
            part.setVisible(there)
        if found is None:
            self.why.setText("Test the hypothesis: then this steps through what was swapped where.")
            return
        with QSignalBlocker(self.number):
            self.number.setRange(0, len(found.inputs) - 1)
        held = self.wire.currentData()
        with QSignalBlocker(self.wire):
            self.wire.clear()
            for wire in wires_of(found, picked):
                self.wire.addItem(wire_title(wire), wire)
        self.wire.setCurrentIndex(max(0, self.wire.findData(held)))
        self._show()

    def _on_number(self, value: int) -> None:
        self._show()

    def _on_wire(self, row: int) -> None:
        self._show()

    def _show(self) -> None:
        found, wire = self._found, self.wire.currentData()
        if found is None or not isinstance(wire, Wire):
            self._steps = ()
            self.table.setRowCount(0)
            self.why.setText("The test is of another drawing: this was not in it.")
            return
        self.text.setText(found.inputs[self.number.value()])
        self.why.setText(why_they_agree(found, wire))
        self._steps = steps(found, wire, self.number.value())
        self.table.setRowCount(len(self._steps))
        for row, step in enumerate(self._steps):
            self._fill(row, step, wire)

    def _fill(self, row: int, step: Step, wire: Wire) -> None:
        itself = step.taken == self.number.value()
        read = "itself" if itself else f"{step.taken}: {shown_token(step.taken_token)}"
        says = shown_token(step.value) if wire.source and step.value else "\N{MIDDLE DOT}"
        cells = (
            (f"{step.position}: {shown_token(step.token)}", colours.TEXT_DIM),
            (read, colours.TEXT_FAINT if itself else colours.TEXT),
            (says, colours.GOOD if wire.source and step.value else colours.TEXT_FAINT),
        )
        tip = "" if self._found is None else self._found.inputs[step.taken]
        self.table.write(row, cells, (tip, tip, tip))

    def _on_follow(self, row: int, column: int) -> None:
        """Go on with the input that was read, at the box that was read of it."""
        wire = self.wire.currentData()
        if isinstance(wire, Wire) and row < len(self._steps):
            self.number.setValue(self._steps[row].taken)
            if wire.source:
                self.followed.emit(wire.source)
