"""The checkpoint slider: the same question at another step of the training."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome_resources as resources
from microtome_desktop.presenters.checkpoints import place_of, stops
from microtome_desktop.state.library import EmbeddedEntry, Shelf
from microtome_desktop.views.checkpoint_slider import CheckpointSlider

WAIT = 60_000


def idle(qtbot, bench):
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)


@pytest.fixture
def trained(qtbot, live):
    """The live window with its example run on the trained model."""
    live.window.actions_table.trigger("run")
    idle(qtbot, live)
    assert live.desk.workspace.session.model.name == "words-4l"
    yield live
    if live.desk.workspace.model.name != "words-4l":
        live.handlers.load("words-4l")
        idle(qtbot, live)


def test_stops_are_the_checkpoints_and_the_trained_model(sample_identity):
    shelf = Shelf(embedded=(EmbeddedEntry("words-4l", (0, 1500)), EmbeddedEntry("other")))
    held = stops(shelf, sample_identity)
    assert [stop.name for stop in held] == ["words-4l@0", "words-4l@1500", "words-4l"]
    assert [stop.title for stop in held] == ["step 0", "step 1,500", "trained"]
    assert place_of(held, sample_identity) == 2
    assert stops(shelf, None) == ()
    assert stops(shelf, replace(sample_identity, name="words-4l@0"), sample_identity) == held
    other = replace(sample_identity, name="shapes-resnet")
    assert stops(shelf, sample_identity, other) == ()  # a session of another model is reviewed
    assert stops(Shelf(embedded=(EmbeddedEntry("words-4l"),)), sample_identity) == ()


def test_a_step_by_key_runs_the_question_on_that_checkpoint(qtbot, trained):
    training = trained.furnishing.panels["token_strip"].training
    assert training.isVisible()
    assert training.slider.maximum() == len(resources.checkpoints("words-4l"))
    before = trained.desk.workspace.session
    qtbot.keyClick(training.slider, Qt.Key.Key_Home)
    idle(qtbot, trained)
    now = trained.desk.workspace.session
    assert training.told.text() == "step 0"
    assert trained.desk.workspace.model.name == now.model.name == "words-4l@0"
    assert now.question == before.question
    assert now.clean.tokens == before.clean.tokens
    # An untrained model cannot tell the two names apart.
    assert abs(now.metric["value"]) < 0.2 * abs(before.metric["value"])
    assert trained.desk.notices.history == []


def test_the_place_stays_selected_from_step_to_step(qtbot, trained):
    desk = trained.desk
    desk.selection.update(position=3, layer=1, head=2, node=None)
    training = trained.furnishing.panels["token_strip"].training
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_End):
        qtbot.keyClick(training.slider, key)
        idle(qtbot, trained)
        kept = desk.selection.current
        assert (kept.position, kept.layer, kept.head) == (3, 1, 2)
    assert desk.workspace.model.name == "words-4l"


def test_dragging_over_many_steps_ends_at_the_last_one(qtbot, trained):
    training = trained.furnishing.panels["token_strip"].training
    for place in (7, 4, 6, 1, 3):
        training.slider.setValue(place)
    idle(qtbot, trained)
    assert trained.desk.workspace.model.name == "words-4l@1500"
    assert trained.desk.workspace.session.model.name == "words-4l@1500"
    assert trained.desk.notices.history == []


def test_a_node_that_a_step_does_not_have_gives_way_to_the_answer(qtbot, trained):
    desk = trained.desk
    desk.selection.update(node="L9H9@9")
    qtbot.keyClick(trained.furnishing.panels["token_strip"].training.slider, Qt.Key.Key_Left)
    idle(qtbot, trained)
    assert desk.selection.current.node in desk.workspace.session.circuit.node_id


def test_playing_walks_to_the_end_and_stops(qtbot, sample_identity):
    slider, asked = CheckpointSlider(), []
    qtbot.addWidget(slider)
    slider.step_asked.connect(asked.append)
    shelf = Shelf(embedded=(EmbeddedEntry("words-4l", (0, 1500)),))
    slider.show_stops(stops(shelf, sample_identity), 2)
    slider.show()
    slider._player.setInterval(1)
    QTest.mouseClick(slider.play, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not slider._player.isActive())
    assert asked == ["words-4l@0", "words-4l@1500", "words-4l"]
    slider.show_stops((), -1)
    assert not slider.isVisible()
