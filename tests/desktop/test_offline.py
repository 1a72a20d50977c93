"""A session is reviewed without its model, and the model can be attached."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from microtome.errors import ModelMismatch
from microtome.records.session import Session
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.state.library import EmbeddedEntry


@pytest.fixture
def file(tmp_path, sample_session):
    return save_session(tmp_path / "mary.h5", sample_session)


@pytest.fixture
def review(qtbot, bench, file):
    """The window after it opened a session without any model."""
    bench.desk.workspace.set_model(None)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == file and bench.runner.idle, timeout=30_000)
    return bench


def test_everything_is_shown_from_the_file(qtbot, review, sample_session):
    desk, panels = review.desk, review.furnishing.panels
    assert desk.workspace.session.clean.tokens == sample_session.clean.tokens
    assert not desk.workspace.dirty
    assert panels["ask"].prompt.prompt.toPlainText() == sample_session.question.prompt
    assert panels["ask"].predictions.table.item(0, 0).text() == "Mary"
    assert len(panels["token_strip"].drawing.tokens) == 15
    qtbot.waitUntil(lambda: panels["heatmap"].map.grid is not None, timeout=10_000)


def test_a_session_put_together_in_python_tells_its_prompts(
    qtbot, bench, tmp_path, sample_session, sample_identity
):
    runs = sample_session.traces
    file = save_session(tmp_path / "python.h5", Session(model=sample_identity, traces=runs))
    bench.desk.workspace.set_model(None)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == file and bench.runner.idle, timeout=30_000)
    panel = bench.furnishing.panels["ask"].prompt
    shown = [field.toPlainText() for field in (panel.prompt, panel.corrupt)]
    assert shown == [run.prompt for run in runs]
    assert bench.desk.draft.text.answer == ""
    assert bench.desk.draft.reading.clean == tuple(runs[0].tokens)


def test_the_banner_says_why_and_what(qtbot, review):
    banner = review.furnishing.banners["offline_banner"]
    assert banner.isVisible()
    assert "mary.h5 without its model, words-4l" in banner.text.text()
    assert "Offline review" in review.status.state.text()


def test_what_needs_the_model_is_disabled_and_says_so(qtbot, review):
    action = review.window.actions_table.actions[CommandId.RUN]
    qtbot.waitUntil(lambda: not action.isEnabled())
    run = review.furnishing.panels["ask"].prompt.run
    assert "Needs a model" in action.toolTip()
    assert not run.isEnabled()
    assert "Needs a model" in run.toolTip()
    assert not review.furnishing.panels["feature_space"].compute.isEnabled()


def test_attaching_asks_for_the_same_model(qtbot, review, monkeypatch, sample_identity):
    review.desk.library.update(embedded=(EmbeddedEntry("words-4l"),))
    asked = []
    monkeypatch.setattr(review.runner, "ask", asked.append)
    qtbot.mouseClick(review.furnishing.banners["offline_banner"].button, Qt.MouseButton.LeftButton)
    assert asked == [
        LoadModel("words-4l", fingerprint=sample_identity.fingerprint, dtype="float32")
    ]


def test_the_same_fingerprint_enables_it_all_again(qtbot, review, sample_identity):
    review.desk.workspace.set_model(sample_identity)
    review.runner.turns.finish()
    assert not review.furnishing.banners["offline_banner"].isVisible()
    action = review.window.actions_table.actions[CommandId.RUN]
    qtbot.waitUntil(action.isEnabled)
    assert review.furnishing.panels["feature_space"].compute.isEnabled()


def test_another_model_is_named_in_the_banner(review, sample_identity):
    from dataclasses import replace

    review.desk.workspace.set_model(replace(sample_identity, name="other", fingerprint="9" * 64))
    review.runner.turns.finish()
    assert (
        "without its model, words-4l: other is loaded"
        in review.furnishing.banners["offline_banner"].text.text()
    )


def test_a_real_model_that_is_not_the_sessions_is_refused(qtbot, live):
    desk, before = live.desk, live.desk.workspace.model
    with qtbot.waitSignal(live.runner.failed, timeout=60_000) as caught:
        live.runner.ask(LoadModel("words-4l@1500", fingerprint=before.fingerprint))
    assert "is not the model that made this session" in caught.args[1].what
    assert ModelMismatch.__name__ in caught.args[1].details
    assert desk.workspace.model is before
    assert desk.library.shelf.loading == ""


def test_the_real_model_is_attached_to_its_own_file(qtbot, live, tmp_path):
    desk = live.desk
    path = save_session(tmp_path / "own.h5", desk.workspace.session)
    live.runner.ask(OpenSession(path))
    qtbot.waitUntil(lambda: desk.workspace.path == path and live.runner.idle, timeout=60_000)
    assert not desk.workspace.offline
    desk.workspace.set_model(None)
    live.runner.turns.finish()
    assert live.furnishing.banners["offline_banner"].isVisible()
    live.window.actions_table.trigger(CommandId.ATTACH_MODEL)
    qtbot.waitUntil(lambda: not desk.workspace.offline and live.runner.idle, timeout=60_000)
