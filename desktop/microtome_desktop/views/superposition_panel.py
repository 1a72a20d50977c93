"""Superposition lab: toy models as they form, their phases, and the same measures in a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.errors import InputError
from microtome.records.superposition import PHASES, SHARING, TOY, ToyModels
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.superposition_requests import (
    PHASE_SLOT,
    SHARING_SLOT,
    TOY_SLOT,
    FindPhases,
    MeasureSharing,
    TrainToy,
)
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.superposition import (
    NO_PHASES,
    NO_SHARING,
    NO_TOY,
    ToyPicture,
    measurable,
    phase_table,
    phases_in,
    pictures,
    sharing_in,
    sharing_table,
    sharing_text,
    toy_table,
    toy_text,
    toys_in,
)
from microtome_desktop.presenters.superposition_python import (
    phase_lines,
    sharing_lines,
    toy_lines,
)
from microtome_desktop.presenters.work import progress_text
from microtome_desktop.state.exports import Table
from microtome_desktop.state.superpositions import newest
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.form_fields import scrolled
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.phase_page import PhasePage
from microtome_desktop.views.run_buttons import RunButton, RunButtons
from microtome_desktop.views.superposition_form import MODELS, ToyForm
from microtome_desktop.views.superposition_plots import SharingPlot, ToyGallery
from microtome_desktop.views.text_flow import EmptyState

_FORM = 236  # pixels
_KINDS = frozenset({TOY, PHASES, SHARING})


class SuperpositionPanel(Panel):
    """Pages of toy models and of phases; a real layer is measured beside the toy models."""

    name = "superposition"
    title = "Superposition"
    icon = "mdi6.vector-polyline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.form = ToyForm()
        self.train = QPushButton("Train")
        self.gallery, self.empty, self.said = ToyGallery(MODELS), EmptyState(), TwoLines()
        self.layer, self.measure = Choice(), QPushButton("Measure")
        self.sharing, self.sharing_said = SharingPlot(), QLabel()
        self.unmeasured = EmptyState()
        self._drawn: Sequence[ToyPicture] = ()
        self.phases = PhasePage()
        self.pages = QTabWidget()
        self._dress()
        self._lay_out()
        self._connect()
        self.show_session()

    def _dress(self) -> None:
        self.train.setObjectName("toy_train")
        self.measure.setObjectName("sharing_measure")
        self.layer.setObjectName("sharing_of")
        self.layer.setAccessibleName("whose directions are measured")
        self.pages.setDocumentMode(True)
        self.sharing_said.setObjectName("dim")
        self.sharing_said.setWordWrap(True)
        self.sharing_said.setTextFormat(Qt.TextFormat.PlainText)

    def _lay_out(self) -> None:
        toys = QWidget()
        line = QHBoxLayout(toys)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        line.addLayout(self._settings())
        for part, share in ((self._models(), 5), (self._real(), 3)):
            line.addLayout(part, share)
        self.pages.addTab(toys, "Toy models")
        self.pages.addTab(self.phases, "Phase diagram")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(10, 4, 8, 6)
        outer.addWidget(self.pages)

    def _settings(self) -> QVBoxLayout:
        held = QWidget()
        fields = QVBoxLayout(held)
        fields.setContentsMargins(0, 6, 6, 0)
        fields.addWidget(self.form)
        fields.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(6)
        column.addWidget(scrolled(held, _FORM), 1)
        column.addWidget(self.train)
        return column

    def _models(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.gallery, 1)
        column.addWidget(self.empty, 1)
        column.addWidget(self.said)
        return column

    def _real(self) -> QVBoxLayout:
        head = QLabel("A real layer beside it")
        head.setObjectName("section")
        column = QVBoxLayout()
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(4)
        for part in (head, self.layer, self.measure):
            column.addWidget(part)
        column.addWidget(self.sharing, 1)
        column.addWidget(self.unmeasured, 1)
        column.addWidget(self.sharing_said)
        return column

    def _connect(self) -> None:
        self.buttons = RunButtons(
            self.context,
            RunButton(self.train, TOY_SLOT, CommandId.TRAIN_TOY, "Train",
                      "Train them from the start, and watch how their geometry forms"),
            RunButton(self.measure, SHARING_SLOT, CommandId.MEASURE_SHARING, "Measure",
                      "Measure how these directions share their space"),
            RunButton(self.phases.run, PHASE_SLOT, CommandId.PHASES, "Find phases",
                      "Train a model in every square, all at once"),
        )  # fmt: skip
        self.context.work.changed.connect(self._on_work)
        self.context.dictionaries.changed.connect(self._on_dictionaries)

    # acts

    def run_toy(self) -> None:
        """Train the toy models that the sliders make."""
        self.pages.setCurrentIndex(0)
        self.context.ask(TrainToy(self.form.plan()))

    def run_phases(self) -> None:
        """Find the phase diagram."""
        self.pages.setCurrentIndex(1)
        self.context.ask(FindPhases(self.phases.wish()))

    def measure_layer(self) -> None:
        """Measure the chosen layer. Raises InputError where there is none."""
        self.pages.setCurrentIndex(0)
        wish = self.layer.currentData()
        if wish is None:
            raise InputError("There is no layer to measure.", "Load a model first.")
        self.context.ask(MeasureSharing(wish))

    # what is shown

    def show_session(self) -> None:
        """All that the session holds of it."""
        self._offer()
        self.restore_once()
        for kind in _KINDS:
            self._show(kind)
        self._show_able()

    def show_part(self, part: str) -> None:
        """What has arrived."""
        session = self.context.workspace.session
        if session is None or not part.startswith("analyses/"):
            return
        held = session.analyses.get(part.partition("/")[2])
        if held is not None and held.kind in _KINDS:
            self._show(held.kind)

    def show_model(self) -> None:
        """Layers are the model's."""
        self._offer()
        self._show_able()

    def _on_dictionaries(self) -> None:
        self.context.later((self, "dictionaries"), self._offer)

    def _offer(self) -> None:
        """The neurons of each layer, and every open dictionary; what is chosen stays."""
        before = self.layer.currentText()
        with QSignalBlocker(self.layer):
            self.layer.clear()
            for wish in measurable(self.context.workspace.model, self.context.dictionaries.held):
                self.layer.addItem(wish.title, wish)
            self.layer.setCurrentIndex(max(0, self.layer.findText(before)))

    def _show(self, kind: str) -> None:
        session = self.context.workspace.session
        if kind == PHASES:
            self.phases.show_phases(phases_in(session))
            return
        toys = toys_in(session)
        drawn = () if toys is None else pictures(toys)
        if kind == TOY:
            self._show_toys(toys, drawn)
        else:
            self._show_layer()
        self.sharing.mark([each.measured.share for each in drawn])
        lines = ", dashed the mean of each toy model's represented features" if drawn else ""
        self.sharing.setToolTip(f"How many directions have which share of a dimension{lines}")

    def _show_toys(self, toys: ToyModels | None, drawn: Sequence[ToyPicture]) -> None:
        self.gallery.setVisible(toys is not None)
        self.empty.setVisible(toys is None)
        self.empty.tell("No toy models yet", NO_TOY)
        # A turn for each: all at once would take longer than a frame.
        self._drawn = drawn
        for number in range(MODELS):
            self.context.later((self, "model", number), partial(self._show_model, number))
        text = "" if toys is None else toy_text(toys, drawn)
        self.said.setText(text)
        self.said.setToolTip(text)

    def _show_model(self, number: int) -> None:
        self.gallery.show_picture(number, (*self._drawn, *[None] * MODELS)[number])

    def _show_layer(self) -> None:
        shared = sharing_in(self.context.workspace.session)
        self.sharing.show_sharing(None if shared is None else shared[1])
        for part in (self.sharing, self.sharing_said):
            part.setVisible(shared is not None)
        self.unmeasured.setVisible(shared is None)
        self.unmeasured.tell("Nothing measured yet", NO_SHARING)
        self.sharing_said.setText("" if shared is None else sharing_text(shared[1], shared[0]))

    def _on_work(self) -> None:
        self.context.later((self, "work"), self._show_able)

    def _show_able(self) -> None:
        self.buttons.show()
        finding = self.buttons.job_of(PHASE_SLOT)
        told = None if finding is None else finding.progress
        self.phases.show_progress("" if told is None else progress_text(told))

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """Where the sliders stand, and which page is in front."""
        return {
            "toy": self.form.state(), "page": self.pages.currentIndex(),
            "phases": self.phases.state(),
        }  # fmt: skip

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set it as a session was saved."""
        toy, page, phases = (held.get(name) for name in ("toy", "page", "phases"))
        if isinstance(toy, dict):
            self.form.restore(toy)
        if isinstance(phases, dict):
            self.phases.restore(phases)
        if isinstance(page, int) and 0 <= page < self.pages.count():
            self.pages.setCurrentIndex(page)

    def exported_table(self) -> Callable[[], Table] | str:
        """What the page in front shows; a layer that is measured, where no toy model is."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        if self.pages.currentIndex() == 1:
            phases = phases_in(session)
            return NO_PHASES if phases is None else partial(phase_table, phases)
        toys, shared = toys_in(session), sharing_in(session)
        if toys is not None:
            return partial(toy_table, toys)
        return NO_TOY if shared is None else partial(sharing_table, shared[1])

    def exported_lines(self) -> tuple[str, ...] | str:
        """What the page in front shows, asked again."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        if self.pages.currentIndex() == 1:
            phases, held = phases_in(session), newest(session, PHASES)
            repeats = 5 if held is None else int(held.params.get("repeats", 3))
            return NO_PHASES if phases is None else phase_lines(phases, repeats)
        toys, shared = toys_in(session), newest(session, SHARING)
        if toys is not None:
            return toy_lines(toys)
        return NO_TOY if shared is None else sharing_lines(session, shared)
