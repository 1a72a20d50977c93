"""A table that is only read: no grid, no selection, as many rows as there is to say."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor, QIcon
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.icons import icon


class PlainTable(QTableWidget):
    """Columns of equal width, or of ``widths`` pixels behind a first one that takes the rest."""

    def __init__(
        self,
        name: str,
        said: str,
        columns: Sequence[tuple[str, str]],
        *,
        row_height: int,
        widths: Sequence[int] = (),
    ) -> None:
        """``columns`` are titles and their tool tips; ``said`` is what a screen reader says."""
        super().__init__(0, len(columns))
        self.setObjectName(name)
        self.setAccessibleName(said)
        for number, (title, tip) in enumerate(columns):
            head = QTableWidgetItem(title)
            head.setToolTip(tip)
            self.setHorizontalHeaderItem(number, head)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(row_height)
        self.setFont(mono_font(12))
        self.setShowGrid(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setTabKeyNavigation(False)  # arrows go through the cells, Tab leaves
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._share(widths)

    def _share(self, widths: Sequence[int]) -> None:
        header, mode = self.horizontalHeader(), QHeaderView.ResizeMode
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(mode.Fixed if widths else mode.Stretch)
        header.setSectionResizeMode(0, mode.Stretch)
        for number, width in enumerate(widths, start=1):
            self.setColumnWidth(number, width)

    def mark(self, row: int, sign: str, said: str) -> None:
        """Put a sign before the first cell of a row, for who sees no colours; none for no sign."""
        item = self.item(row, 0)
        if item is not None:
            item.setIcon(icon(sign, item.foreground().color().name()) if sign else QIcon())
            told = f"{item.text()}, {said}" if said else item.text()
            item.setData(Qt.ItemDataRole.AccessibleTextRole, told)

    def write(self, row: int, cells: Sequence[tuple[str, str]], tips: Sequence[str] = ()) -> None:
        """Put texts, each with its colour, into a row; the cells that are there stay."""
        for column, (text, colour) in enumerate(cells):
            item = self.item(row, column)
            if item is None:
                item = QTableWidgetItem()
                self.setItem(row, column, item)
            item.setText(text)
            item.setForeground(QBrush(QColor(colour)))
            if tips:
                item.setToolTip(tips[column])
