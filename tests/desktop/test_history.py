"""Every run stays in a list, is shown again, and is compared with another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome as mt
from microtome.prompts import Question
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.presenters.comparison import difference, node_pairs, odds
from microtome_desktop.presenters.graph_comparison import NO_NUMBER
from microtome_desktop.presenters.heatmaps import Missing, Quantity
from microtome_desktop.state.history import History
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views.comparison_window import ComparisonWindow
from microtome_desktop.views.graph_comparison import ConsensusWindow

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
NAMES = "When Mary and John went to the store, {} gave a drink to"


def named(session, uuid):
    return replace(session, uuid=uuid)


def test_each_session_that_is_shown_is_kept_with_what_is_added(sample_session):
    workspace = Workspace()
    history = History(workspace)
    workspace.show(named(sample_session, "a"))
    workspace.change("metric", metric={"value": 3.0})
    workspace.show(named(sample_session, "b"))
    assert [run.session.uuid for run in history.runs] == ["a", "b"]
    assert history.find("a").session.metric == {"value": 3.0}
    assert history.find("b").session.metric == sample_session.metric
    assert history.reopen("a")
    assert workspace.session.metric == {"value": 3.0}
    assert [run.number for run in history.runs] == [1, 2]
    assert not history.reopen("c")


def test_the_oldest_runs_go_when_memory_is_full_and_never_the_one_on_screen(sample_session):
    workspace = Workspace()
    history = History(workspace, budget=1)
    for uuid in "abc":
        workspace.show(named(sample_session, uuid))
    assert [run.session.uuid for run in history.runs] == ["c"]
    assert history.dropped == 2


def test_a_saved_run_remembers_its_file(sample_session, tmp_path):
    workspace = Workspace()
    history = History(workspace)
    workspace.show(named(sample_session, "a"))
    workspace.saved(tmp_path / "a.h5")
    workspace.show(named(sample_session, "b"))
    history.reopen("a")
    assert workspace.path == tmp_path / "a.h5"
    assert not workspace.dirty


def test_the_difference_is_the_second_map_minus_the_first(sample_session):
    lens = sample_session.analyses["logit-lens"]
    raised = np.asarray(lens.array("probability")) * 0.5
    arrays = {**lens.arrays, "probability": replace(lens.arrays["probability"], values=raised)}
    other = replace(
        sample_session,
        analyses={**sample_session.analyses, "logit-lens": replace(lens, arrays=arrays)},
    )
    grid = difference(sample_session, other, Quantity.PROBABILITY)
    np.testing.assert_allclose(grid.values, -raised, atol=1e-6)
    assert grid.low == -grid.high == pytest.approx(-np.abs(raised).max())
    same = difference(sample_session, sample_session, Quantity.NORM)
    assert not same.values.any()


def test_maps_of_different_sizes_are_not_subtracted(sample_session):
    lens = sample_session.analyses["logit-lens"]
    short = {
        name: replace(held, values=np.asarray(held.values)[:, :-1])
        for name, held in lens.arrays.items()
    }
    other = replace(
        sample_session,
        analyses={**sample_session.analyses, "logit-lens": replace(lens, arrays=short)},
    )
    found = difference(sample_session, other, Quantity.PROBABILITY)
    assert isinstance(found, Missing)
    assert "different sizes" in found.reason


@pytest.fixture(scope="module")
def of_checkpoints():
    question = Question(NAMES.format("John"), None, "Mary", "John")
    return [mt.examine(mt.load_model(f"words-4l{step}"), question) for step in ("@1000", "")]


@pytest.fixture(scope="module")
def of_another_model():
    return mt.examine(mt.load_model("induction-exact-tiny"), Question("cat fox bee elk cat fox"))


def test_maps_of_other_models_formats_and_metrics_are_not_subtracted(
    sample_session, of_another_model
):
    found = difference(sample_session, of_another_model, Quantity.NORM)
    assert isinstance(found, Missing)
    assert "Other models made them: words-4l" in found.reason
    (clean, *others) = sample_session.traces
    halved = replace(clean, model=replace(clean.model, dtype="bfloat16"))
    other = replace(sample_session, traces=(halved, *others))
    found = difference(sample_session, other, Quantity.NORM)
    assert found.reason.endswith("The number formats differ: float32, and bfloat16.")
    asked = {**sample_session.metric, "kind": "Probability"}
    found = difference(sample_session, replace(sample_session, metric=asked), Quantity.MLP)
    assert "kinds of metric differ: logit-difference, and Probability" in found.reason


def test_checkpoints_are_compared_and_it_is_said(qtbot, live, of_checkpoints, of_another_model):
    early, late = of_checkpoints
    context = live.furnishing.panels["history"].context
    window = ComparisonWindow(early, late, context, live.window)
    assert "Two checkpoints are compared: words-4l@1000 (" in window.apart.text()
    assert "Not compared" not in window.apart.text()
    assert np.abs(window.map.grid.values).max() > 0.01
    assert window.nodes.model().rowCount() > 0
    qtbot.waitUntil(lambda: window.graph.found is not None, timeout=WAIT)
    window.close()
    window = ComparisonWindow(late, of_another_model, context, live.window)
    window.show()
    assert window.apart.isVisible()
    assert window.apart.text().startswith("Not compared. Other models made them: words-4l (")
    assert window.map.grid is None
    assert window.nodes.model().rowCount() == 0
    last = {window.predictions.model().index(row, 3).data() for row in range(3)}
    assert last == {NO_NUMBER}
    assert window.graph.found is None
    window.close()
    window = ConsensusWindow(context, (late, of_another_model), live.window)
    assert "Not compared. Other models made them" in window.told.text()
    window.close()


def test_nodes_are_listed_by_their_change(sample_session):
    circuit = sample_session.circuit
    scores = circuit.node_score.copy()
    scores[3] += 5
    kept = np.ones(circuit.n_nodes, dtype=bool)
    kept[7] = False
    changed = replace(circuit, node_score=scores).select(kept, np.ones(circuit.n_edges, dtype=bool))
    pairs = node_pairs(sample_session, replace(sample_session, circuit=changed))
    assert pairs[0].node == circuit.node_id[3]
    assert pairs[0].change == pytest.approx(5, abs=1e-5)
    (gone,) = [pair for pair in pairs if pair.second is None]
    assert gone.node == circuit.node_id[7]
    assert len(pairs) == circuit.n_nodes


def test_two_real_runs_are_listed_reopened_and_compared(qtbot, live):
    def run(who):
        question = Question(NAMES.format(who), None, "Mary", "John")
        live.runner.ask(Examine(question))
        qtbot.waitUntil(lambda: live.runner.idle and not live.updating, timeout=WAIT)
        return live.desk.workspace.session

    first, second = run("John"), run("Mary")
    dock = live.window.docks["history"]
    dock.raise_()
    panel = live.furnishing.panels["history"]
    qtbot.waitUntil(lambda: not panel.visibleRegion().isEmpty(), timeout=WAIT)
    listed = [panel.list.topLevelItem(row) for row in range(panel.list.topLevelItemCount())]
    assert NAMES.format("Mary") in listed[0].text(0)
    assert NAMES.format("John") in listed[1].text(0)
    assert "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}" in listed[0].text(0)
    place = panel.list.visualItemRect(listed[1]).center()
    QTest.mouseClick(panel.list.viewport(), LEFT, pos=place)
    assert panel.compare.isEnabled()
    QTest.mouseClick(panel.compare, LEFT)
    (window,) = live.window.findChildren(ComparisonWindow)
    rows = odds(first, second)
    assert {"Mary", "John"} <= {row.token for row in rows}
    assert window.predictions.model().rowCount() == len(rows)
    window.tabs.setCurrentIndex(1)
    window.quantity.setCurrentText(str(Quantity.MLP))
    assert np.abs(window.map.grid.values).max() > 0.1
    window.close()
    QTest.mouseClick(panel.reopen, LEFT)
    qtbot.waitUntil(lambda: live.runner.idle and not live.updating, timeout=WAIT)
    assert live.desk.workspace.session.uuid == first.uuid
    assert live.desk.draft.text.prompt == NAMES.format("John")
    assert live.desk.selection.current.node in first.circuit.node_id
    assert not panel.reopen.isEnabled()
    live.window.reset_layout()
