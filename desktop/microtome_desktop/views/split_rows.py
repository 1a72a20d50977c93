"""The features of a small dictionary, sorted by how they split."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from PySide6.QtGui import QBrush, QColor, QStandardItem

from microtome_desktop import palette as colours
from microtome_desktop.presenters.splitting import KEYS, TIPS, TITLES, SplitTable
from microtome_desktop.state.features import Labels
from microtome_desktop.views.lazy_rows import LEFT, RIGHT, LazyColumn, LazyRows

_WIDTHS = (56, 90, 58, 62, 56)
_NAME = "label"
_FIRST = "parts"


class SplitRows(LazyRows):
    """Features with how many parts they have, and the largest."""

    def __init__(self) -> None:
        self._table: SplitTable | None = None
        self._labels: Labels = {}
        self._search = ""
        columns = map(LazyColumn, KEYS, TITLES, TIPS, _WIDTHS)
        super().__init__(tuple(columns), _FIRST, _NAME)
        self.setObjectName("split_table")
        self.setAccessibleName("features and their parts")

    def show_table(self, table: SplitTable | None, labels: Labels) -> None:
        """Show another comparison, or none."""
        self._table, self._labels = table, labels
        self._arrange()

    def show_labels(self, labels: Labels) -> None:
        """Some labels differ; the order stays."""
        self._labels = labels
        self._renew()

    def search(self, text: str) -> None:
        """Show only the features that hold a text, or a part that does."""
        self._search = text
        self._arrange()

    def _ordered(self) -> Int[np.ndarray, " row"]:
        table = self._table
        if table is None:
            return np.zeros(0, np.int64)
        key, descending = self.sorted_by()
        order = table.order(key, descending=descending, labels=self._labels)
        shown: Int[np.ndarray, " row"] = order[table.matching(self._search, self._labels)[order]]
        return shown

    def _cells(self, feature: int) -> list[QStandardItem]:
        if self._table is None:
            return []
        made = list[QStandardItem]()
        for key in KEYS:
            item = QStandardItem(self._table.cell(feature, key, self._labels))
            item.setTextAlignment(LEFT if key == _NAME else RIGHT)
            faint = key == "feature" or (key == _NAME and not self._labels.get(feature))
            item.setForeground(QBrush(QColor(colours.TEXT_DIM if faint else colours.TEXT)))
            made.append(item)
        return made
