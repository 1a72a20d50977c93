"""The main job, end to end: start, ask, walk the circuit, cut for real, save, review, go on."""

from __future__ import annotations

import shutil
import time

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest

import microtome_resources as resources
from microtome.records.circuit import HEAD, MLP, TOKEN
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.presenters.heatmaps import quantities

CLEAN = "One day Kate and Mary met at the garden. Mary slowly offered a ring to"
CORRUPT = "One day Kate and Mary met at the garden. Kate slowly offered a ring to"
OTHER = "The mountain with the warm chairs"
NO_KEYS = Qt.KeyboardModifier.NoModifier


def test_the_example_has_run_before_anybody_touches_anything(user):
    shown = user.contents()
    assert shown["question"][0] == resources.START_EXAMPLE.clean
    assert shown["predictions"][0][0] == "Mary"
    assert shown["tokens"][0][1:4] == ["When", "Mary", "and"]
    assert len(shown["drawn"][0]) > 20
    assert user.session.checks.passed
    assert user.told() == []
    assert user.window.isWindowModified() is False


def test_a_typed_pair_runs_by_shortcut_and_every_panel_shows_it(user):
    before = user.contents()
    user.type_question(CLEAN, CORRUPT, "Kate", "Mary")
    user.run()
    shown, session = user.contents(), user.session
    assert user.told() == []
    assert session.clean.tokens[-3:] == ("a", "ring", "to")
    assert len(session.traces) == 2
    assert session.circuit.metadata["rule"] == "two-point"
    assert shown["question"] == [CLEAN, CORRUPT, "Kate", "Mary"]
    assert shown["predictions"][0][0] == "Kate"
    assert float(shown["predictions"][0][2]) > 3  # what the corrupt prompt takes away
    assert shown["tokens"][0] == list(session.clean.tokens)
    for panel in ("heatmap", "attention", "neurons"):
        tokens = [name.split()[-1] for name in shown[panel][1]]
        assert tokens == list(session.clean.tokens), panel
        assert np.ptp(shown[panel][3]) > 0, panel
    for panel in ("predictions", "tokens", "nodes", "edges", "heatmap", "attention", "neurons"):
        assert shown[panel] != before[panel], panel
    assert shown["histogram"] != before["histogram"]
    assert shown["space"][0][0] > 1000
    assert user.window.isWindowModified()


def test_a_click_on_a_node_leads_all_panels(user):
    user.type_question(CLEAN, CORRUPT, "Kate", "Mary")
    user.run()
    head = user.nodes(HEAD)[0]
    user.click_node(head)
    drawn, panels = user.drawn, user.panels
    layer, position = int(drawn.node_layer[head]), int(drawn.node_position[head])
    assert user.desk.selection.current.node == drawn.node_id[head]
    assert panels["node_card"].heading.text() == drawn.node_label[head]
    attention = panels["attention"]
    assert attention.layer.currentText() == f"Layer {layer}"
    assert attention.head.currentIndex() == drawn.node_head[head]
    pattern = user.session.clean.activation(f"pattern.{layer}")[drawn.node_head[head]]
    np.testing.assert_allclose(np.nan_to_num(attention.map.grid.values), pattern, atol=1e-6)
    assert framed(panels["heatmap"].map) == (layer + 1, position)
    assert framed(attention.map)[0] == position
    assert panels["token_strip"].chips._selected == position
    assert f"({position})" in panels["ask"].predictions.place.text()


def test_a_click_on_an_mlp_shows_its_neurons(user):
    for mlp in user.nodes(MLP)[:3]:
        user.click_node(mlp)
        layer, position = int(user.drawn.node_layer[mlp]), int(user.drawn.node_position[mlp])
        grid = user.panels["neurons"].map.grid
        fired = user.session.clean.activation(f"mlp_post.{layer}")
        np.testing.assert_allclose(grid.values, fired[:, list(grid.layers)].T, atol=1e-6)
        assert abs(fired[position, grid.layers[0]]) == abs(fired[position]).max()
        assert f"MLP {layer}" in user.panels["neurons"].heading.text()


def test_every_quantity_of_the_heat_map_has_something_to_show(user):
    seen = []
    quantity = user.panels["heatmap"].quantity
    quantity.setFocus()
    QTest.keyClick(quantity, Qt.Key.Key_Home)
    for _ in quantities(None):
        seen.append(user.contents()["heatmap"])
        assert np.ptp(seen[-1][3]) > 0
        QTest.keyClick(quantity, Qt.Key.Key_Down)
    QTest.keyClick(quantity, Qt.Key.Key_Home)
    assert len({str(each) for each in seen}) == len(quantities(None))


def test_a_click_on_a_token_or_a_map_comes_back_to_the_circuit(user):
    strip, canvas = user.panels["token_strip"], user.panels["circuit"].canvas
    place = strip.chips.column_rect(3).center().toPoint()
    QTest.mouseClick(strip.chips, Qt.MouseButton.LeftButton, pos=place)
    user.rest()
    assert user.desk.selection.current.position == 3
    assert canvas.token_axis._selected == 3
    heat = user.panels["heatmap"].map
    where = heat.cell_centre(2, 5).toPoint()
    QTest.mouseClick(heat.plot.viewport(), Qt.MouseButton.LeftButton, pos=where)
    user.rest()
    now = user.desk.selection.current
    assert (now.layer, now.position) == (heat.grid.layers[2], 5)
    assert user.panels["attention"].layer.currentText() == f"Layer {now.layer}"
    assert framed(user.panels["neurons"].map)[1] == 5
    user.press(Qt.Key.Key_Escape, NO_KEYS)
    assert user.desk.selection.current.node is None


def test_ablating_for_real_shows_predicted_beside_true(user):
    user.type_question(CLEAN, CORRUPT, "Kate", "Mary")
    user.run()
    head, card = user.nodes(HEAD)[0], user.panels["node_card"]
    user.click_node(head)
    assert card.node_check.bars.shown is None
    user.click(card.node_check.button)
    user.rest()
    found = card.node_check.bars.shown
    assert card.node_check.bars.isVisible()
    assert found.predicted == np.float32(user.drawn.node_score[head])
    assert found.predicted > 0
    assert 0.5 < found.true / found.predicted < 2  # on a pair the rule predicts this mean
    user.click(card.why)
    user.rest()
    assert card.sources.isVisible()
    assert card.sources.table.model().rowCount() >= 9
    assert user.told() == []


def test_a_token_can_be_cut_too(user):
    user.click_node(user.nodes(TOKEN)[0])
    card = user.panels["node_card"]
    user.click(card.node_check.button)
    user.rest()
    assert card.node_check.bars.shown is not None
    assert user.told() == []


def test_a_saved_session_is_reviewed_in_a_fresh_process(user, tmp_path):
    user.type_question(CLEAN, CORRUPT, "Kate", "Mary")
    user.run()
    user.click_node(user.nodes(HEAD)[0])
    user.click(user.panels["node_card"].node_check.button)
    user.rest()
    path = tmp_path / "kate.h5"
    user.save_as(path)
    assert not user.window.isWindowModified()
    assert "kate.h5" in user.window.windowTitle()
    here, there = user.contents(), user.reviewed_elsewhere(path)
    assert {"PySide6", "pyqtgraph", "h5py"} <= set(there["modules"])
    assert not {"torch", "transformers"} & set(there["modules"])
    assert there["told"] == []
    assert there["offline"]
    assert "kate.h5 without its model, words-4l" in there["banner"]
    for panel, shown in here.items():
        assert there["contents"][panel] == shown, panel
    for name in (CommandId.RUN, CommandId.REPRODUCE, CommandId.RUN_CHECKS):
        assert "model" in there["disabled"][str(name)]
    for button in ("run", "ablate", "project", "values_only"):
        enabled, reason = there[button]
        assert not enabled, button
        assert "model" in reason, button


def test_the_model_is_attached_again_and_another_one_is_refused(user, tmp_path, monkeypatch):
    """The colleague has the model in a folder, and at first takes a wrong one."""
    mine = shutil.copytree(resources.model_path("words-4l"), tmp_path / "mine")
    user.choose_folder(mine, monkeypatch)
    user.press(Qt.Key.Key_M)
    user.until(lambda: user.desk.workspace.model.name != "words-4l", "the folder")
    user.rest()
    user.type_question(OTHER, "", "is", "are")
    user.run()
    path = tmp_path / "mine.h5"
    user.save_as(path)
    mine = mine.rename(tmp_path / "moved")  # so that the recent models do not lead to it
    models = user.panels["ask"].models.tree
    exact = next(item for item in items(models) if item.text(0) == "induction-exact-tiny")
    models.setCurrentItem(exact)
    QTest.keyClick(models, Qt.Key.Key_Return)
    user.until(lambda: user.desk.workspace.model.name == "induction-exact-tiny", "the model")
    user.rest()
    user.open(path, monkeypatch)
    banner, card = user.bench.furnishing.banners["offline_banner"], user.panels["node_card"]
    user.click_node(user.nodes(HEAD)[0])
    assert banner.isVisible()
    assert not card.node_check.button.isEnabled()
    user.choose_folder(resources.model_path("induction-exact"), monkeypatch)
    user.click(banner.button)
    user.rest()
    refused = user.told()[-1]
    assert "induction-exact" in refused
    assert "is not the model that made this session" in refused
    assert user.desk.workspace.offline
    user.choose_folder(mine, monkeypatch)
    user.click(banner.button)
    user.rest()
    assert not user.desk.workspace.offline
    assert not banner.isVisible()
    user.click(card.node_check.button)
    user.rest()
    assert card.node_check.bars.shown is not None
    user.bench.handlers.load("words-4l")
    user.rest()


def test_a_run_is_stopped_in_its_middle_and_the_next_one_works(user):
    user.type_question(CLEAN, CORRUPT, "Kate", "Mary")
    lateness = [stop_in_the_middle(user) for _ in range(3)]
    assert min(lateness) < 0.1
    assert user.told() == []
    assert user.session.circuit is None
    user.run()
    assert user.session.circuit.metadata["rule"] == "two-point"
    assert user.told() == []


def stop_in_the_middle(user):
    """Seconds from pressing Stop, just after the runs came, until the window is free again."""
    times = []

    def stop(session):
        QTimer.singleShot(0, press)

    def press():
        begun = time.perf_counter()
        assert user.running
        user.press(Qt.Key.Key_Period)
        assert not user.running
        QTimer.singleShot(0, lambda: times.append(time.perf_counter() - begun))

    user.desk.workspace.session_replaced.connect(stop)
    try:
        user.press(Qt.Key.Key_Return)
        user.until(lambda: times, "the stop")
    finally:
        user.desk.workspace.session_replaced.disconnect(stop)
    user.rest()
    return times[0]


def test_of_two_runs_the_newest_wins(user):
    user.type_question(CLEAN, CORRUPT, "Kate", "Mary")
    user.rest()
    answered = []
    user.bench.runner.finished.connect(answered.append)
    user.press(Qt.Key.Key_Return)
    user.until(lambda: user.running, "the first run")
    user.type_question(OTHER, "", "is", "are")
    user.press(Qt.Key.Key_Return)
    user.rest()
    runs = [request for request in answered if isinstance(request, Examine)]
    user.bench.runner.finished.disconnect(answered.append)
    assert runs[-1].question.prompt == OTHER
    assert user.session.uuid == runs[-1].uuid
    shown = user.contents()
    assert shown["predictions"][0][0] == "is"
    assert user.session.circuit.metadata["prompt"] == OTHER
    assert len(user.session.traces) == 1
    assert "logit(is)" in user.session.analyses["direct-attribution"].params["metric"]
    assert user.told() == []


def framed(grid_plot):
    """Row and column of the frame that a map draws, None for a whole row or column."""
    x, y = grid_plot._mark.getData()
    column = int(np.ceil(x.min())) if np.ptp(x) == 1 else None
    return (int(np.ceil(y.min())) if np.ptp(y) == 1 else None), column


def items(tree):
    return [tree.topLevelItem(row) for row in range(tree.topLevelItemCount())]
