"""The left dock: the question, what the model predicts, and the models."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from microtome_desktop.views.model_panel import ModelPanel
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.predictions_panel import PredictionsPanel
from microtome_desktop.views.prompt_panel import PromptPanel

_TREE_HEIGHT = 150


class AskPanel(Panel):
    """Prompt, predictions and models, one above the other; scrolls on a small screen."""

    name = "ask"
    title = "Prompt"
    icon = "mdi6.text-box-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.prompt = PromptPanel(context)
        self.predictions = PredictionsPanel(context)
        self.models = ModelPanel(context)
        self.models.setMinimumHeight(_TREE_HEIGHT)
        inside = QWidget()
        inside.setObjectName("clear")
        column = QVBoxLayout(inside)
        column.setContentsMargins(10, 4, 10, 6)
        column.setSpacing(12)
        column.addWidget(self.prompt)
        column.addWidget(self.predictions)
        column.addWidget(self.models, 1)
        scroll = QScrollArea()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
