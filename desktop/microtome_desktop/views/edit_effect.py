"""What the edits do: the metric and the predictions, without and with them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_text import signed
from microtome_desktop.presenters.edits import Effect, MetricChange
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.plain_table import PlainTable

_COLUMNS = (
    ("token", "The most probable next tokens, without or with the edits"),
    ("before", "Its probability without the edits"),
    ("after", "Its probability with the edits"),
    ("\N{GREEK CAPITAL LETTER DELTA}", "By how much the edits change its probability"),
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
        said = "Predictions without and with the edits"
        self.table = PlainTable("effect_table", said, _COLUMNS, row_height=_ROW_HEIGHT)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 2, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.place)
        column.addWidget(self.table, 1)

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
        self.table.write(number, texts)
        sign = "mdi6.check" if row.is_answer else "mdi6.close" if row.is_wrong else ""
        part = "the answer" if row.is_answer else "the wrong answer" if row.is_wrong else ""
        self.table.mark(number, sign, part)


def _share(probability: float | None) -> str:
    return _UNKNOWN if probability is None else f"{probability:.3f}"


def _metric_text(change: MetricChange) -> str:
    arrow = "\N{RIGHTWARDS ARROW}"
    moved = signed(change.after - change.before)
    ends = f"{change.before:.2f} {arrow} {change.after:.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{ends}  ({moved})  {change.name}"
