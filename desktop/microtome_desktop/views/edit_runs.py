"""Runs the edits again whenever they change: the latest wins, and no move of a slider waits."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Slot

from microtome.records.edits import EditSpec
from microtome.records.session import Session
from microtome_desktop.jobs.edit_requests import (
    QUICK,
    WHOLE,
    ChangeEdges,
    TryEdits,
    can_change_edges,
    show_edited,
)
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk

# A drag asks faster than a small model answers: were each question to kill the one before, no
# answer would ever come. A large model is stopped when it has not answered in this time.
_PATIENCE = 1.0  # seconds
_CHECKS_AFTER_MS = 2_000
_EDGES_AFTER_MS = 200  # when the slider rests


class EditRuns(QObject):
    """Follows the edits of the session on screen."""

    def __init__(
        self, parent: QObject, desk: Desk, runner: JobRunner, run_checks: Callable[[], None]
    ) -> None:
        super().__init__(parent)
        self._desk, self._runner, self._run_checks = desk, runner, run_checks
        self._shown: tuple[str, tuple[EditSpec, ...]] | None = None  # asked last
        self._asked_at: float | None = None  # while no prediction has come
        self._again = False
        self._checks = QTimer(self, singleShot=True, interval=_CHECKS_AFTER_MS)
        self._checks.timeout.connect(self._on_checks)
        self._edges = QTimer(self, singleShot=True, interval=_EDGES_AFTER_MS)
        self._edges.timeout.connect(self._on_edges)
        desk.workspace.part_changed.connect(self._on_part)
        desk.workspace.session_replaced.connect(self._on_session)
        desk.workspace.model_changed.connect(self._on_model)
        runner.finished.connect(self._on_end)
        runner.failed.connect(self._on_failed)
        runner.stopped.connect(self._on_end)

    def _on_session(self, session: Session | None) -> None:
        self._desk.trials.clear()
        self._shown = None
        if session is not None and session.edited is not None:
            self._shown = (session.uuid, session.marks.edits)  # it is there already
        self._follow()

    def _on_model(self, model: object) -> None:
        self._follow()

    def _on_part(self, part: str) -> None:
        if part in {"marks", "marks/edits", "metric"}:
            self._follow()
        elif part in {QUICK, WHOLE}:
            self._answered()
            self._edges.start()

    def _follow(self) -> None:
        """Ask for a run of the edits, if they are others than those asked for."""
        workspace, session = self._desk.workspace, self._desk.workspace.session
        if session is None or session.clean is None or not session.metric or workspace.offline:
            return
        wanted = (session.uuid, session.marks.edits)
        if wanted == self._shown:
            return
        if not any(spec.on for spec in session.marks.edits):
            self._shown = wanted
            self._runner.cancel(TryEdits.slot)
            self._desk.trials.clear()
            show_edited(self._desk, None, {}, WHOLE)
        elif self._asked_at is not None and time.monotonic() - self._asked_at < _PATIENCE:
            self._again = True
        else:
            self._shown, self._again = wanted, False
            self._runner.ask(TryEdits(session.marks.edits))
            self._asked_at = time.monotonic()  # last: the one that was stopped has told of its end

    def _answered(self) -> None:
        self._asked_at = None
        if self._again:
            self._again = False
            self._follow()

    @Slot(object)
    def _on_end(self, request: object) -> None:
        if isinstance(request, TryEdits):
            self._answered()
            if self._desk.library.shelf.checks is None:
                self._checks.start()

    @Slot(object, object)
    def _on_failed(self, request: object, failure: object) -> None:
        self._on_end(request)

    @Slot()
    def _on_edges(self) -> None:
        session = self._desk.workspace.session
        if session is not None and not self._desk.workspace.offline and can_change_edges(session):
            self._runner.ask(ChangeEdges())

    @Slot()
    def _on_checks(self) -> None:
        """Check the model's numbers after all: the edits had stopped that."""
        if self._desk.library.shelf.checks is not None:
            return
        if self._runner.idle:
            self._run_checks()
        else:
            self._checks.start()
