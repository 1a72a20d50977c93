"""The settings of a search for a circuit: over which prompts, by which method, and how."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QHBoxLayout, QLabel, QWidget

from microtome.circuits.discovery.methods import ABLATIONS, METHODS
from microtome.prompt_sets import PromptSet
from microtome.prompts import Question
from microtome_desktop.presenters.discovery_choice import SHORT, method_tip
from microtome_desktop.presenters.sweep_choice import as_typed_beside, with_answers
from microtome_desktop.state.discoveries import WITH_STEPS, WITH_TAU, Search, fixed
from microtome_desktop.state.sweeps import METRICS, NO_ANSWER
from microtome_desktop.views.form_fields import choice, field, make_plain, spin
from microtome_desktop.views.text_flow import flow, renew

FILE = "From a file…"
_PAIR, _THEMSELVES = "This pair", "The prompts themselves"
_FIRST_PAIRS = 32
_BY_POSITION = (
    "Score each edge at every position by itself instead of their sum: at which tokens it works."
    "\nOf a prompt set the pairs of the commonest length are taken."
    "\nNot for exact patching and ACDC."
)
_ABLATION_TIPS = {
    "resample": "A removed edge brings what its writer adds in the corrupt run",
    "zero": "A removed edge brings nothing: furthest from the model's data",
    "mean": "A removed edge brings its writer's mean over prompts and positions",
    "position mean": "A removed edge brings its writer's mean at each position",
}


class DiscoveryControls(QWidget):
    """Fields of a ``Search``; ``bar`` holds the first of them, this widget the others."""

    changed = Signal()
    file_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._question: Question | None = None
        self._sets: tuple[PromptSet, ...] = ()
        self.awaited = ""  # the set that is being read, to be chosen when it is there
        self.data = choice("discovery_data", "prompts", [_PAIR, FILE])
        self.count = spin("discovery_count", "pairs of the prompt set, from its beginning", 1, 1)
        self.method = choice("discovery_method", "method", SHORT.values())
        self.ablation = choice("discovery_ablation", "what takes an edge's place", ABLATIONS)
        self.measure = choice("discovery_metric", "metric", METRICS.values())
        self.answer = field("discovery_answer", "answer")
        self.wrong = field("discovery_wrong", "wrong")
        self.over = choice("discovery_over", "mean over", [_THEMSELVES])
        self.steps = spin("discovery_steps", "steps of integrated gradients", 1, 200, 5)
        self.tau = QDoubleSpinBox()
        self.by_position = QCheckBox("By position")
        self._dress()
        self._lay_out()
        self._listen()
        self._show_fields()

    def _dress(self) -> None:
        self.tau.setObjectName("discovery_tau")
        self.tau.setAccessibleName("tau of ACDC")
        self.tau.setToolTip("What the metric may lose by one edge")
        self.tau.setDecimals(4)
        self.tau.setRange(0.0001, 100.0)
        self.tau.setSingleStep(0.01)
        self.tau.setValue(0.01)
        make_plain(self.tau)
        self.by_position.setObjectName("discovery_by_position")
        self.by_position.setToolTip(_BY_POSITION)
        self.by_position.setMinimumHeight(self.ablation.sizeHint().height())  # on one line
        for at, name in enumerate(METHODS):
            self.method.setItemData(at, method_tip(name), Qt.ItemDataRole.ToolTipRole)
        for at, name in enumerate(ABLATIONS):
            self.ablation.setItemData(at, _ABLATION_TIPS[name], Qt.ItemDataRole.ToolTipRole)

    def _lay_out(self) -> None:
        self._row = flow(self, top=0, bottom=2)
        self._row.setContentsMargins(0, 0, 0, 2)
        self._held = {
            "ablation": _labelled("Ablation", self.ablation),
            "over": _labelled("mean over", self.over),
            "metric": _labelled("Metric", self.measure),
            "answer": _labelled("", self.answer, self.wrong),
            "steps": _labelled("Steps", self.steps),
            "tau": _labelled("τ", self.tau),
            "by_position": _labelled("", self.by_position),
        }
        for part in self._held.values():
            self._row.addWidget(part)

    def _listen(self) -> None:
        for box in (self.method, self.ablation, self.measure, self.over):
            box.currentIndexChanged.connect(self._on_change)
        self.data.currentIndexChanged.connect(self._on_data)
        self.by_position.toggled.connect(self._on_change)
        for number in (self.count, self.steps, self.tau):
            number.valueChanged.connect(self._on_change)
        for line in (self.answer, self.wrong):
            line.textChanged.connect(self._on_change)

    def _on_change(self, *_: object) -> None:
        self._show_fields()
        self.changed.emit()

    def _on_data(self, index: int) -> None:
        if self.data.currentText() != FILE:
            self._on_change()
            return
        with QSignalBlocker(self.data):
            self.data.setCurrentIndex(0)
        self._on_change()
        self.file_asked.emit()

    @property
    def _method(self) -> str:
        return list(METHODS)[max(0, self.method.currentIndex())]

    @property
    def _metric(self) -> str:
        return list(METRICS)[max(0, self.measure.currentIndex())]

    @property
    def _set(self) -> PromptSet | None:
        at = self.data.currentIndex() - 1
        return self._sets[at] if 0 <= at < len(self._sets) else None

    def _show_fields(self) -> None:
        held = self._set
        shown = {
            "over": "mean" in self.ablation.currentText(),
            "answer": held is None and self._metric not in NO_ANSWER,
            "steps": self._method in WITH_STEPS,
            "tau": self._method in WITH_TAU,
        }
        for name, on in shown.items():
            self._held[name].setVisible(on)
        self.method.setToolTip(method_tip(self._method))
        self.ablation.setToolTip(_ABLATION_TIPS[self.ablation.currentText()])
        self.count.setVisible(held is not None)
        most = 1 if held is None else len(held.pairs)
        if most != self.count.maximum():
            with QSignalBlocker(self.count):
                self.count.setMaximum(most)
                self.count.setValue(min(most, _FIRST_PAIRS))
                self.count.setSuffix(f" of {most}")
        renew(self, self._row)

    def show_question(self, question: Question | None) -> None:
        """The pair that is on screen."""
        self._question = question
        for line, name in ((self.answer, "answer"), (self.wrong, "wrong")):
            held = None if question is None else getattr(question, name)
            line.setPlaceholderText(f"{name}: {held}" if held is not None else name)

    def offer_sets(self, sets: Sequence[PromptSet]) -> None:
        """Offer these prompt sets; a chosen one stays chosen if it is among them."""
        if tuple(sets) == self._sets:
            return
        self._sets = tuple(sets)
        titles = [held.title for held in sets]
        entries = ((self.data, [_PAIR, *titles, FILE]), (self.over, [_THEMSELVES, *titles]))
        for box, texts in entries:
            chosen = box.currentText()
            with QSignalBlocker(box):
                box.clear()
                box.addItems(texts)
                box.setCurrentIndex(max(0, box.findText(chosen)))
        names = [held.name for held in sets]
        if self.awaited in names:
            self.data.setCurrentIndex(names.index(self.awaited) + 1)
            self.awaited = ""
        self._show_fields()

    def search(self) -> Search:
        """What is asked for, as it stands here."""
        held, ablation = self._set, self.ablation.currentText()
        typed = with_answers(self._question, self.answer.text(), self.wrong.text())
        at = self.over.currentIndex() - 1
        means = "mean" in ablation
        return Search(
            typed if held is None else None,
            method=self._method,
            ablation=ablation,
            metric=self._metric,
            data="" if held is None else held.name,
            count=0 if held is None else self.count.value(),
            over=self._sets[at].name if means and at >= 0 else "",
            steps=self.steps.value() if self._method in WITH_STEPS else 5,
            tau=self.tau.value() if self._method in WITH_TAU else 0.01,
            by_position=self.by_position.isChecked(),
        )

    def show_search(self, search: Search) -> None:
        """Set everything as a search has it."""
        with QSignalBlocker(self):
            self.method.setCurrentText(SHORT[search.method])
            self.ablation.setCurrentText(search.ablation)
            self.measure.setCurrentText(METRICS[search.metric])
            names = [held.name for held in self._sets]
            self.data.setCurrentIndex(names.index(search.data) + 1 if search.data in names else 0)
            self.over.setCurrentIndex(names.index(search.over) + 1 if search.over in names else 0)
            self.count.setValue(search.count or self.count.value())
            self.steps.setValue(search.steps)
            self.tau.setValue(search.tau)
            self.by_position.setChecked(search.by_position)
            for line, name in ((self.answer, "answer"), (self.wrong, "wrong")):
                line.setText(as_typed_beside(search.question, self._question, name))
        self._show_fields()

    def use(self, name: str, value: str) -> None:
        """Mend one field of the search."""
        self.show_search(fixed(self.search(), name, value))
        self.changed.emit()


def _labelled(text: str, *parts: QWidget) -> QWidget:
    held = QWidget()
    row = QHBoxLayout(held)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(5)
    if text:
        label = QLabel(text)
        label.setObjectName("dim")
        row.addWidget(label)
    for part in parts:
        row.addWidget(part)
    return held
