"""Visualise: pictures that a class, a unit, a direction or a feature answers to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from microtome.errors import InputError
from microtome.prompts import ImageInput
from microtome.records.visualisation import Visualisation
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.visual_requests import VISUAL_SLOT, Visualise
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.units import told_apart
from microtome_desktop.presenters.visualisations import (
    NO_PICTURES,
    NO_SIGHT,
    held_title,
    said,
    visual_columns,
    visual_lines,
    visual_table,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.visualisations import feature_to_visualise, visualisations_in
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.form_fields import choice, scrolled
from microtome_desktop.views.lazy_rows import LazyColumn
from microtome_desktop.views.number_rows import NumberRows
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.run_buttons import RunButton, RunButtons
from microtome_desktop.views.sight_outline import sight_outline
from microtome_desktop.views.text_flow import EmptyState
from microtome_desktop.views.visual_form import VisualForm
from microtome_desktop.views.visual_pictures import ValueCurves, VisualPictures

_FORM, _LOW = 262, 270  # pixels
_COLUMNS = (
    LazyColumn("result", "#", "The number of the result", 30, right=True),
    LazyColumn("value", "value", "What was maximised, of the picture as it is", 62, right=True),
    LazyColumn("percentile", "above %", "How many of the images have a smaller value", 62,
               right=True),
    LazyColumn("sees", "model sees", "The most probable class to the model", 80),
    LazyColumn("probability", "p", "Its probability", 46, right=True),
    LazyColumn("second", "other sees", "The most probable class to the second model", 80),
    LazyColumn("second_probability", "p", "Its probability", 46, right=True),
)  # fmt: skip
_FORMATS = {"result": ".0f", "value": ".4g", "percentile": ".1f", "probability": ".2f",
            "second_probability": ".2f"}  # fmt: skip


class VisualPanel(Panel):
    """The form at the left, the pictures in the middle, curves and table beneath."""

    name = "visualise"
    title = "Visualise"
    icon = "mdi6.image-auto-adjust"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.form, self.run = VisualForm(), QPushButton("Visualise")
        self.run.setObjectName("visual_run")
        self.held = choice("visual_held", "visualisations of this session", ())
        self.use = QPushButton("Use as image")
        self.use.setObjectName("visual_use")
        self.use.setToolTip("Ask the model about the chosen picture")
        self.pictures, self.curves = VisualPictures(), ValueCurves()
        self.rows = NumberRows(_COLUMNS, "result", "sees", formats=_FORMATS)
        self.rows.setObjectName("visual_table")
        self.rows.setAccessibleName("results")
        self.rows.sort_by("result", descending=False)
        self.beneath = QWidget()
        self.said, self.empty, self.pages = TwoLines(), EmptyState(), QStackedWidget()
        self._all: tuple[Visualisation, ...] = ()
        self._chosen = 0
        self._lay_out()
        self._connect()
        self.show_session()

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(6)
        left.addWidget(scrolled(self.form, _FORM), 1)
        left.addWidget(self.run)
        bar = QHBoxLayout()
        bar.addWidget(self.held, 1)
        bar.addWidget(self.use)
        beneath = QHBoxLayout(self.beneath)
        beneath.setContentsMargins(0, 0, 0, 0)
        beneath.addWidget(self.curves, 2)
        beneath.addWidget(self.rows, 3)
        shown = QWidget()
        right = QVBoxLayout(shown)
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(6)
        right.addLayout(bar)
        right.addWidget(self.pictures, 5)
        right.addWidget(self.beneath, 2)
        right.addWidget(self.said)
        self.pages.addWidget(self.empty)
        self.pages.addWidget(shown)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(10, 6, 8, 6)
        whole.setSpacing(12)
        whole.addLayout(left)
        whole.addWidget(self.pages, 1)

    def _connect(self) -> None:
        self.buttons = RunButtons(
            self.context,
            RunButton(self.run, VISUAL_SLOT, CommandId.VISUALISE, "Visualise",
                      "Make pictures for what is chosen", "Stop; the pictures so far stay"),
        )  # fmt: skip
        self.held.activated.connect(self._on_held)
        self.pictures.chosen.connect(self._choose)
        self.rows.chosen.connect(self._choose)
        self.use.clicked.connect(self._use)
        self.context.work.changed.connect(self._on_work)
        self.context.workspace.prepared.arrived.connect(self._on_prepared)
        self.context.dictionaries.changed.connect(self._on_dictionaries)

    # acts

    def run_visualisation(self) -> None:
        """Make what the form asks for. Raises InputError where there is nothing to ask for."""
        self.context.ask(Visualise(self.form.wish()))

    def run_feature(self) -> None:
        """Fill in the selected feature, and make pictures for it. Raises InputError without one."""
        context = self.context
        found = feature_to_visualise(context.selection.current.feature, context.dictionaries.held)
        if found is None:
            raise InputError("There is no feature to ask for.", "Select one in the panel Features.")
        self._offer()
        self.form.ask_for(*found)
        self.run_visualisation()

    def use_chosen(self) -> None:
        """Put the chosen picture into the prompt. Raises InputError where there is none."""
        made = self._made
        if made is None:
            raise InputError("There is no picture yet.", NO_PICTURES)
        name = f"{made.text} #{self._chosen}"
        image = ImageInput(made.pictures[self._chosen], name, prepared=True)
        self.context.draft.update(image=image)

    def _use(self) -> None:
        self.context.do(CommandId.USE_VISUALISATION)

    def _choose(self, number: int) -> None:
        self._chosen = number
        self._show_made()

    def _on_held(self, *_: object) -> None:
        self._chosen = 0
        self._show_made()

    # what is shown

    @property
    def _made(self) -> Visualisation | None:
        at = self.held.currentIndex()
        return self._all[at] if 0 <= at < len(self._all) else None

    def show_session(self) -> None:
        """Another session: its visualisations, the newest in front."""
        self._chosen = 0
        self._offer()
        self.restore_once()
        self._show_all("")
        self.buttons.show()

    def show_model(self) -> None:
        """Classes and layers are the model's."""
        self._offer()
        self._show_made()
        self.buttons.show()

    def show_part(self, part: str) -> None:
        """Pictures have grown or arrived."""
        if part.startswith("analyses/visualisation"):
            self._show_all(part.partition("/")[2])

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """The form follows the selected unit."""
        if "unit" in changed and selected.unit is not None:
            self.form.follow(selected.unit)

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what only matters when it is seen."""
        super().showEvent(event)
        self._offer()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """On a low screen the pictures have the room alone."""
        super().resizeEvent(event)
        self.beneath.setVisible(self.height() >= _LOW)

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self.buttons.show)

    def _on_prepared(self, key: object) -> None:
        if isinstance(key, tuple) and key[:1] == ("sight",):
            self.context.later((self, "sight"), self.show_model)

    def _on_dictionaries(self) -> None:
        self.context.later((self, "dictionaries"), self._offer)

    def _offer(self) -> None:
        model = self.context.workspace.model
        named = "" if model is None else model.name
        others = [one.name for one in self.context.library.shelf.embedded
                  if one.sees and one.name != named]  # fmt: skip
        outline = sight_outline(self.context, ask=self.isVisible())
        self.form.offer(outline, self.context.dictionaries.held, others)
        selected = self.context.selection.current.unit
        if selected is not None and not self._all:
            self.form.follow(selected)

    def _show_all(self, wanted: str) -> None:
        """All that the session holds; the one of an id in front."""
        before = self._made.id if self._made is not None else ""
        self._all = visualisations_in(self.context.workspace.session)
        ids = [one.id for one in self._all]
        with QSignalBlocker(self.held):
            self.held.clear()
            titles = [held_title(one) for one in self._all]
            self.held.addItems(told_apart(titles, [one.set_digest for one in self._all]))
            front = wanted if wanted in ids else before
            self.held.setCurrentIndex(ids.index(front) if front in ids else 0)
        self._show_made()

    def _show_made(self) -> None:
        made = self._made
        self.pages.setCurrentIndex(0 if made is None else 1)
        model = self.context.workspace.model
        blind = model is not None and not model.sees
        self.empty.tell("No pictures yet", NO_SIGHT if blind or model is None else NO_PICTURES)
        if made is None:
            return
        self._chosen = min(self._chosen, len(made.final) - 1)
        self.pictures.show_made(made, self._chosen)
        self.curves.show_made(made, self._chosen)
        self.rows.show_values(visual_columns(made))
        self.rows.mark(self._chosen)
        self.said.setText(said(made))
        self.said.setToolTip(said(made))

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """What the form says."""
        return self.form.state()

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set it as a session was saved."""
        self.form.restore(held)

    def exported_table(self) -> Callable[[], Table] | str:
        """A row for each result."""
        if self.context.workspace.session is None:
            return exports.NO_RUN
        made = self._made
        return NO_PICTURES if made is None else partial(visual_table, made)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The pictures in front, made again."""
        session, made = self.context.workspace.session, self._made
        if session is None:
            return exports.NO_RUN
        return NO_PICTURES if made is None else visual_lines(session, made)
