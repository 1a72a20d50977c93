"""The robot user: drives the real window by a seed, and writes down what it did."""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections import Counter
from contextlib import contextmanager

from acts import to_front, until
from answers import Answers
from deeds import DEEDS
from faults import MARK, Faults
from lateness import Lateness
from levels import measure
from places import find
from PySide6.QtCore import QCoreApplication, QEventLoop, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit

import microtome_resources as resources
from microtome.prompts import Question
from microtome.triage.kinds import KINDS
from microtome.triage.server import prepare
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.circuit_look import LOOKS
from microtome_desktop.wiring import Opening, settings_store

IDLE_SECONDS = 30  # after Stop
_FAULT = "This is a fault of Microtome."
_GONE = "already deleted"
_PAUSES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # seconds between two deeds
_LATE = 0.1  # seconds: such a deed is written down with it
_SETTINGS = ("device", "dtype", "threads", "activations", "points", "edges", "autosave", "theme",
             "colour_map", "zoom", "shortcuts", "layouts")  # fmt: skip


class Robot:
    """A window of its own, and who sits before it. ``wrong`` is what should never have come."""

    def __init__(self, patch, folder, seed, ticks_for_nobody):
        self.seed, self.step, self.wrong = seed, 0, []
        self.done, self.slowest_stop = Counter(), 0.0
        self.files = folder / "files"
        shutil.rmtree(self.files, ignore_errors=True)  # of a robot before
        self.files.mkdir(parents=True)
        patch.chdir(self.files)  # a name that it types stands for a file here
        self._log = (folder / f"acts-{seed}.jsonl").open("w", encoding="utf-8", buffering=1)
        self._rng = random.Random(seed)
        self.ticks_for_nobody = ticks_for_nobody
        self.faults = Faults(patch, self.files)
        self._hangs = (folder / f"hangs-{seed}.txt").open("w")
        self.lateness = Lateness(patch, self._hangs)
        self.answers = Answers(patch, self.files, lambda: self._rng, self._note_answer)
        self.opening = Opening(None, settings_store())
        self.window = self.opening.window
        self.window.show()
        until(lambda: self.opening.workbench is not None)
        self.bench = self.opening.workbench
        self.bench.desk.notices.posted.connect(self._on_notice)
        self.opening.net.caught.connect(self._on_error)
        self._session, self._views = None, {}  # the first, and how panels were set at first
        self._first = {name: getattr(self.bench.desk.settings, name) for name in _SETTINGS}

    def close(self):
        """End the window, and stop writing."""
        self.answers.end()
        self.lateness.rest()
        self.bench.desk.workspace.mark_clean()
        ended = self.opening.close()
        self.window.close()
        self.bench.furnishing.panels.clear()
        self.bench.handlers.forget_panels()
        self.window.deleteLater()
        self._log.close()
        self._hangs.close()
        return ended

    # what it does

    def act(self, seconds):
        """Do one deed after another for so long."""
        end = time.monotonic() + seconds
        self.lateness.go_on()
        while time.monotonic() < end:
            with self.lateness.aside():
                name, arguments = self._choose()
            self._do(name, arguments)
        self.lateness.rest()

    def act_again(self, log):
        """Do what was written down."""
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        for deed in (line for line in lines if "deed" in line):
            self.step = deed["step"]
            self._draw_anew()
            self._do(deed["deed"], deed["with"])

    def _choose(self):
        self.step += 1
        self._draw_anew()
        while True:
            name = self._rng.choices(list(DEEDS), [deed.often for deed in DEEDS.values()])[0]
            arguments = DEEDS[name].choose(self, self._rng)
            if arguments is not None:
                return name, arguments

    def _draw_anew(self):
        """What a deed draws depends on its number and the seed, on no deed before."""
        self._rng.seed(f"{self.seed} {self.step}")

    def _do(self, name, arguments):
        self._write({"step": self.step, "deed": name, "with": arguments})
        try:
            DEEDS[name].act(self, **arguments)
        except RuntimeError as error:  # the first half of a deed may take away what it is done to
            if _GONE not in str(error):
                raise
        self.done[name] += 1
        begun = len(self.lateness.net)
        self._wait(self._rng.choice(_PAUSES))
        late = max(self.lateness.net[begun:], default=0.0)
        if late > _LATE:
            self._write({"step": self.step, "late": round(late, 3)})

    def find(self, where):
        """The widget at an address; looking for it is no work of the window's."""
        with self.lateness.aside():
            return find(where)

    def _wait(self, seconds):
        end, ticks = time.monotonic() + seconds, QTimer(interval=5)
        ticks.start()
        while True:
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents)
            if time.monotonic() >= end:
                break
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)

    # what it writes down and hears

    def _write(self, line):
        self._log.write(json.dumps({"at": round(time.monotonic(), 2), **line}) + "\n")

    def tell(self, text):
        """A line for who waits for the robot, and for the log."""
        self._write({"step": self.step, "told": text})
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def _note_answer(self, how, what):
        self._write({"step": self.step, "answer": how, "what": what})

    def _on_notice(self, notice):
        self._write({"step": self.step, "notice": notice.title, "what": notice.what})
        if notice.way_out == _FAULT_WAY and MARK not in notice.as_text:
            self._found(notice.as_text)

    def _on_error(self, error):
        if MARK not in str(error):
            self._found(f"{type(error).__name__}: {error}")

    def _found(self, what):
        self.wrong.append(f"step {self.step}: {what}")
        self._write({"step": self.step, "wrong": what})

    # home

    def go_home(self, *, anew):
        """Bring the window back to how it was at first, and count what there is.

        With every panel made ``anew``, what each makes when it is first used is gone as well.
        """
        self.faults.disarm()
        self._stop()
        self._tidy()
        if self._session is None:
            self._session = self.bench.desk.workspace.session
        else:
            self._load_first()
        self._set_panels_back(late=anew)
        if anew:
            self._renew()
        self._use_what_is_made_late()
        levels = measure(self.bench, self.ticks_for_nobody)
        self._write({"step": self.step, "memory": levels.memory, "files": levels.files.total()})
        return levels

    def _stop(self):
        """Stop, and hold the time until nothing is under way any more."""
        start = time.monotonic()
        self.bench.runner.turns.finish()
        while not self.bench.runner.idle:
            self.window.actions_table.trigger(CommandId.STOP)
            self._wait(0.02)
            if time.monotonic() - start > IDLE_SECONDS:
                running = self.bench.desk.work.pieces[-5:]
                raise AssertionError(f"still busy {IDLE_SECONDS} s after Stop: {running}")
        self.slowest_stop = max(self.slowest_stop, time.monotonic() - start)

    def _tidy(self):
        desk, window = self.bench.desk, self.window
        for other in QApplication.topLevelWidgets():
            if other.isVisible() and isinstance(other, QDialog):
                other.close()
        for toast in list(self.bench.toasts.shown):
            toast.close()
        if window.isFullScreen():
            window.showNormal()
        desk.course.leave()
        desk.selection.clear()
        for name, value in self._first.items():
            if getattr(desk.settings, name) != value:
                setattr(desk.settings, name, value)
        self._rest()
        window.reset_layout()
        self._rest()

    def _load_first(self):
        """The first model and the first run of it, whatever was loaded, and no other in memory.

        A new run would take results of the one before along.
        """
        desk, example = self.bench.desk, resources.START_EXAMPLE
        desk.workspace.mark_clean()
        self.bench.handlers.load(example.model)
        self._rest()
        desk.draft.fill(Question(example.clean, None, example.answer, example.wrong))
        desk.workspace.show(self._session, dirty=False)
        self._rest()
        firsts = {each.name: each.first for each in LOOKS}
        desk.book.set_looks("As at first", firsts, dict.fromkeys(firsts))
        desk.workspace.mark_clean()
        del desk.history._runs[:-1]
        desk.history.changed.emit()
        desk.notices.history.clear()

    def _set_panels_back(self, *, late):
        """Every panel, late ones too, as it was at first: more views than that are no leak."""
        panels = self.bench.furnishing.panels
        names = panels.names if late else list(panels)
        now = {name: panels[name].view_state() for name in names}
        for name in self._views.keys() & now.keys():
            if now[name] != self._views[name]:
                panels[name].restore_view(self._views[name])
        self._views = self._views or now
        self._rest()

    def _renew(self):
        """Every panel anew, of both themes."""
        for theme in ("light", self._first["theme"]):
            self.bench.desk.settings.theme = theme
            self._rest()
        panels = self.bench.furnishing.panels
        for name in panels.names:
            assert panels[name].isWidgetType()

    def _use_what_is_made_late(self):
        """What the window makes once, when it is first used; and the child of the next trial."""
        self.bench.menus.models.aboutToShow.emit()  # has a menu of steps of training inside
        to_front(self.window)
        self.window.actions_table.trigger(CommandId.PALETTE)
        QTest.keyClick(self.window.findChild(QLineEdit, "palette_words"), Qt.Key.Key_Escape)
        prepare(KINDS["session"].check)
        self.bench.furnishing.panels["circuit"]._prune_soon()  # a slider's, of superqt
        self._rest()

    def _rest(self):
        def at_rest():
            self.bench.runner.turns.finish()
            return self.bench.runner.idle and not self.bench.updating

        until(at_rest)


_FAULT_WAY = _FAULT + " The details tell where it happened."


@contextmanager
def robot(patch, folder, seed, ticks_for_nobody):
    """A robot before a window of its own, which is gone afterwards."""
    made = Robot(patch, folder, seed, ticks_for_nobody)
    try:
        until(lambda: made.bench.desk.library.shelf.checks is not None)
        yield made
    finally:
        assert made.close()
