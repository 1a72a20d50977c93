"""The bar of the discovery panel: what is asked for, what it takes, its start and its stop."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.discovery_requests import (
    DISCOVERY_SLOT,
    ForeseeDiscovery,
    RunDiscovery,
    outlook_key,
)
from microtome_desktop.jobs.sweep_requests import ReadPromptSet
from microtome_desktop.presenters.discovery_choice import FIXES, no_edges, outlook_text
from microtome_desktop.presenters.sweep_choice import question_on_screen, seconds_text
from microtome_desktop.state.discoveries import Outlook, Search, discovery_for
from microtome_desktop.state.made_by import needs_model
from microtome_desktop.state.work import Outcome, Piece
from microtome_desktop.views.discovery_controls import DiscoveryControls
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_bar import small_button

RUN = "Find the circuit"
_AFTER_TYPING_MS = 200
_NARROW, _WIDEST = 1000, 16_777_215  # pixels


class DiscoveryAsking(QWidget):
    """Controls, the estimate, and the button that runs or stops."""

    found = Signal(object)  # Analysis: the session has this circuit already

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self.context = context
        self.controls = DiscoveryControls()
        self.run_button = QPushButton(RUN)
        self.fold = small_button("mdi6.tune-variant", "Ablation, metric and other settings")
        self.estimate, self.below = ElidedLabel(), QLabel()
        self.fixes = {fix: QPushButton(text) for fix, text in FIXES.items()}
        self.asked: Search | None = None  # its circuit comes on screen when it comes
        self._soon = QTimer(self, singleShot=True, interval=_AFTER_TYPING_MS)
        self._lay_out()
        self._listen()

    def _lay_out(self) -> None:
        self.run_button.setObjectName("primary")
        self.estimate.setObjectName("dim")
        self.below.setObjectName("dim")
        self.below.setTextFormat(Qt.TextFormat.PlainText)
        self.below.setWordWrap(True)
        self.below.hide()
        self.fold.setCheckable(True)
        self.controls.hide()
        top = QHBoxLayout()
        top.setSpacing(6)
        for part in (self.controls.data, self.controls.count, self.controls.method, self.fold):
            top.addWidget(part)
        top.addWidget(self.run_button)
        top.addWidget(self.estimate, 1)
        for button in self.fixes.values():
            button.hide()
            top.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.below)
        column.addWidget(self.controls)

    def _listen(self) -> None:
        context = self.context
        self._soon.timeout.connect(self._foresee)
        self.controls.changed.connect(self.look)
        self.controls.file_asked.connect(self._on_file)
        self.run_button.clicked.connect(self._on_run)
        self.fold.toggled.connect(self.controls.setVisible)
        for button in self.fixes.values():
            button.clicked.connect(self._on_fix)
        context.work.changed.connect(self._on_work)
        context.draft.changed.connect(self._on_draft)
        context.library.changed.connect(self._on_library)
        context.workspace.prepared.arrived.connect(self._on_prepared)

    @property
    def job(self) -> Piece | None:
        """The search that is under way."""
        pieces = self.context.work.pieces
        return next((p for p in pieces if p.slot == DISCOVERY_SLOT and p.under_way), None)

    @property
    def why_not(self) -> str:
        """Why no circuit can be looked for, empty when one can."""
        workspace = self.context.workspace
        if workspace.session is None:
            return "Run a prompt first."
        if reason := no_edges(workspace.session):
            return reason
        if workspace.offline:
            return needs_model(workspace.session)
        held = self._outlook()
        return held.problem if held is not None else ""

    def run(self) -> None:
        """Start the search, or hand its circuit out at once if the session has it."""
        search = self.controls.search()
        held = discovery_for(self.context.workspace.session, search)
        if held is not None:
            self.found.emit(held)
        elif not self.why_not:
            self.asked = search
            self.context.ask(RunDiscovery(search))

    def _on_run(self) -> None:
        piece = self.job
        if piece is not None:
            self.context.stop(piece.number)
        else:
            self.context.do(CommandId.DISCOVER)

    def _on_fix(self) -> None:
        pressed = self.sender()
        for (name, value), button in self.fixes.items():
            if button is pressed:
                self.controls.use(name, value)

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
        self.controls.offer_sets(self.context.library.shelf.facts.prompt_sets)
        self.controls.show_question(question_on_screen(session, self.context.draft.text))
        self.look()

    def look(self) -> None:
        """Something that is asked for may have changed."""
        self._soon.start()
        self._tell()

    def showEvent(self, event: QShowEvent) -> None:
        """Estimate what stands there once it is looked at."""
        super().showEvent(event)
        self._soon.start()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow panel the estimate, or the reason, stands below and is never cut."""
        super().resizeEvent(event)
        self._place_estimate()

    def _place_estimate(self) -> None:
        narrow = self.width() < _NARROW
        self.below.setText(self.estimate.text())
        self.below.setVisible(narrow and bool(self.below.text()))
        self.estimate.setMaximumWidth(0 if narrow else _WIDEST)

    def _outlook(self) -> Outlook | None:
        held = self.context.workspace.prepared.get(outlook_key(self.controls.search()))
        return held if isinstance(held, Outlook) else None

    def _foresee(self) -> None:
        workspace = self.context.workspace
        if not self.isVisible() or workspace.session is None or workspace.offline:
            return
        search = self.controls.search()
        if self._outlook() is None and workspace.prepared.wants(outlook_key(search)):
            self.context.ask(ForeseeDiscovery(search))

    def _on_prepared(self, key: object) -> None:
        # A panel that was replaced hears of it as long as anything holds it.
        if isValid(self) and key == outlook_key(self.controls.search()):
            self._tell()

    def _on_work(self) -> None:
        self.context.later((self, "work"), self._tell)

    def _tell(self) -> None:
        piece, reason = self.job, self.why_not
        self.run_button.setText(RUN if piece is None else "Stop")
        self.run_button.setEnabled(piece is not None or not reason)
        self.run_button.setToolTip(reason)
        self.estimate.setText(self._said(piece, reason))
        self._place_estimate()
        held = self._outlook()
        offered = held.fixes if held is not None and piece is None else ()
        for fix, button in self.fixes.items():
            button.setVisible(fix in offered)

    def _said(self, piece: Piece | None, reason: str) -> str:
        """What the search takes, or how far the one under way is."""
        if piece is not None:
            at = piece.progress
            told = piece.title if at is None else f"{at.title} · {at.fraction:.0%}"
            return told + self._in_all
        if reason:
            return reason
        if discovery_for(self.context.workspace.session, self.controls.search()) is not None:
            return f"Found already: {RUN} shows it."
        held = self._outlook()
        told = "Estimating …" if held is None else outlook_text(held)
        return f"Stopped before the first scores · {told}" if self._stopped_early else told

    @property
    def _in_all(self) -> str:
        """What the search under way was estimated to take."""
        held = None
        if self.asked is not None:
            held = self.context.workspace.prepared.get(outlook_key(self.asked))
        likely = held.seconds if isinstance(held, Outlook) else 0.0
        return f" · about {seconds_text(likely)} in all" if likely else ""

    @property
    def _stopped_early(self) -> bool:
        """Whether the last search, for what stands here, ended with nothing to show."""
        ended = [p for p in self.context.work.pieces if p.slot == DISCOVERY_SLOT]
        last = max(ended, key=lambda piece: piece.number, default=None)
        stopped = last is not None and last.outcome is Outcome.STOPPED and not last.parts
        return stopped and self.asked == self.controls.search()
