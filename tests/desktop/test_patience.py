"""What the user waits for is not killed without a word of theirs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from microtome.errors import SessionError
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.jobs.model_requests import RunChecks
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.work import Outcome

LEFT, WAIT = Qt.MouseButton.LeftButton, 30_000


@dataclass(frozen=True, slots=True)
class Waited(Request):
    """Work in a slot that another session makes meaningless."""

    slot: ClassVar[str] = "project"

    go: threading.Event = field(default_factory=threading.Event)

    @property
    def title(self):
        return "Projecting"

    def perform(self, engine, job):
        while not self.go.wait(0.005):
            job.check()


@dataclass(frozen=True, slots=True)
class Aside(Waited):
    """Work that ends nothing."""

    slot: ClassVar[str] = "aside"
    quiet: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Quiet(Waited):
    """Work that nobody sees."""

    quiet: ClassVar[bool] = True


@pytest.fixture
def old(monkeypatch):
    """All work counts as waited for; nobody sleeps for it."""
    monkeypatch.setattr("microtome_desktop.jobs.runner._HARDLY_WAITED", -1.0)


@pytest.fixture
def running(qtbot, bench):
    job = Waited()
    bench.runner.ask(job)
    yield job
    bench.runner.cancel(*Waited.slot.split(), "open")
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)


def answering(button, texts):
    """Press a button of the question that comes; its words are put into ``texts``."""

    def press():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(10, press)
            return
        texts.append(box.text())
        (found,) = [each for each in box.buttons() if button in each.text().replace("&", "")]
        QTest.mouseClick(found, LEFT)

    QTimer.singleShot(10, press)


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("answer", ["Stop it and close", "Wait", "Cancel"])
def test_a_window_asks_before_it_kills_a_job(qtbot, bench, running, monkeypatch, answer):
    closed, texts = [], []
    monkeypatch.setattr(bench.window, "close", lambda: closed.append(True))
    answering(answer, texts)
    assert bench.handlers.may_close() is (answer == "Stop it and close")
    assert texts == ["“Projecting” is still under way."]
    stopped = bench.desk.work.pieces[-1].outcome is Outcome.STOPPED
    assert stopped is (answer == "Stop it and close")
    running.go.set()
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)
    assert bool(closed) is (answer == "Wait")


@pytest.mark.usefixtures("old")
def test_opening_waits_for_the_job_when_told_to(qtbot, bench, running, tmp_path, monkeypatch):
    texts, opened = [], []

    def refuse(self, engine, job):
        opened.append(self.path)
        raise SessionError("Not today.")

    monkeypatch.setattr(OpenSession, "perform", refuse)
    answering("Wait", texts)
    bench.handlers.open_path(tmp_path / "a.h5")
    assert len(texts) == 1
    assert opened == []
    assert bench.runner.under_way == (running,)
    aside = Aside()
    aside.go.set()
    bench.furnishing.panels["circuit"].context.ask(aside)  # panels go on asking
    running.go.set()
    qtbot.waitUntil(lambda: opened == [tmp_path / "a.h5"], timeout=WAIT)


@pytest.mark.usefixtures("old")
def test_nobody_is_asked_for_what_nobody_waits_for(bench):
    for request in (Quiet(), RunChecks("fingerprint")):
        bench.runner.ask(request)
        assert bench.runner.at_stake() == ()
        bench.runner.cancel(request.slot)


def test_nobody_is_asked_for_a_moment_s_work(bench, running):
    assert bench.handlers.may_close()
    assert bench.runner.at_stake() == ()
