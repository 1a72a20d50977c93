"""Work leaves the GUI thread, comes back to it, and stops when it is told to."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from PySide6.QtCore import QThread

from microtome.errors import InputError
from microtome.jobs import USERS_CODE
from microtome.prompts import Question
from microtome_desktop.jobs.engine import COMPUTING, step_back
from microtome_desktop.jobs.failure import Failure
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.jobs.requests import Examine, ProjectSite
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.jobs.worker import Pace
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.notices import Level
from microtome_desktop.state.work import Outcome


@dataclass(frozen=True)
class Work(Request):
    """Does what a test tells it to, and notes which thread each step runs in."""

    slot: ClassVar[str] = "work"
    replaces: ClassVar[frozenset[str]] = frozenset({"work"})

    act: object = None
    delivered: list = field(default_factory=list)
    threads: dict = field(default_factory=dict)

    @property
    def title(self):
        return "Work"

    def perform(self, engine, job):
        self.threads["perform"] = threading.get_ident()
        return self.act(job)

    def deliver_partial(self, desk, name, value):
        self.threads["partial"] = threading.get_ident()
        self.delivered.append((name, value))

    def deliver(self, desk, result):
        self.threads["deliver"] = threading.get_ident()
        self.delivered.append(result)


@dataclass(frozen=True)
class Files(Work):
    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "files"
    replaces: ClassVar[frozenset[str]] = frozenset()


@pytest.fixture
def runner(qtbot):
    made = JobRunner(Desk())
    yield made
    assert made.shut_down()


def until_cancelled(job):
    while True:
        job.check()
        time.sleep(0.001)


def test_answers_come_back_to_the_gui_thread_in_order(qtbot, runner):
    def act(job):
        job.partial("first", 1)
        job.partial("second", 2)
        return "all"

    work = Work(act)
    runner.ask(work)
    qtbot.waitUntil(lambda: runner.idle)
    assert work.delivered == [("first", 1), ("second", 2), "all"]
    here = threading.get_ident()
    assert work.threads["partial"] == work.threads["deliver"] == here != work.threads["perform"]


def test_all_model_work_shares_one_thread_and_files_have_another(qtbot, runner):
    works = [Work(lambda job: 1), Files(lambda job: 1), Files(lambda job: 1)]
    for work in works:
        runner.ask(work)
    again = Work(lambda job: 2)
    qtbot.waitUntil(lambda: runner.idle)
    runner.ask(again)
    qtbot.waitUntil(lambda: runner.idle)
    model, io, io_again = (work.threads["perform"] for work in works)
    assert model == again.threads["perform"]
    assert io == io_again != model


@pytest.fixture
def real_niceness(monkeypatch):
    """Windows that live through several tests keep their threads at full speed; not this one."""
    monkeypatch.setattr("microtome_desktop.jobs.worker.step_back", step_back)


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="threads have no niceness here")
def test_the_model_thread_steps_back(real_niceness, qtbot, runner):
    work = Work(lambda job: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    runner.ask(work)
    qtbot.waitUntil(lambda: runner.idle)
    assert work.delivered == [COMPUTING]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < COMPUTING


def test_the_newest_request_wins(qtbot, runner):
    running = threading.Event()

    def slow(job):
        running.set()
        until_cancelled(job)

    old, new = Work(slow), Work(lambda job: "new")
    runner.ask(old)
    qtbot.waitUntil(running.is_set)
    runner.ask(new)
    qtbot.waitUntil(lambda: runner.idle)
    assert old.delivered == []
    assert new.delivered == ["new"]


def test_a_result_that_cannot_be_stopped_is_dropped(qtbot, runner):
    running, let_go = threading.Event(), threading.Event()

    def deaf(job):
        running.set()
        let_go.wait(5)
        return "late"

    work = Work(deaf)
    runner.ask(work)
    qtbot.waitUntil(running.is_set)
    runner.cancel("work")
    assert runner.under_way == ()
    qtbot.waitUntil(lambda: runner.stopping)
    let_go.set()
    qtbot.waitUntil(lambda: runner.idle)
    assert work.delivered == []


def test_cancel_acts_at_once(qtbot, runner):
    running = threading.Event()

    def slow(job):
        running.set()
        until_cancelled(job)

    runner.ask(Work(slow))
    qtbot.waitUntil(running.is_set)
    before = time.monotonic()
    runner.cancel_visible()
    assert runner.under_way == ()
    assert time.monotonic() - before < 0.1
    qtbot.waitUntil(lambda: runner.idle)


def test_what_waits_in_the_queue_is_cancelled_unperformed(qtbot, runner):
    running, performed = threading.Event(), []

    def slow(job):
        running.set()
        until_cancelled(job)

    @dataclass(frozen=True)
    class Other(Work):
        slot: ClassVar[str] = "other"
        replaces: ClassVar[frozenset[str]] = frozenset()

    runner.ask(Work(slow))
    qtbot.waitUntil(running.is_set)
    runner.ask(Other(performed.append))
    runner.cancel_visible()
    qtbot.waitUntil(lambda: runner.idle)
    assert performed == []


@dataclass(frozen=True)
class Long(Work):
    gives_way: ClassVar[bool] = True
    slot: ClassVar[str] = "long"
    replaces: ClassVar[frozenset[str]] = frozenset({"long"})


@pytest.fixture
def long(qtbot, runner):
    """Work that takes until it is stopped, and is begun."""
    running, ended = threading.Event(), []

    def act(job):
        try:
            while True:
                job.check()  # as within a pass
                job.give_way()
                running.set()
        finally:
            ended.append(threading.get_ident())

    work = Long(act, ended)
    runner.ask(work)
    qtbot.waitUntil(running.is_set)
    yield work
    runner.cancel_visible()
    qtbot.waitUntil(lambda: runner.idle)


def test_work_that_gives_way_lets_others_go_first_in_its_thread(qtbot, runner, long):
    other = Work(lambda job: "quick")
    runner.ask(other)
    qtbot.waitUntil(lambda: other.delivered == ["quick"])
    assert runner.under_way == (long,)
    assert other.threads["perform"] == long.threads["perform"]
    (piece,) = [p for p in runner._desk.work.pieces if p.slot == "long"]
    runner.pause(piece.number)
    qtbot.waitUntil(lambda: runner._desk.work.find(piece.number).rest)
    again = Work(lambda job: "while it rests")
    runner.ask(again)
    qtbot.waitUntil(lambda: again.delivered == ["while it rests"])
    assert runner._desk.work.find(piece.number).outcome is Outcome.PAUSED
    assert long.delivered == []


def test_what_replaces_work_that_gives_way_begins_when_that_has_ended(qtbot, runner, long):
    here = Long(lambda job: list(long.delivered))
    runner.ask(here)
    qtbot.waitUntil(lambda: len(here.delivered) == 1)
    assert here.delivered == [long.delivered]
    assert len(long.delivered) == 1  # the old one was left before the new one began


def test_an_error_becomes_a_notice_with_details(qtbot, runner):
    def fail(job):
        raise InputError("The tea is cold.", "Boil water.")

    with qtbot.waitSignal(runner.failed):
        runner.ask(Work(fail))
    notice = runner._desk.notices.history[-1]
    assert (notice.level, notice.title) == (Level.ERROR, "Work failed")
    assert (notice.what, notice.way_out) == ("The tea is cold.", "Boil water.")
    assert "in fail" in notice.details
    later = Work(lambda job: "fine")
    runner.ask(later)
    qtbot.waitUntil(lambda: later.delivered == ["fine"])


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (InputError("What.", "Out."), True, "What."),
        (MemoryError(), True, "memory"),
        (RuntimeError("CUDA out of memory. Tried"), True, "memory"),
        (ZeroDivisionError("by zero"), False, "ZeroDivisionError: by zero"),
        (KeyError(), False, "KeyError: no message"),
    ],
)
def test_failures_read_as_sentences(error, expected, words):
    failure = Failure.of("Work failed", error)
    assert failure.expected is expected
    assert words in failure.what
    assert failure.way_out


def test_an_answer_about_another_session_is_dropped(qtbot, runner, sample_session):
    running, let_go = threading.Event(), threading.Event()

    @dataclass(frozen=True)
    class About(Work):
        about_session: ClassVar[bool] = True

    def wait(job):
        running.set()
        let_go.wait(5)
        return "old"

    work = About(wait)
    runner._desk.workspace.show(sample_session)
    runner.ask(work)
    qtbot.waitUntil(running.is_set)
    runner._desk.workspace.show(None)
    let_go.set()
    qtbot.waitUntil(lambda: runner.idle)
    assert work.delivered == []


def test_progress_reaches_the_status_of_visible_work_only(qtbot, runner):
    seen = []
    runner.progressed.connect(lambda request, progress: seen.append((request, progress.title)))

    @dataclass(frozen=True)
    class Quiet(Work):
        slot: ClassVar[str] = "quiet"
        replaces: ClassVar[frozenset[str]] = frozenset()
        quiet: ClassVar[bool] = True

    def act(job):
        job.progress("step", 1, 2)

    loud, quiet = Work(act), Quiet(act)
    runner.ask(loud)
    runner.ask(quiet)
    qtbot.waitUntil(lambda: runner.idle)
    assert seen == [(loud, "step")]


def users_code(source):
    """What the code of an adapter defines."""
    names = {"__name__": f"{USERS_CODE}net", "running": threading.Event()}
    exec(source, names)  # noqa: S102  our own code
    return names


LOOP = """
def loop(job):
    running.set()
    while True:
        pass
"""


def test_code_of_users_that_loops_for_ever_is_ended_once_it_is_stopped(qtbot, runner):
    user = users_code(LOOP)
    runner.ask(Work(user["loop"]))
    qtbot.waitUntil(user["running"].is_set)
    begun = time.monotonic()
    runner.cancel_visible()
    assert time.monotonic() - begun < 0.1
    following = Work(lambda job: "here again")
    runner.ask(following)
    qtbot.waitUntil(lambda: following.delivered == ["here again"] and runner.idle)


def test_code_of_users_does_not_keep_the_window_from_closing(qtbot):
    runner, user = JobRunner(Desk()), users_code(LOOP)
    runner.ask(Work(user["loop"]))
    qtbot.waitUntil(user["running"].is_set)
    assert runner.shut_down()


def test_a_wish_to_end_the_program_ends_no_thread(qtbot, runner):
    with qtbot.waitSignal(runner.failed):
        runner.ask(Work(lambda job: sys.exit(3)))
    following = Work(lambda job: 1)
    runner.ask(following)
    qtbot.waitUntil(lambda: following.delivered == [1])


def test_shutting_down_lets_a_save_end(qtbot):
    runner = JobRunner(Desk())
    ended, running = [], threading.Event()

    @dataclass(frozen=True)
    class Save(Files):
        slot: ClassVar[str] = "save"

    def act(job):
        running.set()
        QThread.msleep(50)
        job.check()
        ended.append("saved")

    runner.ask(Save(act))
    qtbot.waitUntil(running.is_set)
    assert runner.shut_down()
    assert ended == ["saved"]


@pytest.mark.parametrize(
    "request_",
    [
        Examine(Question("a b", "a c", "d", "e")),
        ProjectSite("resid_post.1"),
        LoadModel("words-4l", fingerprint="ff"),
    ],
)
def test_requests_travel(request_):
    assert pickle.loads(pickle.dumps(request_)) == request_  # noqa: S301


def test_partial_pictures_of_one_analysis_come_at_a_pace(sample_session):
    clock = iter([0.0, 0.1, 0.2, 0.6, 0.7]).__next__
    pace = Pace(0.5, clock)
    lens, direct = (sample_session.analyses[n] for n in ("logit-lens", "direct-attribution"))
    assert [pace.passes(part) for part in (lens, lens, direct, lens, lens)] == [
        True, False, True, True, False,
    ]  # fmt: skip
    assert pace.passes(sample_session.circuit)
