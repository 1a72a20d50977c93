"""Runs the edits of features again whenever they change; the newest wins."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

from microtome.records.feature_edit import FEATURE_EDIT
from microtome.records.session import Session
from microtome_desktop.jobs.feature_edit_requests import (
    TryFeatureEdits,
    forget_result,
    same_edits,
)
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.book import FEATURE_EDITS
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.feature_acts import acting
from microtome_desktop.state.feature_sets import why_no_feature_edits

_AFTER_MS = 60  # several changes of one moment are one


class FeatureEditRuns(QObject):
    """Follows the edits of features of the session on screen."""

    def __init__(self, parent: QObject, desk: Desk, runner: JobRunner) -> None:
        super().__init__(parent)
        self._desk, self._runner = desk, runner
        self._asked: Session | None = None  # as it was when its edits were run
        self._soon = QTimer(self, singleShot=True, interval=_AFTER_MS)
        self._soon.timeout.connect(self._run)
        desk.workspace.part_changed.connect(self._on_part)
        desk.workspace.session_replaced.connect(self._on_session)
        desk.workspace.model_changed.connect(self._on_model)

    def _on_session(self, session: Session | None) -> None:
        done = session is not None and FEATURE_EDIT in session.analyses
        self._asked = session if done else None
        self._follow()

    def _on_part(self, part: str) -> None:
        if part in {FEATURE_EDITS, "marks"}:
            self._follow()

    def _on_model(self, model: object) -> None:
        self._follow()

    def _follow(self) -> None:
        session = self._desk.workspace.session
        if session is None or (not acting(session.marks) and FEATURE_EDIT not in session.analyses):
            return
        if self._asked is None or not self._same(session, self._asked):
            self._soon.start()

    @staticmethod
    def _same(session: Session, asked: Session) -> bool:
        return session.uuid == asked.uuid and same_edits(session, asked)

    def _run(self) -> None:
        session = self._desk.workspace.session
        if session is None:
            return
        self._asked = session
        if not acting(session.marks):
            self._runner.cancel(TryFeatureEdits.slot)
            forget_result(self._desk)
        elif why_no_feature_edits(self._desk.workspace, self._desk.library):
            self._asked = None  # once there is a model or a set
        else:
            self._runner.ask(TryFeatureEdits())
