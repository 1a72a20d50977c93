"""The settings of a sweep: how, over which prompts, by which metric."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome.prompt_sets import PromptSet
from microtome.prompts import Question
from microtome_desktop.presenters.sweep_choice import as_typed_beside, typed_span, with_answers
from microtome_desktop.state.sweeps import (
    ABLATING,
    DENOISING,
    MEAN,
    METRICS,
    MODES,
    NEURON,
    NO_ANSWER,
    SWEPT,
    Swept,
    Wish,
)
from microtome_desktop.views.form_fields import choice, field, make_plain, spin
from microtome_desktop.views.space_bar import small_button

_MOST_BUDGET = 65_536
_FILE = "From a file…"
_ROW, _TITLES = 28, 64  # pixels: how high a row is, how wide its title


class SweepControls(QWidget):
    """A form whose rows are those that what is swept needs. ``changed`` at every change."""

    changed = Signal()
    selected_asked = Signal()  # the selected token as the span
    file_asked = Signal()  # a prompt set from a file

    def __init__(self) -> None:
        super().__init__()
        self._question: Question | None = None
        self.awaited = ""  # the set that is being read, to be chosen when it is there
        self._sets: tuple[PromptSet, ...] = ()
        self.what = choice("sweep_what", "what is swept", [row.title for row in SWEPT])
        self.mode = choice("sweep_mode", "which way", MODES.values())
        self.data = choice("sweep_data", "prompts", ["This pair", _FILE])
        self.count = spin("sweep_count", "pairs", 1, 1)
        self.measure = choice("sweep_metric", "metric", METRICS.values())
        self.answer, self.wrong = field("sweep_answer", "answer"), field("sweep_wrong", "wrong")
        self.layer = spin("sweep_layer", "layer", 0, 0)
        self.over = choice("sweep_over", "mean over", ["The prompts themselves"])
        self.span = field("sweep_span", "tokens, as 2-4")
        self.of_selected = small_button("mdi6.cursor-text", "Take the selected token")
        self.noise = QDoubleSpinBox()
        self.samples = spin("sweep_samples", "samples", 1, 1000, 10)
        self.seed = spin("sweep_seed", "seed", 0, 2**31 - 1)
        self.align = QCheckBox("match tokens of prompts of unequal length")
        self.budget = spin("sweep_budget", "memory in MiB", 1, _MOST_BUDGET, 256)
        for at, row in enumerate(SWEPT):
            self.what.setItemData(at, row.tip, Qt.ItemDataRole.ToolTipRole)
        self._dress()
        self._lay_out()
        self._listen()
        self._show_rows()

    def _dress(self) -> None:
        self.noise.setObjectName("sweep_noise")
        self.noise.setAccessibleName("noise of the corrupt runs")
        self.noise.setRange(0.1, 100.0)
        self.noise.setSingleStep(0.5)
        self.noise.setDecimals(1)
        make_plain(self.noise)
        self.noise.setValue(3.0)
        self.noise.setToolTip("Noise in standard deviations of the token embeddings")
        self.noise.setSuffix(" σ")
        self.samples.setSuffix(" samples")
        self.seed.setPrefix("seed ")
        self.samples.setToolTip("Over how many draws of noise the mean is taken")
        self.align.setObjectName("sweep_align")
        self.align.setToolTip("Patch each token from the one that it corresponds to")
        self.budget.setSuffix(" MiB")
        self.budget.setToolTip("Memory that the sweep may take; less makes it slower")
        self.budget.setKeyboardTracking(False)
        self.count.setToolTip("How many pairs of the prompt set, from its beginning")

    def _lay_out(self) -> None:
        rows: dict[str, tuple[str, tuple[QWidget, ...]]] = {
            "mode": ("Way", (self.mode,)),
            "data": ("Prompts", (self.data, self.count)),
            "metric": ("Metric", (self.measure,)),
            "answer": ("Answer", (self.answer, self.wrong)),
            "layer": ("Layer", (self.layer,)),
            "over": ("Mean over", (self.over,)),
            "span": ("Noise on", (self.span, self.of_selected)),
            "noise": ("Noise", (self.noise, self.samples)),
            "align": ("Align", (self.align,)),
            "budget": ("Memory", (self.budget, self.seed)),
        }
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        self._rows = {name: _row(title, parts) for name, (title, parts) in rows.items()}
        for row in self._rows.values():
            column.addWidget(row)
        self._unequal = False

    def _listen(self) -> None:
        for box in (self.what, self.mode, self.measure, self.over):
            box.currentIndexChanged.connect(self._on_change)
        self.data.currentIndexChanged.connect(self._on_data)
        for number in (self.count, self.layer, self.samples, self.seed, self.budget, self.noise):
            number.valueChanged.connect(self._on_change)
        for line in (self.answer, self.wrong, self.span):
            line.textChanged.connect(self._on_change)
        self.align.toggled.connect(self._on_change)
        self.of_selected.clicked.connect(self.selected_asked)

    def _on_change(self, *_: object) -> None:
        self._show_rows()
        self.changed.emit()

    def _on_data(self, index: int) -> None:
        if self.data.currentText() != _FILE:
            self._on_change()
            return
        with QSignalBlocker(self.data):
            self.data.setCurrentIndex(0)
        self._on_change()
        self.file_asked.emit()

    @property
    def row(self) -> Swept:
        """What is chosen to be swept."""
        return SWEPT[max(0, self.what.currentIndex())]

    @property
    def _mode(self) -> str:
        return list(MODES)[max(0, self.mode.currentIndex())]

    @property
    def _metric(self) -> str:
        return list(METRICS)[max(0, self.measure.currentIndex())]

    @property
    def _set(self) -> PromptSet | None:
        at = self.data.currentIndex() - 1
        return self._sets[at] if 0 <= at < len(self._sets) else None

    def _show_rows(self) -> None:
        row, held = self.row, self._set
        shown = {
            "mode": not row.causal,
            "data": not row.causal,
            "answer": self._metric not in NO_ANSWER and (held is None or row.causal),
            "layer": row.by == NEURON,
            "over": not row.causal and self._mode == MEAN,
            "span": row.causal,
            "noise": row.causal,
            "align": (self._unequal or self.align.isChecked())
            and not row.causal
            and self._mode not in ABLATING,
        }
        self.what.setToolTip(row.tip)
        for name, on in shown.items():
            self._rows[name].setVisible(on)
        self.count.setVisible(held is not None)
        self.seed.setVisible(row.causal)
        most = 1 if held is None else len(held.pairs)
        if most != self.count.maximum():
            with QSignalBlocker(self.count):
                self.count.setMaximum(most)
                self.count.setValue(min(most, 32))
                self.count.setSuffix(f" of {most}")

    def show_question(self, question: Question | None, layers: int) -> None:
        """The pair that is on screen, and how many layers its model has."""
        self._question = question
        with QSignalBlocker(self.layer):
            self.layer.setMaximum(max(0, layers - 1))
        for line, name in ((self.answer, "answer"), (self.wrong, "wrong")):
            held = None if question is None else getattr(question, name)
            line.setPlaceholderText(f"{name}: {held}" if held is not None else name)

    def offer_sets(self, sets: Sequence[PromptSet]) -> None:
        """Offer these prompt sets; a chosen one stays chosen if it is among them."""
        if tuple(sets) == self._sets:
            return
        self._sets = tuple(sets)
        titles = [held.title for held in sets]
        for box, entries in (
            (self.data, ["This pair", *titles, _FILE]),
            (self.over, ["The prompts themselves", *titles]),
        ):
            chosen = box.currentText()
            with QSignalBlocker(box):
                box.clear()
                box.addItems(entries)
                box.setCurrentIndex(max(0, box.findText(chosen)))
        names = [held.name for held in sets]
        if self.awaited in names:
            self.data.setCurrentIndex(names.index(self.awaited) + 1)
            self.awaited = ""
        self._show_rows()

    @property
    def unequal(self) -> bool:
        """Whether it is offered to align the prompts."""
        return self._unequal

    def show_unequal(self, *, unequal: bool) -> None:
        """Offer to align, or not any more."""
        if unequal != self._unequal:
            self._unequal = unequal
            self._show_rows()

    def wish(self) -> Wish:
        """What is asked for, as it stands here."""
        row, held, question = self.row, self._set, self._question
        alone = held is None or row.causal
        ablates = self._mode in ABLATING and not row.causal
        at = self.over.currentIndex() - 1
        over = self._sets[at].name if ablates and self._mode == MEAN and at >= 0 else ""
        typed = with_answers(question, self.answer.text(), self.wrong.text()) if alone else None
        single = row.causal or (ablates and (self._mode != MEAN or bool(over)))
        if typed is not None and single:
            typed = Question(typed.prompt, None, typed.answer, typed.wrong)
        return Wish(
            typed,
            what=row.name,
            mode=DENOISING if row.causal else self._mode,
            metric=self._metric,
            data="" if alone or held is None else held.name,
            count=0 if alone else self.count.value(),
            layer=self.layer.value() if row.by == NEURON else None,
            over=over,
            align=self.align.isChecked() and not ablates and not row.causal,
            span=typed_span(self.span.text()) if row.causal else None,
            noise=self.noise.value() if row.causal else 3.0,
            samples=self.samples.value() if row.causal else 10,
            seed=self.seed.value(),
            budget=self.budget.value(),
        )

    def show_wish(self, wish: Wish) -> None:
        """Set everything as a wish has it."""
        with QSignalBlocker(self):
            self.what.setCurrentText(wish.row.title)
            self.mode.setCurrentText(MODES.get(wish.mode, ""))
            self.measure.setCurrentText(METRICS.get(wish.metric, ""))
            names = [held.name for held in self._sets]
            self.data.setCurrentIndex(names.index(wish.data) + 1 if wish.data in names else 0)
            self.over.setCurrentIndex(names.index(wish.over) + 1 if wish.over in names else 0)
            self.count.setValue(wish.count or self.count.value())
            self.layer.setValue(wish.layer or 0)
            self.align.setChecked(wish.align)
            self.span.setText("" if wish.span is None else f"{wish.span[0]}-{wish.span[1] - 1}")
            self.noise.setValue(wish.noise)
            self.samples.setValue(wish.samples)
            self.seed.setValue(wish.seed)
            self.budget.setValue(wish.budget)
            for line, name in ((self.answer, "answer"), (self.wrong, "wrong")):
                line.setText(as_typed_beside(wish.question, self._question, name))
        self._show_rows()


def _row(title: str, parts: Sequence[QWidget]) -> QWidget:
    """A line of the form; its first part takes the room, or all fields do."""
    held = QWidget()
    held.setFixedHeight(_ROW)  # whatever is above and below, what is to be chosen stays readable
    line = QHBoxLayout(held)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(6)
    label = QLabel(title)
    label.setObjectName("dim")
    label.setFixedWidth(_TITLES)
    line.addWidget(label)
    for number, part in enumerate(parts):
        shares = not number or isinstance(part, QLineEdit)
        line.addWidget(part, 1 if shares and not isinstance(part, QToolButton) else 0)
    return held
