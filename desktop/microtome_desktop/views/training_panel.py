"""Training: a dictionary of the loaded model, from a text, with its figures as they come."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.seen import SightOutline
from microtome.records.training import TRAINING, TrainingCurve
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.seeing_requests import OutlineSight
from microtome_desktop.jobs.training_requests import (
    TRAINING_SLOT,
    ForeseeTraining,
    LookAtStopped,
    Train,
)
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.training import (
    NO_TRAINING,
    NO_TRAINING_ON_IMAGES,
    curve_table,
    curve_text,
    curve_title,
    outlook_text,
    readable,
    stopped_text,
)
from microtome_desktop.presenters.training_python import training_lines
from microtome_desktop.state.exports import Table
from microtome_desktop.state.seeing import outline_key
from microtome_desktop.state.trainings import (
    Stopped,
    TrainWish,
    curves_in,
    outlook_key,
    stopped_key,
)
from microtome_desktop.state.work import Outcome, Piece
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.form_fields import scrolled
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.text_flow import EmptyState
from microtome_desktop.views.training_form import TrainingForm
from microtome_desktop.views.training_plots import TrainingPlots

_REST = 400  # milliseconds without a change before it is measured what a training takes
_FORM = 286  # pixels


class TrainingPanel(Panel):
    """A form and its buttons at the left, the figures of a training at the right."""

    name = "training"
    title = "Training"
    icon = "mdi6.chart-bell-curve-cumulative"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.form = TrainingForm()
        self.outlook, self.problem = QLabel(), QLabel()
        self.train, self.pause = QPushButton("Train"), QPushButton("Pause")
        self.go_on = QPushButton("Continue\N{HORIZONTAL ELLIPSIS}")
        self.curves = Choice()
        self.said = TwoLines()
        self.plots, self.empty = TrainingPlots(), EmptyState()
        self._shown = ""  # the id of the curve that arrived last or was chosen
        self._looked = ""  # the folder in which a training is looked for
        self._soon = QTimer(self, singleShot=True, interval=_REST)
        self._dress()
        self._lay_out()
        self._connect()
        self.show_session()

    def _dress(self) -> None:
        self.train.setObjectName("training_run")
        self.pause.setObjectName("training_pause")
        self.go_on.setObjectName("training_continue")
        self.curves.setObjectName("training_curves")
        self.curves.setAccessibleName("trainings of the session")
        self.problem.setObjectName("bad")
        self.outlook.setObjectName("dim")
        self.outlook.setAccessibleName("what it takes")
        for label in (self.outlook, self.problem):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        self.problem.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.train, self.pause, self.go_on):
            buttons.addWidget(button, 1)
        left = QVBoxLayout()
        left.setSpacing(6)
        left.addWidget(scrolled(self.form, _FORM), 1)
        left.addLayout(buttons)
        for label in (self.outlook, self.problem):
            label.setFixedWidth(_FORM)
            left.addWidget(label)
        right = QVBoxLayout()
        right.setSpacing(4)
        right.addWidget(self.curves)
        right.addWidget(self.plots, 1)
        right.addWidget(self.empty, 1)
        right.addWidget(self.said)
        line = QHBoxLayout(self)
        line.setContentsMargins(10, 8, 8, 6)
        line.setSpacing(8)
        line.addLayout(left)
        line.addLayout(right, 1)

    def _connect(self) -> None:
        self.train.clicked.connect(self._on_train)
        self.pause.clicked.connect(self._on_pause)
        self.go_on.clicked.connect(partial(self.context.do, CommandId.CONTINUE_TRAINING))
        self.curves.activated.connect(self._on_curve)
        self.form.changed.connect(self._on_form)
        self._soon.timeout.connect(self._foresee)
        self.context.library.changed.connect(self._on_library)
        self.context.work.changed.connect(self._on_work)
        self.context.workspace.prepared.arrived.connect(self._on_prepared)

    # acts

    @property
    def piece(self) -> Piece | None:
        """The training that runs, waits or rests, or that ended last."""
        pieces = [p for p in self.context.work.pieces if p.slot == TRAINING_SLOT]
        return pieces[-1] if pieces else None

    @property
    def _running(self) -> Piece | None:
        piece = self.piece
        return piece if piece is not None and piece.under_way else None

    def run_training(self) -> None:
        """Train what the form says, or go on with it. Raises InputError for what cannot be."""
        if not self.form.out.text().strip() and not self.form.choose_out():
            return
        wish = self.form.wish()
        if not wish.text and not wish.kept:
            raise InputError("There is no text.", "Choose one.")
        self.context.ask(Train(wish))

    def continue_training(self) -> None:
        """Ask for the folder of a training that stopped, and set the form as it was."""
        kept = Path(self.form.wish().folder or self.form.out.text())
        start = kept if kept.is_dir() else kept.parent
        folder = QFileDialog.getExistingDirectory(
            self, "The folder of a training that stopped", str(start)
        )
        if folder:
            self.look_at(folder)

    def look_at(self, folder: str) -> None:
        """Look how far the training in a folder came."""
        self._looked = folder
        self.context.ask(LookAtStopped(folder))

    def _on_train(self) -> None:
        running = self._running
        if running is not None:
            self.context.stop(running.number)
        else:
            self.context.do(CommandId.TRAIN)

    def _on_pause(self) -> None:
        running = self._running
        if running is None:
            return
        if running.outcome is Outcome.PAUSED:
            self.context.resume(running.number)
        else:
            self.context.pause(running.number)

    def _on_curve(self, _row: int) -> None:
        self._shown = self.curves.currentData() or ""
        self._show_curve()

    # what it takes

    def _on_form(self) -> None:
        self._show_outlook()
        self._soon.start()

    def _able(self) -> bool:
        return self.isVisible() and not self.context.why_not(CommandId.TRAIN)

    def _foresee(self) -> None:
        wish, prepared = self.form.wish(), self.context.workspace.prepared
        if not self._able() or self._running is not None or not wish.text:
            return
        key = outlook_key(wish)
        if prepared.get(key) is None and prepared.wants(key):
            self.context.ask(ForeseeTraining(wish))

    def _show_outlook(self) -> None:
        held = self.context.workspace.prepared.get(outlook_key(self.form.wish()))
        stopped = self._stopped()
        parts = [outlook_text(held)]
        if stopped is not None and (stopped.problem or stopped.wish == self.form.wish()):
            parts.append(stopped_text(stopped))
        self.outlook.setText("\n".join(filter(None, parts)))

    def _stopped(self) -> Stopped | None:
        held = self.context.workspace.prepared.get(stopped_key(self._looked))
        return held if isinstance(held, Stopped) and self._looked else None

    def _on_prepared(self, key: object) -> None:
        model = self.context.workspace.model
        if model is not None and key == outline_key(model.fingerprint):
            self._offer()
        if self._looked and key == stopped_key(self._looked):
            held = self._stopped()
            if held is not None and held.wish is not None:
                self.form.show_wish(held.wish)
        self._show_outlook()

    # what is shown

    def show_session(self) -> None:
        """The trainings that the session holds."""
        self._shown = ""
        self._offer()
        self.restore_once()
        self._show_list()
        self._show_able()

    def show_part(self, part: str) -> None:
        """A curve that has grown, or come."""
        session = self.context.workspace.session
        if session is None or not part.startswith("analyses/"):
            return
        held = session.analyses.get(part.partition("/")[2])
        if held is not None and held.kind == TRAINING:
            self._shown = held.id
            self._show_list()

    def show_model(self) -> None:
        """Sites and presets are the model's."""
        self._offer()
        self._show_able()

    def _offer(self) -> None:
        workspace = self.context.workspace
        coverage = self.context.library.shelf.coverage
        self.form.offer(workspace.model, coverage, self._outline())
        self._soon.start()

    def _outline(self) -> SightOutline | None:
        """The layers of units of a loaded model that sees, once they are known."""
        workspace = self.context.workspace
        model, prepared = workspace.model, workspace.prepared
        if model is None or not model.sees or workspace.offline:
            return None
        key = outline_key(model.fingerprint)
        held = prepared.get(key)
        if held is None and self.isVisible() and prepared.wants(key):
            self.context.ask(OutlineSight(model.fingerprint))
        return held if isinstance(held, SightOutline) else None

    def _on_library(self, _shelf: object, changed: frozenset[str]) -> None:
        if "coverage" in changed:
            self._offer()

    @property
    def _held(self) -> tuple[tuple[Analysis, TrainingCurve], ...]:
        """The curves that can be read, the newest first."""
        read = ((one, readable(one)) for one in curves_in(self.context.workspace.session))
        return tuple((one, curve) for one, curve in read if curve is not None)

    @property
    def current(self) -> tuple[Analysis, TrainingCurve] | None:
        """The curve on screen."""
        held = self._held
        return next((each for each in held if each[0].id == self._shown), next(iter(held), None))

    def _show_list(self) -> None:
        current = self.current
        with QSignalBlocker(self.curves):
            self.curves.clear()
            for one, _ in self._held:
                self.curves.addItem(curve_title(one), one.id)
            if current is not None:
                self.curves.setCurrentIndex(self.curves.findData(current[0].id))
        self._show_curve()

    def _show_curve(self) -> None:
        current = self.current
        for part in (self.curves, self.plots, self.said):
            part.setVisible(current is not None)
        self.empty.setVisible(current is None)
        model = self.context.workspace.model
        sees = model is not None and model.sees
        self.empty.tell("No training yet", NO_TRAINING_ON_IMAGES if sees else NO_TRAINING)
        curve = None if current is None else current[1]
        self.plots.show_curve(curve)
        self.said.setText(curve_text(curve))
        self.said.setToolTip(curve_text(curve))

    def _on_work(self) -> None:
        self.context.later((self, "work"), self._show_able)

    def _show_able(self) -> None:
        running, reason = self._running, self.context.why_not(CommandId.TRAIN)
        resting = running is not None and running.outcome is Outcome.PAUSED
        self.train.setText("Train" if running is None else "Stop")
        self.train.setEnabled(running is not None or not reason)
        self.train.setToolTip(
            (reason or "Train it; its figures appear as they are measured")
            if running is None
            else "Stop it; what was done is in its checkpoint"
        )
        self.pause.setText("Go on" if resting else "Pause")
        self.pause.setEnabled(running is not None and running.outcome is not Outcome.WAITING)
        self.pause.setToolTip("Let the training rest, or go on")
        unable = self.context.why_not(CommandId.CONTINUE_TRAINING)
        self.go_on.setEnabled(not unable and running is None)
        self.go_on.setToolTip(unable or "Go on from the checkpoint of a training that stopped")
        ended = self.piece
        failed = ended is not None and ended.outcome is Outcome.FAILED
        self.problem.setText(ended.problem if ended is not None and failed else "")
        self.problem.setVisible(failed)
        self._soon.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Say what it takes once it is looked at."""
        super().showEvent(event)
        self._offer()

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """What the form is set to, and which curve is in front."""
        return {"wish": self.form.wish().told(), "shown": self._shown}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set the form as a session was saved."""
        wish, shown = TrainWish.of(held.get("wish")), held.get("shown")
        if wish is not None:
            self.form.show_wish(wish)
        if isinstance(shown, str):
            self._shown = shown
            self._show_list()

    def shown_ids(self) -> tuple[str, ...]:
        """The one on screen."""
        return () if self.current is None else (self.current[0].id,)

    def exported_table(self) -> Callable[[], Table] | str:
        """Every point of the curve on screen."""
        if self.context.workspace.session is None:
            return exports.NO_RUN
        current = self.current
        return NO_TRAINING if current is None else partial(curve_table, current[1])

    def exported_lines(self) -> tuple[str, ...] | str:
        """The training, asked again."""
        session, current = self.context.workspace.session, self.current
        if session is None:
            return exports.NO_RUN
        return NO_TRAINING if current is None else training_lines(session, current[0])
