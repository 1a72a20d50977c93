"""The list of edits of features: on or off, how much, where, and the way out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QLineEdit, QToolButton

from microtome_desktop.presenters.feature_edits import FeatureLine, act_text
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.hover_tip import tip_lines
from microtome_desktop.views.icons import icon
from microtome_desktop.views.row_list import Row, RowList

_EMPTY = (
    "No edits yet. Click a feature of the graph, or a group of them, then ablate, scale, set or "
    "steer it from its card or by a right click."
)
_LARGEST = 3e38  # nearly all that 32 bits hold


class FeatureEditRow(Row[FeatureLine]):
    """One edit, or the edits of a group by one act."""

    switched = Signal(bool)
    amount_set = Signal(float)
    placed = Signal(bool)  # at its positions alone
    removed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._line: FeatureLine | None = None
        self.on = QCheckBox()
        self.on.setAccessibleName("the edit acts")
        self.act = QLabel()
        self.act.setObjectName("dim")
        self.amount = QLineEdit()
        self.amount.setObjectName("feature_amount")
        self.amount.setAccessibleName("amount")
        self.amount.setValidator(QDoubleValidator(-_LARGEST, _LARGEST, 4, self))
        self.amount.setFont(mono_font(11))
        self.amount.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.amount.setFixedWidth(56)
        self.what = ElidedLabel()
        self.what.setObjectName("")
        self.here = QCheckBox("here")
        self.here.setToolTip("Only at the token of the graph; else wherever the feature is read")
        self.away = QToolButton()
        self.away.setObjectName("tiny")
        self.away.setIcon(icon("mdi6.close"))
        self.away.setToolTip("Remove this edit")
        self.away.setAccessibleName("remove this edit")
        row = QHBoxLayout(self)
        row.setContentsMargins(2, 1, 2, 1)
        row.setSpacing(6)
        for part in (self.on, self.act, self.amount):
            row.addWidget(part)
        row.addWidget(self.what, 1)
        row.addWidget(self.here)
        row.addWidget(self.away)
        self.on.clicked.connect(self.switched)
        self.here.clicked.connect(self.placed)
        self.away.clicked.connect(self.removed)
        self.amount.editingFinished.connect(self._on_amount)

    def show_line(self, line: FeatureLine, *, enabled: bool) -> None:
        """Show another edit, or what it is now."""
        self._line = line
        with QSignalBlocker(self.on), QSignalBlocker(self.here):
            self.on.setChecked(line.on)
            self.here.setChecked(line.here)
        self.act.setText(act_text(line.action))
        self.what.setText(line.text)
        self.what.setToolTip(tip_lines(line.tip))
        self.amount.setVisible(line.has_amount)
        if not self.amount.isModified():
            self.amount.setText(f"{line.amount:g}")
        for part in (self.on, self.amount, self.here, self.away):
            part.setEnabled(enabled)

    def _on_amount(self) -> None:
        typed, acceptable = self.amount.text(), self.amount.hasAcceptableInput()
        self.amount.setModified(False)
        if self._line is None:
            return
        if not acceptable:
            self.amount.setText(f"{self._line.amount:g}")
        elif float(typed) != self._line.amount:
            self.amount_set.emit(float(typed))


class FeatureEditList(RowList[FeatureLine]):
    """Rows that are switched, changed and removed; each act names the rows of the edits."""

    switched = Signal(object, bool)
    amount_set = Signal(object, float)
    placed = Signal(object, bool)
    removed = Signal(object)

    def __init__(self) -> None:
        super().__init__("feature_edit_list", _EMPTY)
        self._lines: Sequence[FeatureLine] = ()

    def show_lines(self, lines: Sequence[FeatureLine], *, enabled: bool) -> None:
        """Show these edits, in the rows that are there as far as they go."""
        self._lines = lines
        super().show_lines(lines, enabled=enabled)

    def make(self, number: int) -> FeatureEditRow:
        """A row that is switched, changed and removed."""
        row = FeatureEditRow()
        row.switched.connect(partial(self._tell, self.switched, number))
        row.amount_set.connect(partial(self._tell, self.amount_set, number))
        row.placed.connect(partial(self._tell, self.placed, number))
        row.removed.connect(partial(self._tell, self.removed, number))
        return row

    def _tell(self, signal: object, number: int, *values: object) -> None:
        if number < len(self._lines):
            signal.emit(self._lines[number].rows, *values)  # type: ignore[attr-defined]
