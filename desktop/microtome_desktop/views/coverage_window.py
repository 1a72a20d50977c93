"""A window that lists what of the loaded model can be seen, and what cannot and why."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome.records.coverage import Coverage
from microtome_desktop import palette as colours
from microtome_desktop.presenters.coverage import Line, coverage_lines
from microtome_desktop.views.icons import icon


class CoverageWindow(QDialog):
    """A row for each panel and each site; does not block the window."""

    def __init__(self, held: Coverage, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"What can be seen of {held.model}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.summary = QLabel(held.summary)
        self.summary.setWordWrap(True)
        self.table = QTreeWidget()
        self.table.setAccessibleName("what can be seen of the model")
        self.table.setObjectName("coverage")
        self.table.setHeaderLabels(["What", "Why not"])
        for line in coverage_lines(held):
            item = _item(line)
            self.table.addTopLevelItem(item)
            item.setExpanded(True)
        header = self.table.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(self.summary)
        layout.addWidget(self.table)
        layout.addWidget(buttons)
        self.resize(1080, 600)


def _item(line: Line) -> QTreeWidgetItem:
    item = QTreeWidgetItem([line.text, line.reason])
    item.setToolTip(1, line.reason)
    if not line.rows:
        name, colour = ("mdi6.check", colours.GOOD) if line.there else ("mdi6.minus", colours.WARM)
        item.setIcon(0, icon(name, colour))
        item.setForeground(1, QBrush(QColor(colours.TEXT_DIM)))
    for row in line.rows:
        item.addChild(_item(row))
    return item
