"""On which inputs a hypothesis is tested, and how often."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from microtome.prompt_sets import PromptSet
from microtome.records.hypothesis import Hypothesis
from microtome_desktop.state.hypotheses import RANDOM, TYPED, ScrubWish
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.fonts import mono_font

_MOST = 4096
_HINT = "one prompt a line; those with the same number of tokens stand in for each other"


class HypothesisInputs(QWidget):
    """A source of inputs, how many of them, scrubbed runs of each, and the seed."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""  # the source that was restored, until another one is chosen
        self.source = Choice()
        self.source.setObjectName("scrub_source")
        self.source.setAccessibleName("inputs of the test")
        self.text = QPlainTextEdit()
        self.text.setObjectName("scrub_text")
        self.text.setAccessibleName("prompts, one a line")
        self.text.setPlaceholderText(_HINT)
        self.text.setTabChangesFocus(True)
        self.text.setFont(mono_font(12))
        self.text.setMinimumHeight(60)
        self.judged = Choice()
        self.judged.setObjectName("scrub_judged")
        self.judged.setAccessibleName("what the model is judged by")
        self.judged.setToolTip("The probability of this token is what is to be recovered")
        self.judged.addItems(["what the model itself says", "the answers of the prompt set"])
        self.count = _number("scrub_count", "inputs", 0, _MOST, 64)
        self.count.setSpecialValueText("all")
        self.draws = _number("scrub_draws", "scrubbed runs of each input", 1, 256, 4)
        self.seed = _number("scrub_seed", "seed of the draws", 0, 1 << 30, 0)
        form = QFormLayout(self)
        form.setContentsMargins(0, 4, 0, 0)
        form.setVerticalSpacing(5)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(_dim("Inputs"), self.source)
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.count, 1)
        line.addWidget(_dim("Draws"))
        line.addWidget(self.draws, 1)
        form.addRow(_dim("Count"), line)
        form.addRow(_dim("Seed"), self.seed)
        form.addRow(_dim("Judge"), self.judged)
        form.addRow(self.text)
        self.offer(())
        self.source.currentIndexChanged.connect(self._on_source)
        self.source.activated.connect(self._on_chosen)
        self.text.textChanged.connect(self.changed)
        self.judged.activated.connect(self._on_number)
        for field in (self.count, self.draws, self.seed):
            field.valueChanged.connect(self._on_number)
        self._on_source(0)

    def offer(self, sets: Sequence[PromptSet]) -> None:
        """Offer these prompt sets beside random and typed inputs."""
        offered = [
            ("Random tokens that come again", RANDOM),
            ("Typed prompts", TYPED),
            *((f"Prompt set: {each.title}", each.name) for each in sets),
        ]
        if offered == [(self.source.itemText(n), self.source.itemData(n))
                       for n in range(self.source.count())]:  # fmt: skip
            return
        held = self._wanted or self.source.currentData()
        with QSignalBlocker(self.source):
            self.source.clear()
            for title, name in offered:
                self.source.addItem(title, name)
        self.source.setCurrentIndex(max(0, self.source.findData(held)))
        self._on_source(0)

    def wish(self, hypothesis: Hypothesis) -> ScrubWish:
        """The test that is set up here."""
        return ScrubWish(
            hypothesis,
            str(self.source.currentData()),
            self.text.toPlainText() if self.source.currentData() == TYPED else "",
            self.count.value(),
            self.draws.value(),
            self.seed.value(),
            by_answer=self._of_set and self.judged.currentIndex() == 1,
        )

    @property
    def _of_set(self) -> bool:
        return self.source.currentData() not in (RANDOM, TYPED)

    @property
    def why_not(self) -> str:
        """What is missing, empty when nothing is."""
        typed = self.source.currentData() == TYPED
        missing = typed and not self.text.toPlainText().strip()
        return "No prompts are typed: see Inputs." if missing else ""

    def show_wish(self, wish: ScrubWish, typed: object = None) -> None:
        """Set everything as a test was asked for, and what was ``typed`` whatever the source."""
        at = self.source.findData(wish.source)
        self._wanted = wish.source  # a set may be offered later, with its model
        if at >= 0:
            self.source.setCurrentIndex(at)
        self.text.setPlainText(typed if isinstance(typed, str) else wish.text)
        for field, value in (
            (self.count, wish.count), (self.draws, wish.draws), (self.seed, wish.seed),
        ):  # fmt: skip
            field.setValue(min(max(value, field.minimum()), field.maximum()))
        self.judged.setCurrentIndex(int(wish.by_answer))
        self._on_source(0)

    def _on_chosen(self, row: int) -> None:
        self._wanted = ""

    def _on_source(self, row: int) -> None:
        self.text.setVisible(self.source.currentData() == TYPED)
        self.judged.setEnabled(self._of_set)
        self.changed.emit()

    def _on_number(self, value: int) -> None:
        self.changed.emit()


def _dim(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("dim")
    return label


def _number(name: str, said: str, least: int, most: int, value: int) -> QSpinBox:
    field = QSpinBox()
    field.setObjectName(name)
    field.setAccessibleName(said)
    field.setToolTip(said.capitalize())
    field.setRange(least, most)
    field.setValue(value)
    field.setProperty("plain", True)
    field.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    field.lineEdit().setTextMargins(7, 0, 0, 0)
    field.setMinimumWidth(40)
    field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return field
