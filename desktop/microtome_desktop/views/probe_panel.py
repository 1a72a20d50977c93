"""Probes: at which layer a concept can be read off, beside a control task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.probe import Probe, probe_of
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.probe_requests import PROBE_SLOT, ForeseeProbe, ReadPrompts, RunProbe
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.probes import (
    NO_PROBE,
    kinds_of,
    probe_lines,
    probe_table,
    said_of,
    steerable,
    steering,
    unknown_text,
)
from microtome_desktop.presenters.sizes import seconds_text
from microtome_desktop.state.exports import Table
from microtome_desktop.state.probings import (
    ProbeOutlook,
    ProbeWish,
    PromptLines,
    lines_key,
    outlook_key,
    probes_in,
)
from microtome_desktop.state.work import Outcome, Piece
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.form_fields import choice
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.probe_form import ProbeForm
from microtome_desktop.views.probe_plot import ProbePlot
from microtome_desktop.views.text_flow import EmptyState

_FORM = 330  # pixels
_REST = 400  # milliseconds without a change


class ProbePanel(Panel):
    """Labelled prompts at the left, accuracy by site and directions of labels at the right."""

    name = "probes"
    title = "Probes"
    icon = "mdi6.needle"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.form = ProbeForm(context.settings)
        self.run, self.outlook, self.problem = QPushButton("Probe"), QLabel(), QLabel()
        self.held = choice("probe_held", "probes of the session", ())
        self.plot, self.empty, self.said = ProbePlot(), EmptyState(), TwoLines()
        self.label = choice("probe_label", "label whose direction is added", ())
        self.place = choice("probe_site", "site at which it is added", ())
        self.steer = QPushButton("Steer along it")
        self._read: tuple[Analysis, Probe] | None = None
        self._asked = ""  # the example or file that is read
        self._shown, self._site = "", ""
        self._soon = QTimer(self, singleShot=True, interval=_REST)
        self._dress()
        self._lay_out()
        self._connect()
        self.show_session()

    def _dress(self) -> None:
        self.run.setObjectName("probe_run")
        self.steer.setObjectName("probe_steer")
        self.problem.setObjectName("bad")
        self.outlook.setObjectName("dim")
        for told in (self.outlook, self.problem):
            told.setWordWrap(True)
            told.setTextFormat(Qt.TextFormat.PlainText)
        self.empty.tell("No probe yet", NO_PROBE)
        self.label.setMinimumWidth(76)
        self.place.setMinimumWidth(112)  # the name of a site, whole

    def _lay_out(self) -> None:
        left = QWidget()
        left.setFixedWidth(_FORM)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.form, 1)
        for below in (self.run, self.outlook, self.problem):
            column.addWidget(below)
        self.steering = QWidget()
        along = QHBoxLayout(self.steering)
        along.setContentsMargins(0, 0, 0, 0)
        parts: tuple[QWidget, ...] = (
            QLabel("Direction of"), self.label, QLabel("at"), self.place, self.steer,
        )  # fmt: skip
        for part in parts:
            along.addWidget(part)
        along.addStretch(1)
        right = QVBoxLayout()
        right.setSpacing(4)
        right.addWidget(self.held)
        right.addWidget(self.plot, 1)
        right.addWidget(self.empty, 1)
        right.addWidget(self.said)
        right.addWidget(self.steering)
        line = QHBoxLayout(self)
        line.setContentsMargins(10, 8, 8, 6)
        line.setSpacing(10)
        line.addWidget(left)
        line.addLayout(right, 1)

    def _connect(self) -> None:
        context = self.context
        self.form.changed.connect(self._on_form)
        self.form.source_wanted.connect(self._on_source)
        self.run.clicked.connect(self._on_run)
        self.held.activated.connect(self._on_held)
        self.plot.chosen.connect(self._on_site)
        self.place.activated.connect(self._on_place)
        self.steer.clicked.connect(self._on_steer)
        self._soon.timeout.connect(self._foresee)
        context.work.changed.connect(self._on_work)
        context.library.changed.connect(self._on_library)
        context.workspace.prepared.arrived.connect(self._on_prepared)

    # acts

    @property
    def piece(self) -> Piece | None:
        """The probing that runs, or that ended last."""
        pieces = [piece for piece in self.context.work.pieces if piece.slot == PROBE_SLOT]
        return pieces[-1] if pieces else None

    def _on_run(self) -> None:
        piece = self.piece
        if piece is not None and piece.under_way:
            self.context.stop(piece.number)
        else:
            self.context.do(CommandId.PROBE)

    def run_probe(self) -> None:
        """Probe what the form asks for. Raises InputError where there are no prompts."""
        if not self.form.readable:
            raise InputError(
                self.form.counted.text(), "Write labelled prompts, or take an example."
            )
        self._shown = self._site = ""
        self.context.ask(RunProbe(self.form.wish()))

    def _on_source(self, source: str) -> None:
        self._asked = source
        self.context.ask(ReadPrompts(source))

    def _on_form(self) -> None:
        self._show_able()
        self._soon.start()

    def _on_held(self, row: int) -> None:
        self._shown = str(self.held.itemData(row))
        self._site = ""
        self._show()

    def _on_site(self, at: int) -> None:
        if self._read is not None:
            self._site = self._read[1].sites[at]
            self._show()

    def _on_place(self, _row: int) -> None:
        self._site = self.place.currentText()
        self._show()

    def _on_steer(self) -> None:
        session = self.context.workspace.session
        if session is not None and self._read is not None:
            site, label = self.place.currentText(), self.label.currentText()
            self.context.book.add_edit(steering(session, self._read[1], site, label))

    def _foresee(self) -> None:
        wish, prepared = self.form.wish(), self.context.workspace.prepared
        wanted = self.isVisible() and self.form.readable and not self.context.workspace.offline
        if wanted and prepared.get(outlook_key(wish)) is None and prepared.wants(outlook_key(wish)):
            self.context.ask(ForeseeProbe(wish))

    # what is shown

    def show_session(self) -> None:
        """All that the session holds of it."""
        self.restore_once()
        self._offer()
        self._show()
        self._show_able()

    def show_part(self, part: str) -> None:
        """Probes have arrived."""
        if part.startswith("analyses/probe"):
            self._show()

    def show_model(self) -> None:
        """Sites are the model's."""
        self._offer()
        self._show_able()

    def _on_library(self, _shelf: object, changed: frozenset[str]) -> None:
        if "coverage" in changed:
            self.context.later((self, "coverage"), self._offer)

    def _offer(self) -> None:
        self.form.offer(kinds_of(self.context.library.shelf.coverage))

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self._show_able)

    def _on_prepared(self, key: object) -> None:
        if key == outlook_key(self.form.wish()):
            self.context.later((self, "outlook"), self._show_able)
        elif key == lines_key(self._asked):
            held = self.context.workspace.prepared.get(lines_key(self._asked))
            if isinstance(held, PromptLines):
                self.form.prompts.setPlainText(held.text)

    def _show(self) -> None:
        probes = probes_in(self.context.workspace.session)
        one = next((each for each in probes if each.id == self._shown), next(iter(probes), None))
        with QSignalBlocker(self.held):
            self.held.clear()
            for each in probes:
                self.held.addItem(each.title, each.id)
            self.held.setCurrentIndex(-1 if one is None else probes.index(one))
        self.held.setVisible(len(probes) > 1)
        if one is None:
            self._read = None
        elif self._read is None or self._read[0] is not one:
            self._read = one, probe_of(one)
        self._show_found(None if self._read is None else self._read[1])

    def _show_found(self, found: Probe | None) -> None:
        for part in (self.plot, self.said):
            part.setVisible(found is not None)
        self.empty.setVisible(found is None)
        sites = () if found is None else steerable(found)
        self.steering.setVisible(bool(sites))
        if found is None:
            return
        site = self._site if self._site in found.sites else found.best
        self.plot.show_probe(found, found.sites.index(site))
        self.said.setText(said_of(found))
        self.said.setToolTip(said_of(found))
        for box, names, wanted in (
            (self.label, found.labels, self.label.currentText()), (self.place, sites, site),
        ):  # fmt: skip
            with QSignalBlocker(box):
                box.clear()
                box.addItems(list(names))
                box.setCurrentIndex(max(0, box.findText(wanted)))
        self._show_able()

    def _show_able(self) -> None:
        piece, reason = self.piece, self.context.why_not(CommandId.PROBE)
        stops = piece is not None and piece.under_way
        self.run.setText("Stop" if stops else "Probe")
        self.run.setEnabled(stops or (not reason and self.form.readable))
        tip = "Stop it: the sites that were probed stay" if stops else "Probe these prompts"
        self.run.setToolTip(tip if stops else reason or tip)
        failed = piece is not None and piece.outcome is Outcome.FAILED
        self.problem.setText(piece.problem if piece is not None and failed else "")
        self.problem.setVisible(failed)
        held = self.context.workspace.prepared.get(outlook_key(self.form.wish()))
        told = ""
        if isinstance(held, ProbeOutlook):
            unknown = f" {unknown_text(held.unknown)}." if held.unknown else ""
            told = held.problem or f"About {seconds_text(held.seconds)}.{unknown}"
        self.outlook.setText(told)
        reason = self.context.why_not(CommandId.ADD_EDIT)
        self.steer.setEnabled(not reason)
        self.steer.setToolTip(
            reason or "An edit that adds this direction at every token, in the panel Edits"
        )

    def showEvent(self, event: QShowEvent) -> None:
        """Say what it takes once it is looked at."""
        super().showEvent(event)
        self._soon.start()

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """What the form is set to, and which probes are in front."""
        return {"wish": self.form.wish().told(), "shown": self._shown, "site": self._site}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set it as a session was saved."""
        wish, shown, site = ProbeWish.of(held.get("wish")), held.get("shown"), held.get("site")
        if wish is not None:
            self._offer()
            self.form.show_wish(wish)
        if isinstance(shown, str) and isinstance(site, str):
            self._shown, self._site = shown, site
            self._show()

    def shown_ids(self) -> tuple[str, ...]:
        """The one on screen."""
        return () if self._read is None else (self._read[0].id,)

    def exported_table(self) -> Callable[[], Table] | str:
        """Accuracies by site and fold."""
        if self.context.workspace.session is None:
            return exports.NO_RUN
        return NO_PROBE if self._read is None else partial(probe_table, self._read[1])

    def exported_lines(self) -> tuple[str, ...] | str:
        """The probes, asked again."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return NO_PROBE if self._read is None else probe_lines(session, self._read[0])
