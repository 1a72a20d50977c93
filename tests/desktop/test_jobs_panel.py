"""The job panel: what runs, what ended, and stopping one job among several."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from microtome.errors import InputError
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.work import Outcome, Work

LEFT = Qt.MouseButton.LeftButton
WAIT = 30_000


@dataclass(frozen=True, slots=True)
class Stage(Request):
    """Counts until it is let go, and fails if it is told to."""

    slot: ClassVar[str] = "stage"

    name: str = "Counting"
    go: threading.Event = field(default_factory=threading.Event)
    fails: bool = False

    @property
    def title(self):
        return self.name

    def part_title(self, name, value):
        return name

    def memory(self, desk):
        return 3 << 20

    def perform(self, engine, job):
        job.partial("a first look", 1)
        job.progress("half way", 1, 2)
        while not self.go.wait(0.005):
            job.check()
        if self.fails:
            raise InputError("The stage is broken.", "Build another one.")
        return 7


@dataclass(frozen=True, slots=True)
class OneStep(Stage):
    """Cannot rest."""

    restless: ClassVar[str] = "It is one step."


@pytest.fixture
def panel(qtbot, bench):
    bench.window.docks["jobs"].raise_()
    made = bench.furnishing.panels["jobs"]
    qtbot.waitUntil(made.isVisible)
    yield made
    # A test that failed leaves its stage counting, and every later one would wait for it.
    bench.runner.cancel_visible()
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)
    bench.window.reset_layout()


def lines(panel):
    rows = range(panel.list.topLevelItemCount())
    held = [[panel.list.topLevelItem(row).text(c) for c in range(3)] for row in rows]
    return [*held, [""] * 3, [""] * 3]  # so that a list that is still empty can be waited for


def test_a_job_is_shown_with_progress_and_afterwards_with_its_time(qtbot, bench, panel):
    stage = Stage()
    bench.runner.ask(stage)
    qtbot.waitUntil(lambda: lines(panel)[0][:2] == ["Counting", "50%"], timeout=WAIT)
    panel.list.setCurrentItem(panel.list.topLevelItem(0))
    told = [
        "half way 50%",
        "On screen already: a first look.",
        "Takes about 3.0 MiB of memory.",
    ]
    qtbot.waitUntil(lambda: panel.detail.text().splitlines() == told, timeout=WAIT)
    assert panel.stop.isEnabled()
    stage.go.set()
    qtbot.waitUntil(lambda: lines(panel)[0][1] == "done", timeout=WAIT)
    assert lines(panel)[0][2] in {"< 1 s", "1 s", "2 s"}  # on a busy machine
    assert not panel.stop.isEnabled()


def test_one_of_two_jobs_is_stopped(qtbot, bench, panel):
    first, second = Stage("First"), Stage("Second")
    bench.runner.ask(first)
    bench.runner.ask(second)
    qtbot.waitUntil(lambda: [row[0] for row in lines(panel)[:2]] == ["Second", "First"])
    assert lines(panel)[0][1] == "waiting"
    place = panel.list.visualItemRect(panel.list.topLevelItem(0)).center()
    QTest.mouseClick(panel.list.viewport(), LEFT, pos=place)
    QTest.mouseClick(panel.stop, LEFT)
    qtbot.waitUntil(lambda: lines(panel)[0][1] == "stopped", timeout=WAIT)
    assert lines(panel)[1][1] == "50%"
    first.go.set()
    qtbot.waitUntil(lambda: lines(panel)[1][1] == "done" and bench.runner.idle, timeout=WAIT)
    assert lines(panel)[0][1] == "stopped"


def first_state(panel):
    return lines(panel)[0][1]


def test_a_job_rests_and_goes_on(qtbot, bench, panel):
    stage = Stage()
    bench.runner.ask(stage)
    qtbot.waitUntil(lambda: first_state(panel) == "50%", timeout=WAIT)
    panel.list.setCurrentItem(panel.list.topLevelItem(0))
    QTest.mouseClick(panel.pause, LEFT)
    qtbot.waitUntil(lambda: first_state(panel) == "paused", timeout=WAIT)
    assert panel.detail.text().startswith("Rests until")
    stage.go.set()  # would end a job that works
    assert bench.runner.under_way == (stage,)
    assert panel.pause.text() == "Go on"
    QTest.mouseClick(panel.pause, LEFT)
    qtbot.waitUntil(lambda: first_state(panel) == "done", timeout=WAIT)
    assert not panel.pause.isEnabled()


def test_the_command_lets_all_rest_and_a_stop_wakes_them(qtbot, bench, panel):
    action = bench.window.actions_table.actions[CommandId.PAUSE]
    assert not action.isEnabled()
    bench.runner.ask(Stage("First"))
    # Nothing else happens in the window: that it has begun is enough to make it possible.
    qtbot.waitUntil(action.isEnabled, timeout=WAIT)
    qtbot.waitUntil(lambda: first_state(panel) == "50%", timeout=WAIT)
    bench.runner.ask(Stage("Second"))
    action.trigger()
    qtbot.waitUntil(lambda: lines(panel)[1][1] == "paused", timeout=WAIT)
    assert first_state(panel) == "waiting"
    bench.runner.cancel_visible()
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)
    assert [row[1] for row in lines(panel)[:2]] == ["stopped", "stopped"]


def test_a_job_that_cannot_rest_says_why(qtbot, bench, panel):
    action, stage = bench.window.actions_table.actions[CommandId.PAUSE], OneStep()
    bench.runner.ask(stage)
    qtbot.waitUntil(lambda: first_state(panel) == "50%", timeout=WAIT)
    panel.list.setCurrentItem(panel.list.topLevelItem(0))
    qtbot.waitUntil(lambda: action.toolTip().endswith("\nIt is one step."), timeout=WAIT)
    assert not panel.pause.isEnabled()
    assert panel.pause.toolTip() == "It is one step."
    bench.runner.pause_or_resume()
    stage.go.set()
    qtbot.waitUntil(lambda: first_state(panel) == "done", timeout=WAIT)


def test_a_failed_job_says_why(qtbot, bench, panel):
    stage = Stage("Falling", fails=True)
    stage.go.set()
    bench.runner.ask(stage)
    qtbot.waitUntil(lambda: lines(panel)[0][:2] == ["Falling", "failed"], timeout=WAIT)
    panel.list.setCurrentItem(panel.list.topLevelItem(0))
    assert panel.detail.text().startswith("The stage is broken. Build another one.")
    assert panel.copy.isVisible()
    QTest.mouseClick(panel.copy, LEFT)
    copied = QGuiApplication.clipboard().text()
    assert copied.startswith("Falling failed\n\nThe stage is broken.")
    assert "InputError" in copied
    assert "Traceback" in copied


def test_what_has_ended_stays_ended_and_old_jobs_are_forgotten():
    work = Work()
    for number in range(300):
        work.ask(number, "x")
        work.begin(number)
        work.end(number, Outcome.DONE)
        work.end(number, Outcome.FAILED, "too late")
    assert len(work.pieces) <= 201
    assert {piece.outcome for piece in work.pieces} == {Outcome.DONE}
    assert work.pieces[-1].seconds(1e9) >= 0
