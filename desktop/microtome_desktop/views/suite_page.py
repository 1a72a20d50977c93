"""A suite, slice by slice, before and after the edits; and the circuits of two slices."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from microtome.records.slice_circuits import CircuitDifference
from microtome_desktop import palette as colours
from microtome_desktop.jobs.suite_requests import CIRCUITS_SLOT, SUITE_SLOT
from microtome_desktop.presenters.suites import SliceLine, circuits_text, noted
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.plain_table import PlainTable
from microtome_desktop.views.suite_outlook import outlook_label
from microtome_desktop.views.text_flow import EmptyState

_ARROW = "\N{RIGHTWARDS ARROW}"
_ROW = 20  # pixels
_COLUMNS = (
    ("slice", "A part of the suite; a case may be in several"),
    ("cases", "How many were run"),
    (
        "pass %",
        (
            "Cases whose answer is above the wrong answer or, without one, is the most probable "
            "token; before and after the edits"
        ),
    ),
    ("95 % band", "Wilson's interval of the pass rate, after the edits where some act"),
    ("p(answer)", "Mean probability of the answer, before and after"),
)
_WIDTHS = (52, 84, 84, 104)
_EDGES = (
    ("both", "Edges that are among the strongest of both"),
    ("first", "Edges that are among the strongest of the first alone"),
    ("second", "Edges that are among the strongest of the second alone"),
)


class SuitePage(QWidget):
    """A button, what the table is of, and a row for each slice."""

    slot = SUITE_SLOT

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Run the suite")
        self.button.setObjectName("suite_run")
        self.outlook = outlook_label()
        self.said = ElidedLabel()
        self.table = PlainTable(
            "suite_table", "slices of the suite", _COLUMNS, row_height=_ROW, widths=_WIDTHS
        )
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.button)
        line.addWidget(self.outlook)
        line.addWidget(self.said, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(3)
        self.empty = EmptyState()
        column.addLayout(line)
        column.addWidget(self.table, 1)
        column.addWidget(self.empty, 1)

    def show_lines(self, lines: Sequence[SliceLine], said: str) -> None:
        """Show what is known of each slice."""
        self.said.setText(said if lines else "")
        self.table.setVisible(bool(lines))
        self.empty.setVisible(not lines)
        self.empty.tell("No suite yet", said)
        self.table.setRowCount(len(lines))
        for number, line in enumerate(lines):
            self._fill(number, line)

    def _fill(self, number: int, line: SliceLine) -> None:
        low, high = line.band[-1]
        tone = colours.BAD if line.falls else colours.TEXT
        texts = (
            (line.name, colours.TEXT),
            (f"{line.cases:,}", colours.TEXT_DIM),
            (_sides([f"{100 * each:.0f}" for each in line.rate]), tone),
            (f"{100 * low:.0f}\N{EN DASH}{100 * high:.0f}", colours.TEXT_DIM),
            (_sides([f"{each:.2f}" for each in line.confidence]), colours.TEXT_DIM),
        )
        told = ", falls by more than chance" if line.falls else ""
        self.table.write(number, texts, (f"{line.name}: {line.cases} cases{told}",) * len(texts))


def _sides(texts: Sequence[str]) -> str:
    return f" {_ARROW} ".join(texts)


class CircuitsPage(QWidget):
    """Two slices to choose, and which of their strongest edges they share."""

    slot = CIRCUITS_SLOT

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ("", "")  # slices to choose once they are offered
        self.first, self.second = Choice(), Choice()
        self.button = QPushButton("Compare")
        self.button.setObjectName("suite_circuits")
        self.outlook = outlook_label()
        self.said = ElidedLabel()
        self.table = PlainTable("edge_table", "edges of two circuits", _EDGES, row_height=_ROW)
        for name, box in (("first", self.first), ("second", self.second)):
            box.setObjectName(f"suite_{name}")
            box.setAccessibleName(f"{name} slice")
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.first, 1)
        line.addWidget(self.second, 1)
        line.addWidget(self.button)
        line.addWidget(self.outlook)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(3)
        column.addLayout(line)
        self.empty = EmptyState()
        column.addWidget(self.said)
        column.addWidget(self.table, 1)
        column.addWidget(self.empty, 1)

    @property
    def chosen(self) -> tuple[str, str]:
        """The slices that are chosen, empty where there are none."""
        return self.first.currentText(), self.second.currentText()

    def offer(self, slices: Sequence[str]) -> None:
        """Offer these slices, two different ones at first."""
        for at, box in enumerate((self.first, self.second)):
            held = box.currentText() or self._wanted[at]
            if [box.itemText(row) for row in range(box.count())] == list(slices):
                continue
            with QSignalBlocker(box):
                box.clear()
                box.addItems(list(slices))
                row = box.findText(held)
                box.setCurrentIndex(row if row >= 0 else min(at + 1, box.count() - 1))

    def choose(self, first: str = "", second: str = "") -> None:
        """Choose two slices, now or as soon as they are offered."""
        self._wanted = (first, second)
        for box, name in zip((self.first, self.second), self._wanted, strict=True):
            row = box.findText(name)
            if row >= 0:
                box.setCurrentIndex(row)

    def show_difference(self, told: CircuitDifference | None, note: str = "") -> None:
        """Show what two circuits share."""
        said = noted(circuits_text(told), note)
        self.said.setText("" if told is None else said)
        self.table.setVisible(told is not None)
        self.empty.setVisible(told is None)
        self.empty.tell("Nothing to compare yet", said)
        if told is None:
            return
        columns = (told.shared, told.only_first, told.only_second)
        for at, title in enumerate(("both", f"only {told.first}", f"only {told.second}")):
            head = self.table.horizontalHeaderItem(at)
            if head is not None:
                head.setText(title)
        count = max(map(len, columns))
        self.table.setRowCount(count)
        tones = (colours.TEXT, colours.EXCITES, colours.INHIBITS)
        for row in range(count):
            cells = [
                (edges[row] if row < len(edges) else "", tone)
                for edges, tone in zip(columns, tones, strict=True)
            ]
            self.table.write(row, cells)
