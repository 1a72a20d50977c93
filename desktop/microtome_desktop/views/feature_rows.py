"""The table of all features: their figures, what they are on at, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Int
from PySide6.QtGui import QBrush, QColor, QStandardItem

from microtome_desktop import palette as colours
from microtome_desktop.presenters.feature_table import COLUMNS, KEYS, NOTHING, FeatureTable
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels, Notes
from microtome_desktop.views.density_bars import DensityBars
from microtome_desktop.views.feature_columns import FeatureColumns
from microtome_desktop.views.hover_tip import tip_lines
from microtome_desktop.views.lazy_rows import LEFT, RIGHT, LazyColumn, LazyRows

_WIDTHS = {
    "feature": 46, "label": 108, "score": 46, "density": 78, "rate": 62, "mean": 56, "peak": 56,
    "purity": 78, "words": 58, "token": 128, "raised": 170, "lowered": 150, "alike": 82,
    "together": 82, "note": 160,
}  # fmt: skip
_DIM = frozenset({"feature", "purity", "words", "lowered", "alike", "together"})
_TOLD = frozenset({"label", "token", "raised", "lowered", "note"})  # whole in a tool tip
_FREE = "\N{NO-BREAK SPACE}" * 3
_FIRST = "rate"  # what the table is sorted by at first


class FeatureRows(LazyRows):
    """Features with a histogram each; what is typed or noted of them is shown too."""

    def __init__(self) -> None:
        self.table: FeatureTable | None = None
        self._labels: Labels = {}
        self._notes: Notes = NOTHING
        self._search = ""
        columns = [  # the sign of the sorted column stands at the right end
            LazyColumn(
                each.key, each.title + _FREE * each.right, each.tip, _WIDTHS[each.key], each.right
            )
            for each in COLUMNS
        ]
        super().__init__(columns, _FIRST, "raised")
        self.setObjectName("feature_table")
        self.setAccessibleName("features")
        self.columns = FeatureColumns(self.horizontalHeader())
        self.setItemDelegateForColumn(KEYS.index("density"), DensityBars(self._bars, self))

    # what is shown

    def show_table(
        self, table: FeatureTable | None, labels: Labels, notes: Notes = NOTHING
    ) -> None:
        """Show the features of another index, or none."""
        self.table, self._labels, self._notes = table, labels, notes
        self._show_columns()
        self._arrange()

    def show_labels(
        self, table: FeatureTable | None, labels: Labels, notes: Notes = NOTHING
    ) -> None:
        """Some labels or notes differ; the order stays until it is asked for again."""
        self.table, self._labels, self._notes = table, labels, notes
        self._show_columns()
        self._renew()

    def _show_columns(self) -> None:
        scores = None if self.table is None else self.table.figures["score"]
        any_score = scores is not None and not np.isnan(scores).all()
        self.columns.show_some(note=bool(self._notes), score=bool(any_score))

    def search(self, text: str) -> None:
        """Show only the features that hold a text."""
        self._search = text
        self._arrange()

    def exported(self) -> Callable[[], Table] | None:
        """What makes the table of the shown rows, in their order."""
        if self.table is None:
            return None
        return partial(self.table.exported, self.rows, dict(self._labels), dict(self._notes))

    def _ordered(self) -> Int[np.ndarray, " row"]:
        table = self.table
        if table is None:
            return np.zeros(0, np.int64)
        key, descending = self.sorted_by()
        kept = table.matching(self._search, self._labels, self._notes)
        return table.order(
            key, descending=descending, labels=self._labels, rows=kept, notes=self._notes
        )

    def _cells(self, feature: int) -> list[QStandardItem]:
        if self.table is None:
            return []
        named, made = bool(self._labels.get(feature)), list[QStandardItem]()
        for column in COLUMNS:
            item = QStandardItem(self.table.cell(feature, column.key, self._labels, self._notes))
            item.setTextAlignment(RIGHT if column.right else LEFT)
            faint = column.key == "label" and not named
            tone = colours.TEXT_FAINT if faint else colours.TEXT
            item.setForeground(QBrush(QColor(colours.TEXT_DIM if column.key in _DIM else tone)))
            if column.key in _TOLD:
                told = self._notes.get(feature, "") if column.key == "note" else item.text()
                item.setToolTip(tip_lines(told))
            made.append(item)
        return made

    def _bars(self, row: int) -> np.ndarray | None:
        table = self.table
        return None if table is None else table.densities.heights[self.rows[row]]
