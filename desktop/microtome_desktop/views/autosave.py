"""Keeps what is unsaved a moment after it changed, and offers what a crash left."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QMessageBox, QWidget

from microtome_desktop.jobs.at_step import AtStep
from microtome_desktop.jobs.autosave_requests import AutoSave, LookForUnsaved, OpenKept
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.file_requests import SaveSession, Word
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.handlers import Handlers
from microtome_desktop.views.kept_files import KeptFiles

if TYPE_CHECKING:
    from microtome.session.unsaved import Unsaved

_LOOKED_AT = 3  # sessions that were open last
_LATER_MS = 1_000  # while what makes the session, or writes it, is under way
_AGAIN = 30.0  # seconds after a failure


class Autosave(QObject):
    """Without a ``folder`` only the changes of sessions that have a file are kept."""

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
        self._broken = ""  # uuid of a session that could not be kept: told once
        self._again_at = 0.0  # when it is tried again
        self._since: float | None = None  # when the first change came that is not kept
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.act)
        desk.settings.changed.connect(self._on_setting)
        desk.workspace.part_changed.connect(self._on_part)
        desk.workspace.dirty_changed.connect(self._on_dirty)
        desk.workspace.path_changed.connect(self._on_path)
        desk.unsaved.found.connect(self._on_unsaved)
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self._on_failed)

    def _on_setting(self, name: str) -> None:
        if name == "autosave":
            self._timer.stop()
            self._on_dirty(self._desk.workspace.dirty)

    def _on_part(self, part: str) -> None:
        self._on_dirty(dirty=True)

    def _on_dirty(self, dirty: bool) -> None:
        """Keep what changed in a moment, however many changes follow: it takes milliseconds."""
        pause = self._desk.settings.autosave
        if not dirty or not pause:
            return
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        self._timer.start(round(1000 * max(0.0, self._since + pause - now)))

    @Slot()
    def act(self) -> None:
        """Keep now what is unsaved, if there is something."""
        session = self._desk.workspace.session
        # One that takes long, the first of a large session, is not begun anew by the next change.
        busy = self._runner.has(AutoSave.slot)
        if busy or any(self._puts_off(request) for request in self._runner.under_way):
            self._timer.start(_LATER_MS)
            return
        self._since = None
        if session is None or not self._desk.workspace.dirty:
            return
        again = session.uuid == self._broken
        if again and (left := self._again_at - time.monotonic()) > 0:
            self._timer.start(round(1000 * left))
            return
        path = self._desk.workspace.path
        kept = None if self.kept is None else self.kept.prepare()
        place = path or kept
        if place is not None:
            self._runner.ask(AutoSave(path, kept, *self._handlers.to_save(place), again))

    def _puts_off(self, request: object) -> bool:
        """A save, and a run that makes the session on screen: half of it is not worth a file.

        A session that was there before is kept while another run is under way.
        """
        session = self._desk.workspace.session
        run = request.run if isinstance(request, AtStep) else request
        makes = isinstance(run, Examine) and session is not None and run.uuid == session.uuid
        return makes or isinstance(request, SaveSession)

    def _on_path(self, path: Path | None) -> None:
        if path is not None and self.kept is not None:  # what was kept is in a file of its own now
            self.kept.remove(self.kept.own)

    @Slot(object)
    def _on_finished(self, request: object) -> None:
        if isinstance(request, AutoSave | SaveSession) and request.session.uuid == self._broken:
            self._broken = ""
        if isinstance(request, SaveSession) and self.kept is not None:
            self.kept.remove(self.kept.own)  # of edits that the file could not take before
        if isinstance(request, Examine) and self._desk.settings.autosave:
            self._timer.start(0)  # a run takes longest to make again

    @Slot(object, object)
    def _on_failed(self, request: object, failure: object) -> None:
        if isinstance(request, AutoSave):
            self._broken = request.session.uuid
            self._again_at = time.monotonic() + _AGAIN
            self._timer.start(round(1000 * _AGAIN))

    # after a crash

    def offer(self) -> None:
        """Ask what to do with what windows that crashed had kept; does not block the window."""
        for path in self.kept.orphans() if self.kept is not None else ():
            self._offer(path)
        recent = self._desk.settings.recent_sessions[:_LOOKED_AT]
        if self.kept is not None and recent:
            self._runner.ask(LookForUnsaved(tuple(map(Path, recent))))

    def _box(self, name: str, text: str, more: str) -> QMessageBox:
        box = QMessageBox(self._window)
        box.setObjectName(name)
        box.setModal(False)
        box.setIcon(QMessageBox.Icon.Question)
        box.setTextFormat(Qt.TextFormat.PlainText)  # file names may look like markup
        box.setText(text)
        box.setInformativeText(more)
        return box

    def _on_unsaved(self, found: Unsaved) -> None:
        """Changes wait beside a file that is to be opened, or was open when the program ended."""
        when = found.when.astimezone()
        box = self._box(
            "unsaved changes",
            f"{found.path.name} has changes that were not saved.",
            f"The last one was kept on {when:%d %B at %H:%M}. Recover them?",
        )
        recover = box.addButton("Recover them", QMessageBox.ButtonRole.AcceptRole)
        away = box.addButton("Throw them away", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(recover)
        box.setEscapeButton(box.addButton("Later", QMessageBox.ButtonRole.RejectRole))

        def answered() -> None:
            chosen = box.clickedButton()
            box.deleteLater()
            if chosen in (recover, away):
                word = Word.RECOVER if chosen is recover else Word.THROW_AWAY
                self._handlers.open_path(found.path, word)

        box.finished.connect(answered)
        box.show()

    def _offer(self, path: Path) -> None:
        when = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
        box = self._box(
            "kept",
            "Microtome ended before a session was saved.",
            f"It was kept on {when:%d %B at %H:%M}. Open it?",
        )
        opening = box.addButton("Open it", QMessageBox.ButtonRole.AcceptRole)
        away = box.addButton("Throw it away", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(opening)
        later = box.addButton("Later", QMessageBox.ButtonRole.RejectRole)
        box.setEscapeButton(later)

        def answered() -> None:
            chosen = box.clickedButton()
            if chosen is opening:
                self._handlers.patience.ask(OpenKept(path, Word.RECOVER))
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
