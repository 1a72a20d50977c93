"""Rivals in the discovery panel: those of large models, many of them, and those that go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from discovered import (
    EDGES,
    WAIT,
    best_of,
    drawn,
    elsewhere,
    found,
    named,
    rest,
    two_rivals,
    type_into,
)  # fmt: skip
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from microtome.records.analysis import Analysis
from microtome.records.made import Made
from microtome_desktop.presenters import discovery_dial
from microtome_desktop.presenters.discovery_compare import where_comparable
from microtome_desktop.presenters.discovery_dial import Ranked
from microtome_desktop.state.discoveries import known_edges
from microtome_desktop.views.discovery_middle import Page
from microtome_desktop.views.known_dialog import KnownDialog


@pytest.fixture
def panel(bench, qtbot):
    """Two rivals on the sample session, the later one in front."""
    made = two_rivals(bench, qtbot)
    yield made
    made.right.count = 0


def test_edges_of_a_large_model_are_sorted_by_a_worker(panel, bench, qtbot, monkeypatch):
    monkeypatch.setattr(discovery_dial, "LARGE", 100)  # scores, so that these are many
    calls = []
    monkeypatch.setattr(Ranked, "ready", elsewhere(calls, Ranked.ready))
    for seed, method in ((3, "exact"), (4, "routes")):
        for analysis in found(bench.desk.workspace.session, method, seed):
            bench.desk.workspace.add_analysis(analysis)
    bench.runner.turns.finish()
    panel.rivals.setCurrentItem(panel.rivals.topLevelItem(3))
    dial = panel.right.dial
    assert dial.edges.text() == f"Sorting {EDGES.count} edges …"
    assert not dial.isEnabled()
    assert panel.graph.nothing.text() == dial.edges.text()
    rest(bench, qtbot)
    assert calls == [False]
    type_into(dial.share, "70")
    assert drawn(panel) == named(best_of(panel, 70, signed=True))
    panel.rivals.tick(panel.contest.ids[2:])
    panel.middle.show_page(Page.COMPARE)
    rest(bench, qtbot)
    qtbot.waitUntil(lambda: panel.middle.compare.table.item(0, 2).text() != "–", timeout=WAIT)
    rest(bench, qtbot)
    assert calls == [False, False]
    masks = []
    for one in panel.contest.held[2:]:
        panel.right.front = one
        masks.append(best_of(panel, 70, signed=True))
    assert drawn(panel) == named(masks[0] | masks[1])
    shared = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert panel.middle.compare.table.item(0, 2).text() == f"{shared:.2f}"
    panel.middle.show_page(Page.GRAPH)


def test_a_circuit_is_forgotten_with_what_is_known_of_it_and_comes_back(panel, bench, qtbot):
    workspace, book = bench.desk.workspace, bench.desk.book
    before = list(workspace.session.analyses)
    colour = panel.contest.colour(panel.contest.held[1])
    panel.rivals.setCurrentItem(panel.rivals.topLevelItem(0))
    panel.rivals.setFocus()
    QTest.keyClick(panel.rivals, Qt.Key.Key_Delete)
    rest(bench, qtbot)
    assert panel.contest.ids == panel.right.ticks == (panel.shown_id,)
    assert set(before) - set(workspace.session.analyses) == {
        name for name in before if name.endswith("two-point") or name == before[-4]
    }
    assert panel.contest.colour(panel.contest.held[0]) == colour  # of the one that stays
    assert book.undo_title == "Forget the circuit by Two-point"
    book.undo()
    rest(bench, qtbot)
    assert list(workspace.session.analyses) == before  # also where it stood
    assert panel.rivals.topLevelItem(0).text(1) == "0.80"
    book.redo()
    assert len(panel.contest.ids) == 2  # until the panel's turn comes
    rest(bench, qtbot)
    assert len(panel.contest.ids) == 1


def test_a_ninth_circuit_is_not_compared_and_no_colour_comes_twice(panel, bench, qtbot):
    session = bench.desk.workspace.session
    for seed in range(3, 11):
        circuit, _ = found(session, "exact", seed)
        bench.desk.workspace.add_analysis(replace(circuit, id=f"discovery-{seed}"))
    rest(bench, qtbot)
    on = Qt.CheckState.Checked
    for row in range(panel.rivals.topLevelItemCount()):
        panel.rivals.topLevelItem(row).setCheckState(0, on)
    rest(bench, qtbot)
    assert len(panel.rivals.ticks) == 8
    assert panel.note.isVisible()
    assert panel.note.text() == "8 circuits at most are compared: untick one first."
    assert panel.note.window() is bench.window
    colours = [panel.contest.colour(panel.contest.find(name)) for name in panel.rivals.ticks]
    assert len(set(colours)) == 8
    panel.rivals.setCurrentItem(panel.rivals.topLevelItem(9))
    rest(bench, qtbot)
    assert len(panel.rivals.ticks) == 8  # what is looked at takes the place of another
    assert panel.shown_id in panel.rivals.ticks


def test_a_known_circuit_can_be_taken_back(panel, bench, qtbot, monkeypatch):
    def fill(dialog):
        dialog.text.setPlainText("input->m0")
        dialog.accept()
        return dialog.result()

    monkeypatch.setattr(KnownDialog, "exec", fill)
    panel.tests.ask_known()
    rest(bench, qtbot)
    assert panel.middle.judge.known.rowCount() == 1
    bench.desk.book.undo()
    rest(bench, qtbot)
    assert panel.middle.judge.known.rowCount() == 0
    assert not known_edges(bench.desk.workspace.session)
    panel.middle.show_page(Page.GRAPH)


def test_settings_and_reasons_are_there_after_another_theme(panel, bench, qtbot):
    panel.asking.fold.setChecked(True)
    held = panel.view_state()
    panel.asking.fold.setChecked(False)
    panel.restore_view(held)
    assert panel.asking.controls.isVisible()
    panel.asking.fold.setChecked(False)
    bench.window.resize(1366, 768)
    bench.runner.turns.finish()
    rest(bench, qtbot)
    assert panel.asking.below.isVisible()
    assert panel.asking.below.text() == panel.asking.estimate.text() != ""
    labels = [panel.right.plot.getAxis(side).labelText for side in ("left", "bottom")]
    assert labels == ["faithfulness", "share of edges (- -: by size)"]
    assert "CMD" in panel.rivals.topLevelItem(0).text(0)


def test_circuits_of_other_models_or_number_formats_are_not_compared():
    made = Made("net", "1" * 64, dtype="float32")
    makers = (made, replace(made, threads=3), replace(made, dtype="bfloat16"), None)
    rivals = [Analysis(str(n), "discovery", "", {}, made=each) for n, each in enumerate(makers)]
    found = where_comparable(np.ones((4, 4)), rivals)
    apart = {(row, column) for row, column in np.argwhere(np.isnan(found)).tolist()}
    assert apart == {(0, 2), (1, 2), (2, 0), (2, 1)}


@pytest.mark.parametrize(
    ("asked", "alike"),
    [
        ({"method": "exact"}, True),
        ({"metric_kind": "KLDivergence"}, False),
        ({"seed": 1}, False),
        ({"edits": ["zero L0H0"]}, False),
        ({"ablation": "zero"}, False),
    ],
)
def test_among_rivals_only_the_method_may_differ(asked, alike):
    told = {"method": "eap", "metric_kind": "LogitDifference", "seed": 0, "ablation": "resample"}
    made = Made("net", "1" * 64, dtype="float32")
    both = (told, told | asked)
    rivals = [Analysis("one", "discovery", "", {}, each, made=made) for each in both]
    found = where_comparable(np.ones((2, 2)), rivals)
    assert np.isfinite(found).tolist() == [[True, alike], [alike, True]]
