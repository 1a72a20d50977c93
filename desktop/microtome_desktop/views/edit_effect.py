"""What the edits do: the metric and the predictions, without and with them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_text import signed
from microtome_desktop.presenters.edits import Effect, MetricChange
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font

_HEADERS = ("token", "before", "after", "\N{GREEK CAPITAL LETTER DELTA}")
_TIPS = (
    "The most probable next tokens, without or with the edits",
    "Its probability without the edits",
    "Its probability with the edits",
    "By how much the edits change its probability",
)
_ROW_HEIGHT = 21
_NOTED = 0.0005  # a change below it reads as none
_UNKNOWN = "\N{MIDDLE DOT}"


class EffectView(QWidget):
    """A table of tokens; ``change``, the line for the metric, stands where its owner puts it."""

    def __init__(self) -> None:
        super().__init__()
        self.change = ElidedLabel()
        self.change.setObjectName("edit_metric")
        self.place = ElidedLabel()
        self.table = QTableWidget(0, len(_HEADERS))
        self._dress()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 2, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.place)
        column.addWidget(self.table, 1)

    def _dress(self) -> None:
        table = self.table
        table.setObjectName("effect_table")
        table.setAccessibleName("Predictions without and with the edits")
        for number, (text, tip) in enumerate(zip(_HEADERS, _TIPS, strict=True)):
            head = QTableWidgetItem(text)
            head.setToolTip(tip)
            table.setHorizontalHeaderItem(number, head)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        table.setFont(mono_font(12))
        table.setShowGrid(False)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        table.horizontalHeader().setDefaultAlignment(left)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_effects(self, rows: Sequence[Effect], change: MetricChange | None, place: str) -> None:
        """Show what the edits do at a place of the prompt."""
        self.change.setText("" if change is None else _metric_text(change))
        self.change.setVisible(change is not None)
        self.place.setText(place)
        self.table.setVisible(bool(rows))
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            self._fill(number, row)

    def _fill(self, number: int, row: Effect) -> None:
        ink = colours.GOOD if row.is_answer else colours.INHIBITS if row.is_wrong else colours.TEXT
        change, tone = row.change, colours.TEXT_DIM
        if change is not None and abs(change) >= _NOTED:
            tone = colours.GOOD if change > 0 else colours.BAD
        texts = (
            (row.token, ink), (_share(row.before), colours.TEXT_DIM),
            (_share(row.after), colours.TEXT),
            (_UNKNOWN if change is None else f"{change:+.3f}".replace("-", "\N{MINUS SIGN}"), tone),
        )  # fmt: skip
        for column, (text, colour) in enumerate(texts):
            item = self.table.item(number, column)
            if item is None:
                item = QTableWidgetItem()
                self.table.setItem(number, column, item)
            item.setText(text)
            item.setForeground(QBrush(QColor(colour)))


def _share(probability: float | None) -> str:
    return _UNKNOWN if probability is None else f"{probability:.3f}"


def _metric_text(change: MetricChange) -> str:
    arrow = "\N{RIGHTWARDS ARROW}"
    moved = signed(change.after - change.before)
    ends = f"{change.before:.2f} {arrow} {change.after:.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{ends}  ({moved})  {change.name}"
