"""What a lesion did: the table by group, the dose curve of one, the matrix, and the units."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from microtome.records.lesion import Lesion
from microtome_desktop.presenters.lesions import (
    COLUMNS,
    MEASURES,
    OTHER,
    other_name,
    other_title,
    rows_of,
    said_of,
    unit_rows,
)
from microtome_desktop.views.choice_table import ChoiceTable
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.form_fields import choice
from microtome_desktop.views.lesion_plots import ConfusionMatrix, DosePlot

_ROW, _UNIT = 21, 19  # pixels of a row
_WIDTHS, _UNITS = (46, 52, 52, 52, 58, 58), 150  # leave room for names on a small screen
_LOW, _NARROW = 290, 480  # pixels under which one part is shown at a time
_QT_MOST = (1 << 24) - 1  # what Qt calls no limit
_PARTS = ("Table", "Dose curve", "Matrix", "Units")
_UPPER = (0, 3)  # those of the upper half


class LesionResult(QWidget):
    """A row that is chosen has its dose curve below; a unit that is chosen is told."""

    unit_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.found: Lesion | None = None
        self.other: Lesion | None = None  # of the same groups, to compare with
        self._group = ""  # by name, so that it stays from lesion to lesion
        self.said = TwoLines()
        self.counts = choice("lesion_measure", "what counts as right", ())
        self.side = choice("lesion_side", "side of the matrix", ("Matrix after", "Matrix before"))
        self.part = choice("lesion_part", "what is shown of the lesion", _PARTS)
        self.table = ChoiceTable(
            "lesion_table", "right answers by group", COLUMNS, row_height=_ROW, widths=_WIDTHS
        )
        self.units = ChoiceTable(
            "lesion_unit_list", "units that were changed",
            (("unit", "What was changed, the strongest first"), ("index", "What it is chosen by")),
            row_height=_UNIT, widths=(52,),
        )  # fmt: skip
        self.dose, self.matrix = DosePlot(), ConfusionMatrix()
        self._lay_out()
        self.table.chosen.connect(self._on_row)
        self.units.chosen.connect(self.unit_chosen)
        self.counts.activated.connect(self._draw)
        self.side.activated.connect(self._draw)
        self.part.activated.connect(self._arrange)

    def _lay_out(self) -> None:
        above = QHBoxLayout()
        above.addWidget(self.said, 1)
        above.addWidget(self.part)
        above.addWidget(self.counts)
        above.addWidget(self.side)
        self.top_half, self.low_half = QWidget(), QWidget()
        middle, below = QHBoxLayout(self.top_half), QHBoxLayout(self.low_half)
        middle.addWidget(self.table, 1)
        middle.addWidget(self.units)
        below.addWidget(self.dose, 1)
        below.addWidget(self.matrix, 1)
        for line in (middle, below):
            line.setContentsMargins(0, 0, 0, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(above)
        column.addWidget(self.top_half, 5)
        column.addWidget(self.low_half, 4)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """All parts where there is room, one of them where there is not."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self, *_: object) -> None:
        small = self.height() < _LOW or self.width() < _NARROW
        self.part.setVisible(small)
        at = self.part.currentIndex()
        parts: tuple[QWidget, ...] = (self.table, self.dose, self.matrix, self.units)
        for number, part in enumerate(parts):
            part.setVisible(not small or number == at)
        self.top_half.setVisible(not small or at in _UPPER)
        self.low_half.setVisible(not small or at not in _UPPER)
        self.units.setMaximumWidth(_QT_MOST if small else _UNITS)
        self.side.setVisible(self.matrix.isVisibleTo(self))
        self.counts.setVisible(self.counts.count() > 1)

    @property
    def measure(self) -> int:
        """The row of what counts as right."""
        return max(0, self.counts.currentIndex())

    def show_found(self, found: Lesion | None, other: Lesion | None = None) -> None:
        """Show another lesion, or none; beside it one to compare with."""
        if found is self.found and other is self.other:
            return
        self.found, self.other = found, other
        if found is None:
            return
        with QSignalBlocker(self.counts):
            # A choice among several stays; where there was none, the first of these counts.
            before = self.counts.currentData() if self.counts.count() > 1 else None
            self.counts.clear()
            for name in found.measures:
                self.counts.addItem(MEASURES.get(name, name).capitalize(), name)
            self.counts.setCurrentIndex(max(0, self.counts.findData(before)))
        self._arrange()
        self._draw()

    def _draw(self, *_: object) -> None:
        found = self.found
        if found is None:
            return
        self.said.setText(said_of(found, self.measure))
        self.said.setToolTip(self.said.text())
        self._show_other()
        for table, rows in (
            (self.table, rows_of(found, self.measure, self.other)), (self.units, unit_rows(found)),
        ):  # fmt: skip
            table.set_rows(len(rows))
            for at, cells in enumerate(rows):
                table.write(at, [(c.text, c.colour) for c in cells], [c.tip for c in cells])
        with QSignalBlocker(self.table):
            self.table.selectRow(self._row())
        self.dose.show_group(found, self.measure, self._row())
        self.matrix.show_found(found, 1 - self.side.currentIndex())

    def _show_other(self) -> None:
        self.table.setColumnHidden(OTHER, self.other is None)
        head = self.table.horizontalHeaderItem(OTHER)
        if self.other is not None and head is not None:
            head.setText(other_name(self.other))
            head.setToolTip(f"{COLUMNS[OTHER][1]}: {other_title(self.other)}")

    def _row(self) -> int:
        """The group that is chosen, or the one that loses most."""
        found = self.found
        if found is None:
            return 0
        if self._group in found.groups:
            return found.groups.index(self._group)
        tops = [at for at, kind in enumerate(found.kinds) if kind in {"domain", "task"}]
        change = found.change[self.measure]
        return min(tops, key=lambda at: change[at]) if tops else 0

    def _on_row(self, row: int) -> None:
        if self.found is not None:
            self._group = self.found.groups[row]
            self.dose.show_group(self.found, self.measure, row)

    def view_state(self) -> dict[str, Any]:
        """Which group and side are in front."""
        return {
            "group": self._group, "side": self.side.currentIndex(), "measure": self.measure,
        }  # fmt: skip

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set it as a session was saved."""
        group, side = held.get("group"), held.get("side")
        self._group = group if isinstance(group, str) else ""
        if isinstance(side, int) and 0 <= side < self.side.count():
            self.side.setCurrentIndex(side)
