"""Everything behind the shell: state, threads, panels, and what follows what."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

import microtome_resources as resources
from microtome.prompts import Question
from microtome_desktop import palette as colours
from microtome_desktop import theme
from microtome_desktop.commands.command import CommandId, Situation
from microtome_desktop.commands.shortcuts import all_keys, keys_of
from microtome_desktop.jobs.at_step import AtStep
from microtome_desktop.jobs.edit_requests import QUICK, WHOLE
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.failure import Failure
from microtome_desktop.jobs.file_requests import OpenSession, ReadArray, VerifyFile
from microtome_desktop.jobs.hub_requests import DownloadModel
from microtome_desktop.jobs.model_requests import LoadModel, ReadDraft
from microtome_desktop.jobs.pattern_request import LookAgain
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.albums import album_of, label_of
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.book import EDITS
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.draft import as_typed
from microtome_desktop.state.library import EmbeddedEntry
from microtome_desktop.state.settings import Settings, Store
from microtome_desktop.views.ask_panel import AskPanel
from microtome_desktop.views.autosave import Autosave
from microtome_desktop.views.command_binding import bind_commands
from microtome_desktop.views.edit_runs import EditRuns
from microtome_desktop.views.export_menu import ExportMenus
from microtome_desktop.views.furnishing import Furnishing
from microtome_desktop.views.handlers import Handlers
from microtome_desktop.views.layouts import Layouts
from microtome_desktop.views.lesson_mark import LessonMark
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.menus import LivingMenus
from microtome_desktop.views.notes_panel import NotesPanel
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.status import JobStatus
from microtome_desktop.views.toast import Toasts

# What a slider of an edit changes; commands may follow a moment later than predictions.
_OF_EDITS = frozenset({EDITS, QUICK, WHOLE})
# What of the selection a command depends on.
_SELECTED = frozenset({"node", "others", "edge", "head", "neuron", "position", "layer"})
_MOMENT_MS = 60
_QUIETLY_VERIFIED = 256 * 2**20  # bytes; a larger file is verified when asked


def _first_question() -> Question:
    """What the window asks at its start.

    One prompt has the richer circuit; the corrupt one is what the tour adds next.
    """
    example = resources.START_EXAMPLE
    return Question(example.clean, None, example.answer, example.wrong)


class Workbench(QObject):
    """Joins a shell to its state and threads. ``ready`` comes when all panels are there."""

    ready = Signal()

    def __init__(self, window: MainWindow, store: Store, kept: Path | None = None) -> None:
        """``kept`` is the folder where unsaved sessions outlive a crash; None keeps none."""
        super().__init__(window)
        self.window = window
        self.desk = Desk(settings=Settings(store))
        self.runner = JobRunner(self.desk, self)
        self.handlers = Handlers(window, self.desk, self.runner)
        self.toasts = Toasts(window, self.desk.notices)
        self.menus = LivingMenus(window, self.desk, self.handlers)
        window.statusBar().clearMessage()
        self.status = JobStatus(window.statusBar(), self.desk, self.runner)
        self.edit_runs = EditRuns(window, self.desk, self.runner, self.handlers.run_checks)
        self.autosave = Autosave(window, self.desk, self.runner, self.handlers, kept)
        self._offered = False
        self._example: LoadModel | None = None
        self._busy = False
        self._filled: dict[str, Any] = {}
        embedded = (
            EmbeddedEntry(n, resources.checkpoints(n), resources.sees(n))
            for n in resources.model_names()
        )
        self.desk.library.update(embedded=tuple(embedded))
        self.furnishing = Furnishing(window, self._context())
        self.furnishing.done.connect(self._on_furnished)
        self._updating = QTimer(self, singleShot=True, interval=0)
        self._moment = QTimer(self, singleShot=True, interval=_MOMENT_MS)
        self._connect()
        self.layouts = Layouts(window, self.desk)
        # A note that is still being typed comes before what is done next, also for undo.
        window.actions_table.before = self._settle
        bind_commands(window, self.desk, self.runner, self.handlers, self.furnishing.panels)
        window.actions_table.bind({CommandId.SAVE_LAYOUT: self.layouts.save})
        self._on_keys()

    def _context(self) -> PanelContext:
        desk = self.desk
        return PanelContext(
            desk.workspace,
            desk.selection,
            self.handlers.patience.ask,
            desk.draft,
            desk.library,
            desk.settings,
            self.window.actions_table.trigger,
            self.handlers.why_not,
            desk.course,
            desk.history,
            desk.work,
            self.runner.cancel_one,
            self.runner.pause,
            self.runner.resume,
            desk.book,
            self.runner.turns.ask,
            desk.trials,
            desk.dictionaries,
            desk.albums,
        )

    def _connect(self) -> None:
        desk = self.desk
        self._updating.timeout.connect(self._update)
        self._moment.timeout.connect(self._updating.start)
        desk.settings.shortcuts_changed.connect(self._on_keys)
        desk.settings.changed.connect(self._on_setting)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_scheme)
        for signal in (
            desk.workspace.session_replaced,
            desk.workspace.part_changed,
            desk.workspace.model_changed,
            desk.workspace.dirty_changed,
            desk.workspace.path_changed,
            desk.draft.changed,
            desk.draft.reading_changed,
        ):
            signal.connect(self._on_state)
        desk.draft.changed.connect(self._on_draft)
        desk.library.changed.connect(self._on_library)
        desk.selection.changed.connect(self._on_selection)
        desk.book.steps_changed.connect(self._on_steps)
        desk.workspace.arrays.wanted.connect(self._on_wanted)
        self.toasts.taken.connect(self._on_offer)
        self.runner.changed.connect(self._on_work)
        self.runner.finished.connect(self._on_finished)

    # the start

    def start(self, path: Path | None = None) -> None:
        """Open a session for review, or load the first model and run its example."""
        self.furnishing.start()
        if path is not None:
            self.runner.ask(OpenSession(path))
            return
        self._fill(_first_question())
        # Bound here, so that the request that comes back is this one.
        asked = LoadModel(resources.START_EXAMPLE.model, self.desk.settings.device)
        self._example = asked.bound(self.desk)
        self.runner.ask(self._example)

    def _settle(self) -> None:
        self.handlers.settle()

    def _fill(self, question: Question) -> None:
        self._filled = as_typed(question)
        self.desk.draft.fill(question)

    def _panel_views(self) -> dict[str, Any]:
        """How the panels are set, by name, as a session keeps it."""
        states = self.furnishing.view_states()
        return {name: state for name, state in states.items() if state}

    def _on_setting(self, name: str) -> None:
        if name in {"theme", "colour_map"}:
            self.runner.turns.ask((self, "dress"), self.dress)

    @Slot(object)
    def _on_scheme(self, scheme: object) -> None:
        self._on_setting("theme" if self.desk.settings.theme == theme.SYSTEM else "")

    def dress(self) -> None:
        """Draw the whole window in the theme and the colour map of the settings."""
        settings, application = self.desk.settings, QApplication.instance()
        if not isinstance(application, QApplication) or self.furnishing.waiting:
            return
        self.runner.turns.finish()  # what the old panels still asked for
        self.handlers.settle()
        self.handlers.forget_panels()
        self.exports.retire()
        self.mark.retire()
        del self.exports, self.mark
        colours.use_map(settings.colour_map)
        self.furnishing.renew(partial(theme.apply, application, settings.theme))
        self.status.show_state()

    def _on_furnished(self) -> None:
        self.handlers.panel_views = self._panel_views
        notes = self.furnishing.panels["notes"]
        if isinstance(notes, NotesPanel):
            self.handlers.settle = notes.flush
        ask = self.furnishing.panels["ask"]
        if isinstance(ask, AskPanel):
            self.handlers.focus_prompt = ask.prompt.edit
        self.exports = ExportMenus(self.window, self.desk, self.runner, self.furnishing.panels)
        self.mark = LessonMark(self.window, self.desk.course, self.furnishing.panels)
        self._update()
        self.ready.emit()
        if not self._offered:  # panels are made anew with each theme
            self._offered = True
            self.autosave.offer()

    # what follows what

    @Slot(object)
    def _on_finished(self, request: object) -> None:
        if isinstance(request, LoadModel):
            self._after_loading(request)
        elif isinstance(request, OpenSession):
            self._verify_quietly(request.path)
        elif isinstance(request, DownloadModel):
            self.handlers.open_downloaded(request.plan.name)
        elif isinstance(request, Examine | AtStep) and self.desk.library.shelf.checks is None:
            self.handlers.run_checks()

    def _verify_quietly(self, path: Path) -> None:
        """Look at the checksums of an opened file, where that takes no noticeable time."""
        if path.stat().st_size <= _QUIETLY_VERIFIED:
            self.runner.ask(VerifyFile(path, asked=False))

    def _after_loading(self, request: LoadModel) -> None:
        self.runner.ask(ReadDraft(self.desk.draft.text))
        if request is self._example and self.desk.workspace.session is None:
            self.runner.ask(Examine(self.desk.draft.text.question(), example=True))
            return
        if self.desk.draft.text.sees:
            self._offer_first_image()
        else:
            self._offer_first_prompt()
        self.handlers.run_checks()

    def _offer_first_image(self) -> None:
        """Where no image was chosen, ask about the first; run it where nothing would be lost."""
        facts, text = self.desk.library.shelf.facts, self.desk.draft.text
        seen = facts.seen
        if text.image is not None:  # what another model named is no answer of this one
            told = {name: getattr(text, name) for name in ("answer", "wrong")}
            self.desk.draft.update(**{n: "" for n, word in told.items() if word not in facts.words})
        if seen is None or not seen.sets or text.image is not None:
            return
        image = album_of(seen.sets[0]).image(0)
        word = label_of(image)
        self.desk.draft.fill(Question(image, None, word if word in facts.words else None))
        if not self.desk.workspace.dirty:
            self.runner.ask(Examine(self.desk.draft.text.question(), example=True))

    def _offer_first_prompt(self) -> None:
        """A prompt that nobody typed makes room for one that the new model knows.

        After images there is none: then it is run too, where nothing would be lost.
        """
        sets, text = self.desk.library.shelf.facts.prompt_sets, self.desk.draft.text
        blank = not text.prompt.strip()
        untouched = all(getattr(text, name) == typed for name, typed in self._filled.items())
        if not sets or not self._filled or not (blank or untouched):
            return
        model, pair = self.desk.workspace.model, sets[0].pairs[0]
        asked = Question(pair.clean, pair.corrupt, pair.answer, pair.wrong)
        if blank and model is not None and model.name == resources.START_EXAMPLE.model:
            asked = _first_question()
        self._fill(asked)
        if blank and not self.desk.workspace.dirty:
            self.runner.ask(Examine(self.desk.draft.text.question(), example=True))

    def _on_wanted(self, key: ArrayKey) -> None:
        session = self.desk.workspace.session
        if session is not None:
            kept = key.head is None
            self.runner.ask(ReadArray(session, key) if kept else LookAgain(session, key))

    # the look of things

    @property
    def updating(self) -> bool:
        """Whether commands are still to be looked at for the latest change."""
        return self._updating.isActive() or self._moment.isActive()

    def _on_state(self, what: object) -> None:
        # Many changes come at once; commands are looked at once for all of them.
        if not (isinstance(what, str) and what in _OF_EDITS):
            self._updating.start()
        elif not self._moment.isActive():
            self._moment.start()

    @Slot()
    def _on_work(self) -> None:
        # A short run is over before a busy window gets to its timers, and Stop would come late.
        if bool(self.runner.under_way) != self._busy:
            self._update()
        elif self._busy:
            self._updating.start()
        elif not self._moment.isActive():  # quiet work: nothing that a command depends on
            self._moment.start()

    def _on_draft(self, text: object) -> None:
        # At once: who types and presses Return must not find Run off for what stood there before.
        self.window.actions_table.update_one(CommandId.RUN, Situation(self.desk, self._busy))

    def _on_steps(self) -> None:
        self._updating.start()

    def _on_selection(self, selected: object, changed: frozenset[str]) -> None:
        if changed & _SELECTED:
            self._updating.start()

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        self._updating.start()

    def _on_keys(self) -> None:
        self.window.actions_table.use_keys(all_keys(self.desk.settings))
        self.status.use_keys(keys_of(self.desk.settings, CommandId.STOP))
        self._update()

    def _update(self) -> None:
        self._busy = bool(self.runner.under_way)
        table, book = self.window.actions_table, self.desk.book
        table.update(Situation(self.desk, self._busy))
        for wanted, title in ((CommandId.UNDO, book.undo_title), (CommandId.REDO, book.redo_title)):
            table.say(wanted, title)
        ask = self.furnishing.panels.get("ask")
        if isinstance(ask, AskPanel):
            examining = any(isinstance(r, Examine | AtStep) for r in self.runner.under_way)
            ask.prompt.show_busy(busy=examining)
        self._title()

    def _title(self) -> None:
        workspace = self.desk.workspace
        name = workspace.path.name if workspace.path else "unsaved session"
        shown = name if workspace.session is not None else ""
        window, told = self.window, f"{shown}[*] — Microtome" if shown else "Microtome[*]"
        # Each of both costs milliseconds, also where nothing differs.
        if window.windowTitle() != told:
            window.setWindowTitle(told)
        if window.isWindowModified() != workspace.dirty:
            window.setWindowModified(workspace.dirty)

    @Slot(str)
    def _on_offer(self, name: str) -> None:
        self.window.actions_table.trigger(CommandId(name))

    @Slot(object)
    def report(self, error: BaseException) -> None:
        """Tell of an error that nobody caught."""
        self.desk.notices.post(Failure.of("Something went wrong", error).notice)

    def shut_down(self) -> bool:
        """Remember the layout and end the threads; False when one did not end."""
        geometry, state = self.window.layout_bytes()
        self.desk.settings.set_layout("geometry", geometry)
        self.desk.settings.set_layout("state", state)
        ended = self.runner.shut_down()
        self.autosave.end()
        return ended
