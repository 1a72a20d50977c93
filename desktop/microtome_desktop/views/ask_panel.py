"""The left dock: the question, what the model predicts, and the models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.predictions import COUNT
from microtome_desktop.state.exports import Table
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

    def exported_table(self) -> Callable[[], Table] | str:
        """The predictions at the selected position."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return partial(exports.predictions_table, session, self.context.selection.current.position)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The predictions."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        position = self.context.selection.current.position
        return as_python.predictions_lines(session, position, COUNT)
