"""A table of units with a few columns of numbers or names, sorted by any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from PySide6.QtGui import QBrush, QColor, QStandardItem

from microtome_desktop import palette as colours
from microtome_desktop.views.lazy_rows import LEFT, RIGHT, LazyColumn, LazyRows


class NumberRows(LazyRows):
    """Rows of arrays, one a column, by the columns' keys; ``signed`` ones are coloured."""

    def __init__(
        self,
        columns: Sequence[LazyColumn],
        first: str,
        wide: str,
        *,
        formats: Mapping[str, str] | None = None,
        signed: Sequence[str] = (),
    ) -> None:
        self._values: Mapping[str, NDArray[Any]] = {}
        self._formats, self._signed = formats or {}, frozenset(signed)
        super().__init__(columns, first, wide)

    def show_values(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Show other rows; every column is an array as long as the others."""
        self._values = values
        self._arrange()

    def _ordered(self) -> Int[np.ndarray, " row"]:
        key, falling = self.sorted_by()
        held = self._values.get(key)
        if held is None:
            return np.zeros(0, np.int64)
        if held.dtype.kind in "US":
            order = np.argsort(held, kind="stable")
            return np.asarray(order[::-1] if falling else order)
        numbers = held.astype(np.float64)
        ranked = np.where(np.isnan(numbers), -np.inf if falling else np.inf, numbers)
        return np.argsort(-ranked if falling else ranked, kind="stable")

    def _cells(self, feature: int) -> list[QStandardItem]:
        made = list[QStandardItem]()
        for column in self._columns:
            value = self._values[column.key][feature]
            item = QStandardItem(_text(value, self._formats.get(column.key, ".3g")))
            item.setTextAlignment(RIGHT if column.right else LEFT)
            item.setForeground(QBrush(QColor(self._colour(column.key, value))))
            made.append(item)
        return made

    def _colour(self, key: str, value: Any) -> str:
        if key not in self._signed or not np.isfinite(value) or value == 0:
            return colours.TEXT
        return colours.EXCITES if value > 0 else colours.INHIBITS


def _text(value: Any, wanted: str) -> str:
    if isinstance(value, str | np.str_):
        return str(value)
    if not np.isfinite(value):
        return "–" if np.isnan(value) else "∞" if value > 0 else "−∞"
    return format(value, wanted).replace("-", "−") if value else "0"
