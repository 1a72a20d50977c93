"""Choosing a prompt pair from the sets made for the loaded model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSpinBox, QWidget

from microtome.prompts import Question
from microtome_desktop.state.draft import DraftText, as_typed
from microtome_desktop.state.library import ModelFacts
from microtome_desktop.views.panel import PanelContext

if TYPE_CHECKING:
    from microtome.prompt_sets import SetPair


class PromptSetPicker(QWidget):
    """A prompt set and the number of a pair in it; a choice fills the prompt fields."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.choice = QComboBox()
        self.choice.setObjectName("prompt_set")
        self.choice.setToolTip("Prompts with known answers, made for this model")
        self.pair = QSpinBox()
        self.pair.setObjectName("prompt_pair")
        self.pair.setAccessibleName("pair of the prompt set")
        self.pair.setToolTip("Which pair of the prompt set")
        self.pair.setKeyboardTracking(False)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.choice, 1)
        layout.addWidget(self.pair)
        self.choice.activated.connect(self._on_set)
        self.pair.valueChanged.connect(self._on_pair)
        context.library.changed.connect(self._on_library)
        context.draft.changed.connect(self._on_draft)
        self._show_facts(context.library.shelf.facts)

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "facts" in changed:
            self._show_facts(self._context.library.shelf.facts)

    def _show_facts(self, facts: ModelFacts) -> None:
        self.choice.clear()
        self.choice.addItem("Own prompt")
        for held in facts.prompt_sets:
            self.choice.addItem(held.title, held)
        self.setVisible(bool(facts.prompt_sets))
        self.pair.hide()

    def _on_set(self, index: int) -> None:
        held = self.choice.itemData(index)
        self.pair.setVisible(held is not None)
        if held is None:
            return
        self.pair.blockSignals(True)
        self.pair.setRange(1, len(held.pairs))
        self.pair.setSuffix(f" of {len(held.pairs)}")
        self.pair.setValue(1)
        self.pair.blockSignals(False)
        self._on_pair(1)

    def _on_pair(self, number: int) -> None:
        held = self.choice.currentData()
        if held is not None:
            self._context.draft.update(**_fields(held.pairs[number - 1]))

    def _on_draft(self, text: DraftText) -> None:
        """A pair that was changed by hand is nobody's any more."""
        held = self.choice.currentData()
        if held is None:
            return
        pair = _fields(held.pairs[self.pair.value() - 1])
        if any(getattr(text, name) != value for name, value in pair.items()):
            self.choice.setCurrentIndex(0)
            self.pair.hide()


def _fields(pair: SetPair) -> dict[str, str]:
    """The prompt fields of a pair."""
    return as_typed(Question(pair.clean, pair.corrupt, pair.answer, pair.wrong))
