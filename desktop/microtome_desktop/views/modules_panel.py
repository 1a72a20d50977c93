"""Modules: the tree of everything that a model is built of, to be searched and walked."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome.records.modules import ModuleRow
from microtome_desktop import palette as colours
from microtome_desktop.jobs.adapter_requests import ReadModules
from microtome_desktop.presenters.as_python import opening
from microtome_desktop.presenters.modules import HEADERS, NO_MODEL, cells, found, modules_table
from microtome_desktop.state.exports import Table
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.panel import Panel, PanelContext

_OPEN_DEPTH = 3  # levels that stand open at first
_WIDTHS = (300, 190, 150, 260, 90)
_PATH, _LAYER = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


class ModulesPanel(Panel):
    """A field to search in, and the tree below it. A click on a layer of units selects it."""

    name = "modules"
    title = "Modules"
    icon = "mdi6.file-tree-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.field, self.told = QLineEdit(), ElidedLabel()
        self.field.setObjectName("modules_search")
        self.field.setPlaceholderText("Search by name, class or shape")
        self.field.setAccessibleName("search the modules")
        self.field.setClearButtonEnabled(True)
        self.field.setMaximumWidth(320)
        self.tree = QTreeWidget()
        self.tree.setObjectName("modules_tree")
        self.tree.setAccessibleName("modules of the model")
        self.tree.setHeaderLabels(HEADERS)
        self.tree.setUniformRowHeights(True)
        self.tree.setAlternatingRowColors(False)
        self.tree.header().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        for column, width in enumerate(_WIDTHS):
            self.tree.setColumnWidth(column, width)
        self.empty = QLabel(NO_MODEL)
        self.empty.setObjectName("dim")
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._rows: tuple[ModuleRow, ...] = ()
        self._items: dict[str, QTreeWidgetItem] = {}
        self._asked = ""
        self._lay_out()
        self.field.textChanged.connect(self._on_typed)
        self.tree.currentItemChanged.connect(self._on_item)
        context.library.changed.connect(self._on_library)
        self._refill()

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.addWidget(self.field, 2)
        bar.addWidget(self.told, 3)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 6, 8, 6)
        whole.setSpacing(6)
        whole.addLayout(bar)
        whole.addWidget(self.tree, 1)
        whole.addWidget(self.empty, 1)

    def showEvent(self, event: QShowEvent) -> None:
        """Read the tree when somebody looks."""
        super().showEvent(event)
        self._ask()

    def show_model(self) -> None:
        """Another model has other modules."""
        self._refill()
        if self.isVisible():
            self._ask()

    def _ask(self) -> None:
        model = self.context.workspace.model
        if model is None or self.context.library.shelf.modules:
            return
        if self._asked != model.fingerprint:
            self._asked = model.fingerprint
            self.context.ask(ReadModules(model.fingerprint))

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "modules" in changed:
            self._refill()

    def _refill(self) -> None:
        self._rows = self.context.library.shelf.modules
        if not self._rows:
            self._asked = ""
        self.tree.clear()
        self._items = {}
        for row in self._rows:
            self._add(row)
        self.empty.setVisible(self.context.workspace.model is None)
        self.tree.setVisible(self.context.workspace.model is not None)
        self._search()

    def _add(self, row: ModuleRow) -> None:
        item = QTreeWidgetItem(list(cells(row)))
        item.setData(0, _PATH, row.path)
        item.setData(0, _LAYER, row.layer)
        item.setToolTip(0, row.path or row.kind)
        item.setToolTip(3, item.text(3))
        for column in (2, 3, 4):
            item.setFont(column, mono_font(12))
        for column in (1, 3):
            item.setForeground(column, QBrush(QColor(colours.TEXT_DIM)))
        item.setTextAlignment(4, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if row.layer:
            item.setForeground(5, QBrush(QColor(colours.ACCENT)))
        self._items[row.path] = item
        if not row.path:
            self.tree.addTopLevelItem(item)
        else:
            self._items[row.path.rpartition(".")[0]].addChild(item)
        item.setExpanded(row.depth < _OPEN_DEPTH)

    def _on_typed(self) -> None:
        self._search()

    def _search(self) -> None:
        """Show what holds every typed word, with the way there open."""
        wanted = self.field.text()
        kept = found(self._rows, wanted)
        for path, item in self._items.items():
            item.setHidden(path not in kept)
            if wanted.strip() and path in kept:
                item.setExpanded(True)
        count = len(self._rows)
        if wanted.strip():
            leaves = len(kept)
            self.told.setText(f"{leaves:,} of {count:,} modules, with what they are part of")
        else:
            model = self.context.workspace.model
            named = "" if model is None else f" of {model.name}"
            self.told.setText(f"{count:,} modules{named}; shapes are of one run" if count else "")

    def _on_item(self, item: QTreeWidgetItem | None, before: QTreeWidgetItem | None) -> None:
        layer = "" if item is None else item.data(0, _LAYER)
        if layer:
            self.context.selection.update(unit=f"{layer}/0")

    def exported_table(self) -> Callable[[], Table] | str:
        """All modules with their shapes."""
        rows = self._rows
        return (lambda: modules_table(rows)) if rows else NO_MODEL

    def exported_lines(self) -> tuple[str, ...] | str:
        """The call that gives the same tree."""
        model = self.context.workspace.model
        if not self._rows or model is None:
            return NO_MODEL
        return (
            "import microtome as mt",
            "",
            opening(model),
            "for row in mt.module_tree(model):",
            "    print(row.path, row.kind, row.output)",
        )
