"""Lesions: units are changed, and a table, a dose curve and a matrix say what is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.lesion import LESION, Lesion, lesion_of
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.lesion_requests import LESION_SLOT, OfferLesions, RunLesion
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.lesions import (
    NO_LESION,
    lesion_lines,
    lesion_table,
    needs_model,
    selecting,
    typed_units,
    units_selected,
)
from microtome_desktop.presenters.units import told_apart
from microtome_desktop.state.book import LESION_UNITS
from microtome_desktop.state.exports import Table
from microtome_desktop.state.lesions import (
    CIRCUIT,
    HAND,
    LesionOffer,
    LesionWish,
    beside,
    circuit_units,
    lesions_in,
    offer_key,
)
from microtome_desktop.state.work import Outcome, Piece
from microtome_desktop.views.form_fields import choice
from microtome_desktop.views.lesion_form import LesionForm
from microtome_desktop.views.lesion_result import LesionResult
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.run_buttons import RunButton, RunButtons
from microtome_desktop.views.text_flow import EmptyState

_FORM = 300  # pixels


class LesionLab(Panel):
    """What to ask at the left, what was found at the right."""

    name = "lesions"
    title = "Lesions"
    icon = "mdi6.lightning-bolt-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.form, self.result = LesionForm(), LesionResult()
        self.run, self.problem, self.needs = QPushButton("Lesion"), QLabel(), QLabel()
        self.held, self.empty = choice("lesion_held", "lesions of the session", ()), EmptyState()
        self._read: tuple[Analysis, Lesion] | None = None
        self._beside: tuple[Analysis, Lesion] | None = None  # to compare with
        self._shown = ""
        self._others = 0  # the last lesion that was tried on another model
        self._wish: LesionWish | None = None  # of the file, until the model's offer is there
        self.buttons = RunButtons(context, RunButton(
            self.run, LESION_SLOT, CommandId.LESION, "Lesion", "Change these units, and see what "
            "the model still does, beside random lesions", "Stop it; what was found stays",
        ))  # fmt: skip
        self._lay_out()
        self._connect()
        self.show_session()

    def _lay_out(self) -> None:
        self.run.setObjectName("lesion_run")
        self.problem.setObjectName("bad")
        self.needs.setObjectName("dim")
        self.needs.setWordWrap(True)
        self.problem.setWordWrap(True)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(8)
        column.addWidget(self.form)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        area.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)
        self.left = QWidget()
        left = QVBoxLayout(self.left)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(6)
        left.addWidget(area, 1)
        for part in (self.problem, self.run):  # in view however low the window is
            left.addWidget(part)
            part.setFixedWidth(_FORM)
        area.setFixedWidth(_FORM)
        right = QVBoxLayout()
        right.setSpacing(4)
        right.addWidget(self.needs)
        right.addWidget(self.held)
        right.addWidget(self.result, 1)
        right.addWidget(self.empty, 1)
        line = QHBoxLayout(self)
        line.setContentsMargins(10, 8, 8, 6)
        line.setSpacing(10)
        line.addWidget(self.left)
        line.addLayout(right, 1)

    def _connect(self) -> None:
        context = self.context
        self.form.changed.connect(self._show_able)
        self.form.typed.connect(self._on_typed)
        self.form.clear_wanted.connect(self.clear_units)
        self.held.activated.connect(self._on_held)
        self.result.unit_chosen.connect(self._on_unit)
        context.work.changed.connect(self._on_work)
        context.workspace.prepared.arrived.connect(self._on_prepared)

    # acts

    @property
    def hand(self) -> tuple[str, ...]:
        """The units that are chosen by hand."""
        return self.context.book.marks.lesion

    def run_lesion(self) -> None:
        """Try the lesion that the form asks for.

        Raises InputError where no unit is chosen, and for a model that nothing can be tried on.
        """
        units: tuple[str, ...] = ()
        if self.form.kind == HAND:
            units = self.hand
        elif self.form.kind == CIRCUIT:
            found = circuit_units(self.context.workspace.session)
            units = tuple(map(str, found[: self.form.count.value()]))
        if self.form.kind in {HAND, CIRCUIT} and not units:
            raise InputError("No unit is chosen.", self.form.note.text())
        if self._problem:
            raise InputError(self._problem)
        self._shown = ""
        self.context.ask(RunLesion(self.form.wish(units)))

    def add_selected(self) -> None:
        """Add what is selected to the units by hand. Raises InputError where no unit is."""
        found = units_selected(self.context.selection.current)
        if not found:
            raise InputError(
                "No unit is selected.", "Select a head, a neuron, a channel or a node of one."
            )
        units = tuple(dict.fromkeys((*self.hand, *map(str, found))))
        self._mark(units, f"Add {', '.join(map(str, found))} to the lesion")
        self.form.by.setCurrentIndex(self.form.by.findData(HAND))

    def clear_units(self) -> None:
        """Forget the units by hand."""
        self._mark((), "Clear the units of the lesion")

    def _mark(self, units: tuple[str, ...], title: str) -> None:
        if units != self.hand:
            self.context.book.mark(title, lesion=units)
        self.form.show_units(units)

    def _on_typed(self, text: str) -> None:
        try:
            self._mark(typed_units(text), "Type the units of the lesion")
        except InputError as error:
            self._tell(str(error))
            return
        self._show_able()

    def _on_held(self, row: int) -> None:
        self._shown = str(self.held.itemData(row))
        self._show()

    def _on_unit(self, row: int) -> None:
        if self._read is not None:
            self.context.selection.update(**selecting(self._read[1].units[row]))

    # what is shown

    def show_session(self) -> None:
        """All that the session holds of it."""
        self._shown = ""
        self.restore_once()
        self.form.show_units(self.hand)
        self._offer()
        self._show()

    def show_part(self, part: str) -> None:
        """A lesion has arrived, or its units have changed."""
        if part.startswith(f"analyses/{LESION}"):
            self._show()
        elif part in {LESION_UNITS, "marks"}:
            self.form.show_units(self.hand)

    def show_model(self) -> None:
        """Layers and sets are the model's."""
        self._others = 0 if self.piece is None else self.piece.number
        self._offer()

    def _offer(self) -> None:
        """Take what the model offers, or ask for it."""
        workspace = self.context.workspace
        model = workspace.model
        if model is None or workspace.offline:
            self._show_able()
            return
        held = workspace.prepared.get(offer_key(model.fingerprint))
        if isinstance(held, LesionOffer):
            self.form.offer(held)
            if self._wish is not None:
                self.form.show_wish(self._wish)
                self._wish = None
        elif self.isVisible() and workspace.prepared.wants(offer_key(model.fingerprint)):
            self.context.ask(OfferLesions(model.fingerprint))
        self._show_able()

    def _on_prepared(self, key: object) -> None:
        model = self.context.workspace.model
        if model is not None and key == offer_key(model.fingerprint):
            self.context.later((self, "offer"), self._offer)

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self._show_able)

    def _show(self) -> None:
        held = lesions_in(self.context.workspace.session)
        one = next((each for each in held if each.id == self._shown), next(iter(held), None))
        with QSignalBlocker(self.held):
            self.held.clear()
            digests = [str(each.params.get("digest", "")) for each in held]
            titles = told_apart([each.title for each in held], digests)
            for each, title in zip(held, titles, strict=True):
                self.held.addItem(title, each.id)
            self.held.setCurrentIndex(-1 if one is None else held.index(one))
        self.held.setVisible(len(held) > 1)
        if one is None:
            self._read = None
        elif self._read is None or self._read[0] is not one:
            self._read = one, lesion_of(one)
        self.result.setVisible(one is not None)
        self.empty.setVisible(one is None)
        other = None if one is None else beside(one, held)
        if other is None:
            self._beside = None
        elif self._beside is None or self._beside[0] is not other:
            self._beside = other, lesion_of(other)
        self.result.show_found(
            None if self._read is None else self._read[1],
            None if self._beside is None else self._beside[1],
        )
        self._show_able()

    @property
    def _problem(self) -> str:
        """Why nothing can be tried on the model, as far as that is known."""
        model, prepared = self.context.workspace.model, self.context.workspace.prepared
        held = None if model is None else prepared.get(offer_key(model.fingerprint))
        return held.problem if isinstance(held, LesionOffer) else ""

    @property
    def piece(self) -> Piece | None:
        """The lesion that is tried, or that was tried last."""
        pieces = [piece for piece in self.context.work.pieces if piece.slot == LESION_SLOT]
        return pieces[-1] if pieces else None

    def _show_able(self, *_: object) -> None:
        self.buttons.show()
        self._show_needs()
        piece, told = self.piece, self._problem
        if piece is not None and piece.outcome is Outcome.FAILED and piece.number > self._others:
            told = piece.problem
        self._tell(told)

    def _show_needs(self) -> None:
        """Without the model there is nothing to ask with: what was found has all the room."""
        workspace = self.context.workspace
        needs = needs_model(workspace.session) if workspace.offline else ""
        self.left.setVisible(not needs)
        self.needs.setVisible(bool(needs) and self._read is not None)
        self.needs.setText(needs)
        self.empty.tell("No lesion yet", needs or NO_LESION)

    def _tell(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def showEvent(self, event: QShowEvent) -> None:
        """Ask what there is once it is looked at."""
        super().showEvent(event)
        self._offer()

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """What the form is set to, and which lesion is in front."""
        wish = self._wish or self.form.wish()
        return {"wish": wish.told(), "shown": self._shown, **self.result.view_state()}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set it as a session was saved."""
        self._wish, shown = LesionWish.of(held.get("wish")), held.get("shown")
        self._shown = shown if isinstance(shown, str) else ""
        self.result.restore_view(held)
        self._offer()

    def shown_ids(self) -> tuple[str, ...]:
        """The one on screen."""
        return () if self._read is None else (self._read[0].id,)

    def exported_table(self) -> Callable[[], Table] | str:
        """Right answers by group."""
        if self.context.workspace.session is None:
            return exports.NO_RUN
        if self._read is None:
            return NO_LESION
        return partial(lesion_table, self._read[1], self.result.measure)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The lesion, asked again."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return NO_LESION if self._read is None else lesion_lines(session, self._read[0])
