"""The upper part of the patching panel: what is asked for, what it takes, and its start."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.sweep_requests import (
    SWEEP_SLOT,
    ForeseeSweep,
    ReadPromptSet,
    RunSweep,
    foreseen_key,
)
from microtome_desktop.presenters.sweep_choice import foreseen_text, question_on_screen
from microtome_desktop.state.made_by import needs_model
from microtome_desktop.state.sweeps import SWEPT, Foreseen, Wish, sweep_for
from microtome_desktop.state.work import Piece
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_bar import small_button
from microtome_desktop.views.sweep_controls import SweepControls

_RUN = "Run sweep"
_AFTER_TYPING_MS = 200
_WIDEST = 620  # pixels of the settings in a window of their own


class SweepAsking(QWidget):
    """Controls, the estimate, and the button that runs or stops."""

    found = Signal(object)  # Analysis: the session has this sweep already
    folded = Signal(bool)  # whether the settings are put away

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self.context = context
        self.controls = SweepControls()
        self.run_button = QPushButton(_RUN)
        self.fold = small_button("mdi6.tune-variant", "Settings of the sweep")
        self.estimate = QLabel()
        self.estimate.setFont(text_font(12))
        self.shown_id = ""  # of the sweep on screen
        self.asked: Wish | None = None  # its sweep comes on screen when it comes
        self._folded: bool | None = None  # as the user wants it; None: folded when there is a map
        self._has_map = False
        self._soon = QTimer(self, singleShot=True, interval=_AFTER_TYPING_MS)
        self._lay_out()
        self._listen()

    def _lay_out(self) -> None:
        self.run_button.setObjectName("primary")
        self.estimate.setObjectName("dim")
        self.estimate.setWordWrap(True)
        self.fold.setCheckable(True)
        top = QHBoxLayout()
        top.addWidget(self.controls.what, 1)
        top.addWidget(self.fold)
        top.addWidget(self.run_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        self.controls.setMaximumWidth(_WIDEST)
        # The map gives way, not the rows of the form.
        self.controls.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        column.addLayout(top)
        column.addWidget(self.controls)
        column.addWidget(self.estimate)
        self.estimate.hide()

    def _listen(self) -> None:
        context = self.context
        self._soon.timeout.connect(self._foresee)
        self.controls.changed.connect(self.look)
        self.controls.file_asked.connect(self._on_file)
        self.controls.selected_asked.connect(self._on_selected_span)
        self.run_button.clicked.connect(self._on_run)
        self.fold.clicked.connect(self._on_fold)
        context.work.changed.connect(self._on_work)
        context.draft.changed.connect(self._on_draft)
        context.library.changed.connect(self._on_library)
        context.workspace.prepared.arrived.connect(self._on_prepared)

    @property
    def job(self) -> Piece | None:
        """The sweep that is under way."""
        pieces = self.context.work.pieces
        return next((p for p in pieces if p.slot == SWEEP_SLOT and p.under_way), None)

    @property
    def why_not(self) -> str:
        """Why no sweep can be started, empty when one can."""
        workspace = self.context.workspace
        if workspace.session is None:
            return "Run a prompt first."
        if workspace.offline:
            return needs_model(workspace.session)
        held = self._foreseen()
        return held.problem if held is not None else ""

    def run(self) -> None:
        """Start the sweep, or hand it out at once if the session has it."""
        wish = self.controls.wish()
        held = sweep_for(self.context.workspace.session, wish)
        if held is not None:
            self.found.emit(held)
        elif not self.why_not:
            self.asked = wish
            self.context.ask(RunSweep(wish))

    def trace_causes(self) -> None:
        """Set the controls for causal tracing of the selected token."""
        self._folded = False
        causal = next(at for at, row in enumerate(SWEPT) if row.causal)
        self.controls.what.setCurrentIndex(causal)
        self._on_selected_span()
        self._show_fold()

    def _on_run(self) -> None:
        piece = self.job
        if piece is not None:
            self.context.stop(piece.number)
        else:
            self.context.do(CommandId.SWEEP)

    def _on_selected_span(self) -> None:
        position = self.context.selection.current.position
        if position is not None:
            self.controls.span.setText(str(position))

    def _on_file(self) -> None:
        settings = self.context.settings
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Open a prompt set", settings.folder, "Prompt sets (*.json)"
        )
        if chosen:
            settings.folder = str(Path(chosen).parent)
            self.controls.awaited = chosen
            self.context.ask(ReadPromptSet(Path(chosen)))

    def _on_draft(self, text: object) -> None:
        self.context.later((self, "question"), self.show_question)

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "facts" in changed:
            self.context.later((self, "question"), self.show_question)

    def show_question(self) -> None:
        """Ask about what is on screen now."""
        session = self.context.workspace.session
        question = question_on_screen(session, self.context.draft.text)
        layers = 0 if session is None else session.model.n_layers
        self.controls.offer_sets(self.context.library.shelf.facts.prompt_sets)
        self.controls.show_question(question, layers)
        self.look()

    def look(self) -> None:
        """Something that is asked for may have changed."""
        self._soon.start()
        self._show_estimate()

    def showEvent(self, event: QShowEvent) -> None:
        """Estimate what stands there once it is looked at."""
        super().showEvent(event)
        self._soon.start()

    def _foreseen(self) -> Foreseen | None:
        held = self.context.workspace.prepared.get(foreseen_key(self.controls.wish()))
        return held if isinstance(held, Foreseen) else None

    def _foresee(self) -> None:
        workspace = self.context.workspace
        if not self.isVisible() or workspace.session is None or workspace.offline:
            return
        wish = self.controls.wish()
        if self._foreseen() is None and workspace.prepared.wants(foreseen_key(wish)):
            self.context.ask(ForeseeSweep(wish))

    def _on_prepared(self, key: object) -> None:
        if not isValid(self):  # replaced, and held by something still
            return
        held = self._foreseen() if key == foreseen_key(self.controls.wish()) else None
        if held is not None:
            if held.unequal or not held.problem:
                self.controls.show_unequal(unequal=held.unequal)
                self._show_fold()
            self._show_estimate()

    def _on_work(self) -> None:
        self.context.later((self, "work"), self._show_estimate)

    def _show_estimate(self) -> None:
        piece, reason = self.job, self.why_not
        self.run_button.setText(_RUN if piece is None else "Stop")
        self.run_button.setEnabled(piece is not None or not reason)
        self.run_button.setToolTip(reason)
        said = self._said(piece, reason)
        self.estimate.setText(said)
        self.estimate.setVisible(bool(said))

    def _said(self, piece: Piece | None, reason: str) -> str:
        """What the sweep takes, or how far the one under way is."""
        if piece is not None:
            far = "" if piece.progress is None else f" · {piece.progress.fraction:.0%}"
            return f"{piece.title}{far}"
        if reason:
            return reason
        there = sweep_for(self.context.workspace.session, self.controls.wish())
        if there is not None:
            return "" if there.id == self.shown_id else f"In this session: {_RUN} shows it."
        held = self._foreseen()
        return "Estimating …" if held is None else foreseen_text(held)

    def _on_fold(self, checked: bool) -> None:
        self._folded = not checked
        self._show_fold()

    def show_map(self, shown_id: str) -> None:
        """Make room for a map if the user has not opened the settings by hand."""
        self.shown_id, self._has_map = shown_id, bool(shown_id)
        self._show_fold()
        self._show_estimate()

    def put_away(self) -> None:
        """Fold the settings as soon as there is a map, whatever was done by hand."""
        self._folded = None
        self._show_fold()

    def _show_fold(self) -> None:
        # What can be done about unequal prompts stands among the settings.
        by_itself = self._has_map and not self.controls.unequal
        folded = by_itself if self._folded is None else self._folded
        self.fold.setChecked(not folded)
        self.controls.setVisible(not folded)
        self.folded.emit(folded)
