"""A plain table one of whose rows can be chosen, by mouse or by arrow keys."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView

from microtome_desktop.views.plain_table import PlainTable


class ChoiceTable(PlainTable):
    """Emits the row that was chosen by hand."""

    chosen = Signal(int)

    def __init__(
        self,
        name: str,
        said: str,
        columns: Sequence[tuple[str, str]],
        *,
        row_height: int,
        widths: Sequence[int] = (),
    ) -> None:
        super().__init__(name, said, columns, row_height=row_height, widths=widths)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.itemSelectionChanged.connect(self._on_selection)

    def set_rows(self, count: int) -> None:
        """Another number of rows, none of them chosen."""
        with QSignalBlocker(self):
            self.setRowCount(0)  # which chooses nothing
            self.setRowCount(count)

    def _on_selection(self) -> None:
        rows = {index.row() for index in self.selectedIndexes()}
        if len(rows) == 1:
            self.chosen.emit(rows.pop())
