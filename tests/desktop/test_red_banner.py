"""A self-check that fails is a bar that stays: of a model, and of a session's file."""

from __future__ import annotations

import inspect
from dataclasses import replace

import acts
import pytest
from PySide6.QtCore import Qt

import microtome as mt
from microtome.activations import capture
from microtome.features.dictionary import Dictionary
from microtome.records.checks import Verdict
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.feature_requests import OpenDictionary
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.jobs.model_requests import RunChecks
from microtome_desktop.views.dialogs import ChecksWindow

HOOKED = "10, a captured run is the plain run"


def check(bench, qtbot):
    bench.window.actions_table.trigger(CommandId.RUN_CHECKS)
    acts.rest(bench, qtbot)


def red_rows(bench, qtbot, banner):
    """What the window of the banner's button says has failed; it is closed again."""
    qtbot.mouseClick(banner.button, Qt.MouseButton.LeftButton)
    (shown,) = [one for one in bench.window.findChildren(ChecksWindow) if one.isVisible()]
    rows = [shown.table.topLevelItem(row) for row in range(shown.table.topLevelItemCount())]
    found = [row.text(0) for row in rows if row.text(2) == Verdict.FAIL]
    shown.close()
    return found


@pytest.fixture
def honest(live, monkeypatch):
    """The live window, whose self-checks are made each time, and are good again at the end."""
    monkeypatch.setattr(RunChecks, "perform", inspect.unwrap(RunChecks.perform))
    before = live.desk.library.shelf.checks
    yield live
    live.desk.library.update(checks=before)


def test_a_broken_model_is_told_until_another_session(honest, qtbot, tmp_path, monkeypatch):
    desk, banner = honest.desk, honest.furnishing.banners["checks_banner"]
    assert not banner.isVisible()
    tapping = capture.tapping

    def disturbing(model, taps, checkpoint=None):
        louder = {site: [*held, lambda values: values * 1.001] for site, held in taps.items()}
        return tapping(model, louder, checkpoint)

    with monkeypatch.context() as broken:
        broken.setattr(capture, "tapping", disturbing)
        check(honest, qtbot)
    assert banner.isVisible()
    assert "Self-checks of words-4l failed" in banner.text.text()
    assert HOOKED in banner.text.text()
    told = {str(result.number) for result in desk.library.shelf.checks.failures}
    assert "10" in told
    assert set(red_rows(honest, qtbot, banner)) == told
    for toast in list(honest.toasts.shown):
        toast.close()
    honest.runner.turns.finish()
    assert banner.isVisible()  # the note went, the bar stays
    file = save_session(tmp_path / "broken.h5", desk.workspace.session)

    check(honest, qtbot)
    assert not banner.isVisible()  # the model is whole again
    honest.runner.ask(OpenSession(file))
    acts.rest(honest, qtbot)
    assert HOOKED in banner.text.text()
    assert banner.isVisible()  # this session was not made by a whole model
    assert set(red_rows(honest, qtbot, banner)) == told
    honest.window.actions_table.trigger(CommandId.RUN)
    acts.rest(honest, qtbot)
    assert not banner.isVisible()
    assert desk.workspace.session.checks.passed


def test_a_dictionary_that_explains_nothing_is_told_too(honest, qtbot, tmp_path):
    desk, banner = honest.desk, honest.furnishing.banners["checks_banner"]
    one = mt.load_dictionary("words-4l/resid_post.3")
    weights = replace(one.weights, w_dec=-one.weights.w_dec)
    mt.save_dictionary(Dictionary(weights, one.settings, one.identity), tmp_path / "bad")
    desk.workspace.mark_clean()
    honest.runner.ask(OpenDictionary("words-4l/resid_post.3"))
    acts.rest(honest, qtbot)
    assert not banner.isVisible()
    (row,) = (each for each in desk.library.shelf.checks.results if "resid_post.3" in each.title)
    assert row.verdict is Verdict.PASS
    honest.runner.ask(OpenDictionary(str(tmp_path / "bad")))
    acts.rest(honest, qtbot)
    assert banner.isVisible()
    assert "14, features of " in banner.text.text()
    assert desk.workspace.session.checks.failures == desk.library.shelf.checks.failures
    assert not desk.workspace.dirty
    assert "Self-checks failed" in desk.notices.history[-1].as_text
    check(honest, qtbot)  # all of them again, and the dictionaries that are open with them
    assert banner.isVisible()
    assert red_rows(honest, qtbot, banner) == ["14"]
    honest.handlers.load("words-4l")  # what was opened goes with the model that it was opened for
    acts.rest(honest, qtbot)
