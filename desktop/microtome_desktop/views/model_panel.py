"""The models that can be loaded, as a tree."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QBrush, QColor, QPainter
from PySide6.QtWidgets import (
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.presenters.adapters import named
from microtome_desktop.presenters.models import ModelRow, model_rows
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import Panel, PanelContext

AnyIndex = QModelIndex | QPersistentModelIndex
_NAME, _ADAPTER = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


class _Tree(QTreeWidget):
    """A tree whose chosen line is marked from its picture on, not in the room left of it."""

    def drawBranches(self, painter: QPainter, rect: QRect, index: AnyIndex) -> None:
        """Nothing: the library has painted the mark of the line here as a square of its own."""
        painter.fillRect(rect, QColor(colours.CARD))
        super().drawBranches(painter, rect, index)


class ModelPanel(Panel):
    """Embedded models with their checkpoints, recent models, and the way to others."""

    name = "models"
    title = "Models"
    icon = "mdi6.cube-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        title = QLabel("Models")
        title.setObjectName("section")
        self.tree = _Tree()
        self.tree.setObjectName("models_tree")
        self.tree.setAccessibleName("models")
        self.tree.setHeaderHidden(True)
        self.tree.setIndentation(16)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.open_folder = QPushButton("Open folder…")
        self.open_folder.setObjectName("open_model_folder")
        self.open_folder.setToolTip("Load a model from a folder of this machine")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(title)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.open_folder)
        self.tree.itemActivated.connect(self._on_activated)
        self.open_folder.clicked.connect(self._on_open_folder)
        context.library.changed.connect(self._on_library)
        context.settings.recent_changed.connect(self._refill)
        self._refill()

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if changed & {"embedded", "loading", "coverage"}:
            self._refill()

    def _on_open_folder(self) -> None:
        self.context.do(CommandId.OPEN_MODEL_FOLDER)

    def _on_activated(self, item: QTreeWidgetItem, column: int) -> None:
        name = item.data(0, _NAME)
        if item.data(0, _ADAPTER):  # its code runs only on the word of the dialog
            self.context.do(CommandId.OPEN_ADAPTER)
        elif name:
            recent = name in self.context.settings.recent_models
            device = self.context.settings.device
            self.context.ask(LoadModel(name, device, remember=recent))

    def show_model(self) -> None:
        """Mark the model that is loaded and show its facts."""
        self._refill()

    def _refill(self) -> None:
        shelf = self.context.library.shelf
        rows = model_rows(shelf, self.context.settings.recent_models, self.context.workspace.model)
        self.tree.clear()
        for row in rows:
            item = self._item(row, shelf.loading)
            self.tree.addTopLevelItem(item)
            item.setExpanded(row.loaded or any(child.loaded for child in row.children))
            item.setSelected(row.loaded)
        for adapter, weights in self.context.settings.adapters:
            item = QTreeWidgetItem([named(adapter, weights)])
            item.setData(0, _ADAPTER, adapter)
            item.setIcon(0, icon("mdi6.power-plug-outline", colours.TEXT_FAINT))
            item.setToolTip(0, f"{adapter}: double-click to open this adapter")
            self.tree.addTopLevelItem(item)

    def _item(self, row: ModelRow, loading: str) -> QTreeWidgetItem:
        waiting = bool(row.name) and row.name == loading
        item = QTreeWidgetItem([f"{row.text}   loading…" if waiting else row.text])
        item.setData(0, _NAME, row.name)
        item.setToolTip(0, row.tip)
        if row.children or row.name:
            colour = colours.ACCENT if row.loaded else colours.TEXT_FAINT
            item.setIcon(0, icon("mdi6.image-outline" if row.sees else "mdi6.cube-outline", colour))
        if not row.name:
            item.setForeground(0, QBrush(QColor(colours.TEXT_DIM)))
            item.setFlags(Qt.ItemFlag.ItemIsEnabled)
        for child in row.children:
            item.addChild(self._item(child, loading))
        return item
