"""Memory is told before the start, too much of it is asked for, and budgets are obeyed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.model_requests import ReadDraft
from microtome_desktop.jobs.requests import ProjectSite
from microtome_desktop.presenters.memory import left_out_text
from microtome_desktop.state.draft import Needs

GIB = 1 << 30


@pytest.fixture
def asked(bench, monkeypatch):
    requests = []
    monkeypatch.setattr(bench.runner, "ask", requests.append)
    return requests


def needs(bench, peak, free):
    bench.desk.draft.read(replace(bench.desk.draft.reading, needs=Needs(GIB, peak, free)))


def press(button):
    def act():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(10, act)
            return
        texts.append(box.informativeText())
        (found,) = [each for each in box.buttons() if button in each.text().replace("&", "")]
        QTest.mouseClick(found, Qt.MouseButton.LeftButton)

    texts = []
    QTimer.singleShot(10, act)
    return texts


@pytest.mark.parametrize("answer", ["Run anyway", "Cancel"])
def test_a_run_that_takes_more_than_there_is_is_asked_for(bench, asked, answer):
    needs(bench, 9 * GIB, 2 * GIB)
    texts = press(answer)
    bench.window.actions_table.trigger(CommandId.RUN)
    assert "about 9.0 GiB of memory, but 2.0 GiB are free. Shorten" in texts[0]
    assert bool([r for r in asked if isinstance(r, Examine)]) is (answer == "Run anyway")


@pytest.mark.parametrize("free", [2 * GIB, None])
def test_a_run_that_fits_is_not(bench, asked, free):
    needs(bench, GIB, free)
    bench.window.actions_table.trigger(CommandId.RUN)
    assert any(isinstance(request, Examine) for request in asked)


def test_memory_is_shown_under_the_button_and_in_its_tool_tip(bench):
    prompt = bench.furnishing.panels["ask"].prompt
    needs(bench, 9 * GIB, 2 * GIB)
    assert prompt.needs.text() == "About 9.0 GiB of memory, 2.0 GiB free"
    assert prompt.needs.isVisible()
    assert prompt.needs.objectName() == "bad"
    assert prompt.needs.text() in prompt.run.toolTip()
    needs(bench, GIB, 2 * GIB)
    assert prompt.needs.objectName() == "dim"
    left = left_out_text(Needs(GIB, GIB, None, ("scores", "q")))
    assert left.startswith("Keeps 1.0 GiB of activations, without scores, q")


def test_a_projection_that_does_not_fit_is_refused_before_it_runs(bench, monkeypatch):
    monkeypatch.setattr("microtome_desktop.jobs.requests.free_memory", lambda: 10)
    bench.runner.ask(ProjectSite("resid_post.0"))
    notice = bench.desk.notices.history[-1]
    assert "10 B" in notice.what or "0.0 MB are free" in notice.what
    assert "fewer points" in notice.way_out
    assert bench.runner.idle or not bench.runner.under_way


def test_requests_take_the_budgets_of_the_settings(bench, monkeypatch):
    settings, desk = bench.desk.settings, bench.desk
    before = settings.activations, settings.points, settings.edges
    settings.activations, settings.points, settings.edges = 256, 1000, 8
    run = Examine(desk.draft.text.question()).bound(desk)
    assert (run.budget, run.edges) == (256 << 20, 8)
    assert ProjectSite("resid_post.0").bound(desk).points == 1000
    assert ReadDraft(desk.draft.text).bound(desk).budget == 256 << 20
    settings.activations, settings.points, settings.edges = before


def test_the_job_s_line_has_the_estimate(bench):
    needs(bench, 3 * GIB, None)
    assert Examine(bench.desk.draft.text.question()).memory(bench.desk) == 3 * GIB
    other = replace(bench.desk.draft.text.question(), prompt="another")
    assert Examine(other).memory(bench.desk) is None
    tip = bench.furnishing.panels["feature_space"].compute.toolTip()
    assert "of memory" in tip
