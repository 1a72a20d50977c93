"""Saves what no file holds every few minutes, and offers what a crash left at the next start."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QMessageBox, QWidget

from microtome_desktop.jobs.at_step import AtStep
from microtome_desktop.jobs.autosave_requests import AutoSave, OpenKept
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.file_requests import SaveSession
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.handlers import Handlers
from microtome_desktop.views.kept_files import KeptFiles

_MINUTE_MS = 60_000
_LATER_MS = 5_000  # a run is under way: what it finds is worth the wait


class Autosave(QObject):
    """Without a ``folder`` only sessions that have a file are saved."""

    def __init__(
        self,
        window: QWidget,
        desk: Desk,
        runner: JobRunner,
        handlers: Handlers,
        folder: Path | None = None,
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner, self._handlers = window, desk, runner, handlers
        self.kept = None if folder is None else KeptFiles(folder)
        self._broken = ""  # uuid of a session that could not be saved: told once
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.act)
        desk.settings.changed.connect(self._on_setting)
        desk.workspace.path_changed.connect(self._on_path)
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self._on_failed)
        self._start()

    def _start(self) -> None:
        minutes = self._desk.settings.autosave
        if minutes:
            self._timer.start(minutes * _MINUTE_MS)
        else:
            self._timer.stop()

    def _on_setting(self, name: str) -> None:
        if name == "autosave":
            self._start()

    @Slot()
    def act(self) -> None:
        """Save now, if there is something to save; otherwise look again after the usual time."""
        session = self._desk.workspace.session
        if any(isinstance(r, Examine | AtStep | SaveSession) for r in self._runner.under_way):
            self._timer.start(_LATER_MS)
            return
        self._start()
        if session is None or not self._desk.workspace.dirty or session.uuid == self._broken:
            return
        path = self._desk.workspace.path
        if path is None and self.kept is not None:
            path = self.kept.prepare()
        if path is not None:
            self._runner.ask(AutoSave(path, *self._handlers.to_save(path)))

    def _on_path(self, path: Path | None) -> None:
        if path is not None and self.kept is not None:  # what was kept is in a file of its own now
            self.kept.remove(self.kept.own)

    @Slot(object)
    def _on_finished(self, request: object) -> None:
        if isinstance(request, AutoSave):
            now = datetime.now().astimezone().strftime("%H:%M")
            own = request.path == self._desk.workspace.path
            what = request.path.name if own else "what is unsaved, for the next start"
            self._handlers.say(f"{now} saved {what}")

    @Slot(object, object)
    def _on_failed(self, request: object, failure: object) -> None:
        if isinstance(request, AutoSave):
            self._broken = request.session.uuid

    # after a crash

    def offer(self) -> None:
        """Ask what to do with what windows that crashed had kept; does not block the window."""
        for path in self.kept.orphans() if self.kept is not None else ():
            self._offer(path)

    def _offer(self, path: Path) -> None:
        when = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
        box = QMessageBox(self._window)
        box.setObjectName("kept")
        box.setModal(False)
        box.setIcon(QMessageBox.Icon.Question)
        box.setText("Microtome ended before a session was saved.")
        box.setInformativeText(f"It was kept on {when:%d %B at %H:%M}. Open it?")
        opening = box.addButton("Open it", QMessageBox.ButtonRole.AcceptRole)
        away = box.addButton("Throw it away", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(opening)
        later = box.addButton("Later", QMessageBox.ButtonRole.RejectRole)
        box.setEscapeButton(later)

        def answered() -> None:
            chosen = box.clickedButton()
            if chosen is opening:
                self._handlers.patience.ask(OpenKept(path))
            elif self.kept is not None:
                (self.kept.remove if chosen is away else self.kept.leave)(path)
            box.deleteLater()

        box.finished.connect(answered)
        box.show()

    def end(self) -> None:
        """The window ends in order: nothing has to outlive it."""
        self._timer.stop()
        if self.kept is not None:
            self.kept.clear()
