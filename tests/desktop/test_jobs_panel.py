"""The job panel: what runs, what ended, and stopping one job among several."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from microtome.errors import InputError
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

    def perform(self, engine, job):
        job.progress("half way", 1, 2)
        while not self.go.wait(0.005):
            job.check()
        if self.fails:
            raise InputError("The stage is broken.", "Build another one.")
        return 7


@pytest.fixture
def panel(qtbot, bench):
    bench.window.docks["jobs"].raise_()
    made = bench.furnishing.panels["jobs"]
    qtbot.waitUntil(made.isVisible)
    yield made
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
    assert panel.detail.text().startswith("half way")
    assert panel.stop.isEnabled()
    stage.go.set()
    qtbot.waitUntil(lambda: lines(panel)[0][1] == "done", timeout=WAIT)
    assert lines(panel)[0][2] == "< 1 s"
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


def test_a_failed_job_says_why(qtbot, bench, panel):
    stage = Stage("Falling", fails=True)
    stage.go.set()
    bench.runner.ask(stage)
    qtbot.waitUntil(lambda: lines(panel)[0][:2] == ["Falling", "failed"], timeout=WAIT)
    panel.list.setCurrentItem(panel.list.topLevelItem(0))
    assert panel.detail.text() == "The stage is broken. Build another one."


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
