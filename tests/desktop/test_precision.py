"""Choosing the precision of the model in the window."""

from __future__ import annotations

import pytest

from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.settings import PRECISIONS

WAIT = 60_000


@pytest.fixture
def back(qtbot, live):
    yield live
    live.desk.settings.dtype = PRECISIONS[0]
    live.handlers.load("words-4l")
    qtbot.waitUntil(lambda: live.runner.idle, timeout=WAIT)


def test_a_model_is_loaded_again_with_the_precision_that_was_chosen(qtbot, back):
    menu = back.menus.precisions
    menu.aboutToShow.emit()
    assert [action.text() for action in menu.actions()] == list(PRECISIONS)
    assert [action.isChecked() for action in menu.actions()] == [True, False, False, False]
    menu.actions()[1].trigger()
    qtbot.waitUntil(
        lambda: back.desk.workspace.model.dtype == "bfloat16" and back.runner.idle, timeout=WAIT
    )
    assert back.desk.notices.history == []
    menu.aboutToShow.emit()
    assert menu.actions()[1].isChecked()
    back.window.actions_table.trigger("run")
    qtbot.waitUntil(
        lambda: back.runner.idle and back.desk.workspace.session.model.dtype == "bfloat16",
        timeout=WAIT,
    )
    top = back.desk.workspace.session.clean.top_tokens[-1][0]
    assert top == "Mary"
    assert back.desk.library.shelf.checks.passed


def test_a_named_precision_wins_over_the_setting():
    desk = Desk()
    desk.settings.dtype = "float64"
    assert LoadModel("words-4l").bound(desk).dtype == "float64"
    assert LoadModel("words-4l", dtype="float32").bound(desk).dtype == "float32"
