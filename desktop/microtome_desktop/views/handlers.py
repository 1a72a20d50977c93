"""What each command does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QFileDialog, QMessageBox

from microtome.errors import InputError, MicrotomeError
from microtome.records.session import Session
from microtome_desktop.commands.command import CommandId, Situation
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.failure import Failure
from microtome_desktop.jobs.file_requests import (
    REMEMBERED,
    CompactFile,
    OpenSession,
    PrepareOpening,
    SaveSession,
    VerifyFile,
    Word,
    held_in_file,
    may_be_session,
)
from microtome_desktop.jobs.model_requests import LoadModel, RunChecks
from microtome_desktop.jobs.requests import Examine, ReproducedShare
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.adapters import ADAPTER
from microtome_desktop.presenters.models import short_name
from microtome_desktop.state.checked import reports_to_show
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.made_by import model_name
from microtome_desktop.views.coverage_window import CoverageWindow
from microtome_desktop.views.dialogs import (
    ChecksWindow,
)
from microtome_desktop.views.helping import Helping
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.memory_question import memory_is_settled
from microtome_desktop.views.patience import Patience
from microtome_desktop.views.save_dialog import FILTER, SaveDialog

_SHOWN_NODES, _SHOWN_EDGES = 40, 0.8
_PASSING_MS = 4_000
_NO_SESSION = (
    "It is no session, no graph and no image.",
    "Drop a session (.h5), a file of a graph, an image, or the folder of a model.",
)


class Handlers(QObject):
    """Acts on commands: reads the state, asks the runner, opens dialogs."""

    def __init__(self, window: MainWindow, desk: Desk, runner: JobRunner) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner = window, desk, runner
        self._closing = False
        self._included: dict[Path, tuple[str, ...]] = {}  # by file, as chosen in the save dialog
        self.patience = Patience(window, runner)
        self.helping = Helping(window, desk, runner, self.load_again)
        self.forget_panels()
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self._on_failed)
        window.may_close = self.may_close

    def forget_panels(self) -> None:
        """Before there are panels, and when they go."""
        self.focus_prompt: Callable[[], None] = self._window.setFocus
        self.panel_views: Callable[[], dict[str, Any]] = dict
        self.settle: Callable[[], None] = _nothing  # takes what is still being typed

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """Every command and what it does."""
        return {
            CommandId.OPEN_SESSION: self.open_session,
            CommandId.SAVE: self.save,
            CommandId.SAVE_AS: self.save_as,
            CommandId.VERIFY_FILE: self.verify_file,
            CommandId.COMPACT_FILE: self.compact_file,
            CommandId.QUIT: self._quit,
            CommandId.SWAP_PROMPTS: self._desk.draft.swap,
            CommandId.CLEAR_SELECTION: self._desk.selection.clear,
            CommandId.COPY_PICTURE: self._copy_picture,
            CommandId.RESET_LAYOUT: self._window.reset_layout,
            CommandId.FULL_SCREEN: self._full_screen,
            CommandId.OPEN_MODEL_FOLDER: self.open_model_folder,
            CommandId.OPEN_MODEL_HUB: self.open_model_hub,
            CommandId.ATTACH_MODEL: self.attach_model,
            CommandId.RUN_CHECKS: self.run_checks,
            CommandId.SHOW_CHECKS: self._show_checks,
            CommandId.SHOW_COVERAGE: self._show_coverage,
            CommandId.RUN: self.run,
            CommandId.STOP: self._runner.cancel_visible,
            CommandId.PAUSE: self._runner.pause_or_resume,
            CommandId.REPRODUCE: self.reproduce,
            CommandId.FOCUS_PROMPT: self._focus_prompt,
            CommandId.START_PAGE: self.helping.start_page,
            CommandId.DOCUMENTATION: self.helping.documentation,
            CommandId.PALETTE: self.helping.find,
            CommandId.SETTINGS: self.helping.show_settings,
            CommandId.SHORTCUTS: self.helping.shortcuts,
            CommandId.MESSAGES: self.helping.messages,
            CommandId.COPY_DIAGNOSTICS: self.helping.diagnostics,
            CommandId.ABOUT: self.helping.about,
        }

    # running

    def run(self) -> None:
        """Run what is typed."""
        if reason := self.why_not(CommandId.RUN):
            self._desk.notices.warn("The prompt cannot be run yet", reason)
            return
        try:
            question = self._desk.draft.text.question()
        except MicrotomeError as error:
            self._desk.notices.post(Failure.of("The prompt cannot be run", error).notice)
            return
        if memory_is_settled(self._window, self._desk.draft.reading.needs):
            self._runner.ask(Examine(question))

    def why_not(self, wanted: CommandId) -> str:
        """Why a command cannot be used now, empty when it can."""
        return command(wanted).blocked(Situation(self._desk, bool(self._runner.under_way)))

    def run_checks(self) -> None:
        """Check the loaded model's numbers."""
        model = self._desk.workspace.model
        if model is not None:
            self._runner.ask(RunChecks(model.fingerprint))

    def reproduce(self) -> None:
        """Run the nodes that the default view shows, alone."""
        session = self._desk.workspace.session
        if session is not None and session.circuit is not None:
            from microtome.circuits.prune import prune

            shown = prune(session.circuit, _SHOWN_NODES, _SHOWN_EDGES)
            self._runner.ask(ReproducedShare(shown.node_id))

    # models

    def load(self, name: str, *, remember: bool = False) -> None:
        """Load a model by name; nothing is fetched."""
        self.patience.ask(LoadModel(name, self._desk.settings.device, remember=remember))

    def load_again(self) -> None:
        """The loaded model with what the settings say now."""
        model = self._desk.workspace.model
        if model is not None and model.architecture == ADAPTER:
            self._window.actions_table.trigger(CommandId.OPEN_ADAPTER)  # its word is asked again
        elif model is not None:
            recent = [r for r in self._desk.settings.recent_models if short_name(r) == model.name]
            self.load(recent[0] if recent else model.name)

    def open_model_folder(self) -> None:
        """Choose a model folder."""
        self._runner.ask(PrepareOpening("model"))
        folder = self._choose_folder("Open model folder")
        if folder:
            self.load(folder, remember=True)

    def _choose_folder(self, title: str) -> str:
        start = self._desk.settings.folder
        folder = QFileDialog.getExistingDirectory(self._window, title, start)
        if folder:
            self._desk.settings.folder = folder
        return folder

    def open_model_hub(self) -> None:
        """Ask for a hub id, and for the word to fetch it."""
        from microtome_desktop.views.hub_dialog import HubDialog

        opening = partial(self.load, remember=True)
        HubDialog(self._desk, self._runner, opening, self._window).show()

    def open_downloaded(self, name: str) -> None:
        """Load a model that has arrived, unless that would kill what the user waits for."""
        waited = [request for request in self._runner.under_way if request.missed]
        if waited:
            told = "Open it from the recent models when the work that is under way is done."
            self._desk.notices.info(f"{name} is on this computer now", told)
        else:
            self.load(name, remember=True)

    def attach_model(self) -> None:
        """Load the model that made the session; another one is refused."""
        session = self._desk.workspace.session
        if session is None:
            return
        if session.model.architecture == ADAPTER:
            self._window.actions_table.trigger(CommandId.OPEN_ADAPTER)
            return
        name = self._place_of(model_name(session))
        if name:
            held = session.model  # numbers agree only with the precision that made them
            self.patience.ask(
                LoadModel(
                    name,
                    self._desk.settings.device,
                    fingerprint=held.fingerprint,
                    dtype=held.dtype,
                )
            )

    def _place_of(self, name: str) -> str:
        """Where a session's model may lie: embedded, recent, or where the user says."""
        embedded = {entry.name for entry in self._desk.library.shelf.embedded}
        if name.partition("@")[0] in embedded:
            return name
        for recent in self._desk.settings.recent_models:
            gone = Path(recent).is_absolute() and not Path(recent).is_dir()
            if name in (recent, short_name(recent)) and not gone:
                return recent
        return self._choose_folder(f"Where is the model {short_name(name)}?")

    def _show_checks(self) -> None:
        for report in reports_to_show(
            self._desk.library.shelf.checks, self._desk.workspace.session
        ):
            ChecksWindow(report, self._window).show()

    def _show_coverage(self) -> None:
        held = self._desk.library.shelf.coverage
        if held is not None:
            CoverageWindow(held, self._window).show()

    # files

    def open_session(self) -> None:
        """Choose a session file and open it."""
        self._runner.ask(PrepareOpening())
        start = self._desk.settings.folder
        chosen, _ = QFileDialog.getOpenFileName(self._window, "Open session", start, FILTER)
        if chosen:
            self.open_path(Path(chosen))

    def open_path(self, path: Path, word: Word = Word.ASK) -> None:
        """Open a session file, once what is unsaved is dealt with."""
        if self.unsaved_is_settled():
            self._desk.settings.folder = str(path.parent)
            self.patience.ask(OpenSession(path, word))

    def open_dropped(self, path: str) -> None:
        """Open what was dropped on the window: a folder is a model, a file a session."""
        if Path(path).is_dir():
            self.load(path, remember=True)
        elif may_be_session(Path(path)):
            self.open_path(Path(path))
        else:
            self._desk.notices.warn(f"{Path(path).name} cannot be opened", *_NO_SESSION)

    def verify_file(self) -> None:
        """Compare the session's file with its checksums."""
        path = self._desk.workspace.path
        if path is not None:
            self._runner.ask(VerifyFile(path))

    def compact_file(self) -> None:
        """Write the session's file anew without what nothing in it uses."""
        path = self._desk.workspace.path
        if path is not None:
            self._runner.ask(CompactFile(path, *self.to_save(path)))

    def save(self) -> None:
        """Save to the session's file, or ask for one."""
        path = self._desk.workspace.path
        if path is None or self._desk.workspace.note:
            self.save_as()
        else:
            self._save(path)

    def save_as(self) -> None:
        """Ask for a file and save there."""
        self.settle()
        session = self._desk.workspace.session
        if session is None:
            return
        dialog = SaveDialog(self._desk, self._runner, session, self._window)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self._desk.settings.folder = str(dialog.choice.path.parent)
            self._included[dialog.choice.path] = dialog.choice.include
            self._save(dialog.choice.path, replace=True)
        dialog.deleteLater()

    def _save(self, path: Path, *, replace: bool = False) -> None:
        if self._desk.workspace.session is not None:
            self._runner.ask(SaveSession(path, *self.to_save(path), replace))

    def to_save(self, path: Path) -> tuple[Session, tuple[str, ...]]:
        """The session on screen as a file there would hold it, and what it includes."""
        self.settle()
        session = self._desk.workspace.session
        if session is None:
            raise InputError("There is nothing to save.", "Run a prompt first.")
        include = self._included.get(path)
        return self._with_view(session), held_in_file(session) if include is None else include

    def say(self, text: str) -> None:
        """Tell something in passing, in the status bar."""
        self._window.statusBar().showMessage(text, _PASSING_MS)

    def _with_view(self, session: Session) -> Session:
        selected = self._desk.selection.current
        kept = {name: getattr(selected, name) for name in REMEMBERED}
        chosen = {"selection": {name: value for name, value in kept.items() if value is not None}}
        return replace(session, view={**session.view, **self.panel_views(), **chosen})

    def unsaved_is_settled(self) -> bool:
        """Whether what is on screen may be lost; asks when no file holds it."""
        self.settle()
        if not self._desk.workspace.dirty:
            return True
        box = QMessageBox(self._window)
        box.setObjectName("unsaved")
        box.setIcon(QMessageBox.Icon.Question)
        box.setText("The session has results that no file holds.")
        box.setInformativeText("Save them first?")
        buttons = QMessageBox.StandardButton
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        box.setDefaultButton(buttons.Save)
        answer = box.exec()
        box.deleteLater()
        if answer == buttons.Save:
            self.save()
        return answer == buttons.Discard

    # the window

    def may_close(self) -> bool:
        """Ask for work under way and unsaved; a save goes on, and the window closes after it."""
        if self._closing:
            return True
        if not self.patience.may_close():
            return False
        if self.unsaved_is_settled():
            return True
        self._closing = any(isinstance(r, SaveSession) for r in self._runner.under_way)
        return False

    def _on_finished(self, request: object) -> None:
        if self._closing and isinstance(request, SaveSession):
            self._window.close()

    def _on_failed(self, request: object, failure: object) -> None:
        if isinstance(request, SaveSession):
            self._closing = False
        if isinstance(request, OpenSession) and not request.path.exists():
            self._desk.settings.forget_session(request.path)

    def _quit(self) -> None:
        self._window.close()

    def _full_screen(self) -> None:
        if self._window.isFullScreen():
            self._window.showNormal()
        else:
            self._window.showFullScreen()

    def _copy_picture(self) -> None:
        QGuiApplication.clipboard().setPixmap(self._window.grab())
        self._desk.notices.info("A picture of the window is on the clipboard")

    def _focus_prompt(self) -> None:
        self.focus_prompt()


def _nothing() -> None:
    """There is nothing to do."""
