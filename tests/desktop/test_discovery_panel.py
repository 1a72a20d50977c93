"""The discovery panel on circuits that a session holds: list, dial, curves, graph, comparison."""

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
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from scipy.stats import spearmanr

from microtome.records.circuit import HEAD
from microtome.session.writer import save_session
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.presenters import discovery_judge
from microtome_desktop.presenters.circuit_curves import FIRST_RIVAL, SHARED
from microtome_desktop.state.discoveries import known_analysis
from microtome_desktop.views.discovery_middle import Page
from microtome_desktop.views.known_dialog import KnownDialog

LEFT = Qt.MouseButton.LeftButton
CHECK = Qt.ItemDataRole.CheckStateRole


@pytest.fixture
def panel(bench, qtbot):
    """Two rivals on the sample session, the later one in front."""
    made = two_rivals(bench, qtbot)
    yield made
    made.right.count = 0


# ------------------------------------------------------------------- the dial


def test_the_dial_turns_graph_curve_and_numbers_both_ways(panel):
    dial, right = panel.right.dial, panel.right
    type_into(dial.share, "10 %")
    count = round(0.1 * EDGES.count)
    assert right.now == count
    kept = best_of(panel, count, signed=True)
    assert drawn(panel) == named(kept)
    assert f"{kept.sum()} of {EDGES.count} edges" in dial.edges.text()
    # Exact where the curve was measured, read from its line elsewhere, and said so.
    at = 1 - np.exp(-0.8)
    type_into(dial.share, str(int(0.1 * EDGES.count + 1e-9)))
    assert dial.worth.text() == f"faithfulness {at:.3f} ({at - 0.1:.2f} to {at + 0.1:.2f})"
    assert not dial.measure.isVisible()
    type_into(dial.share, "61")
    assert dial.worth.text().startswith("faithfulness ≈ ")
    assert dial.measure.isVisible()
    # By score: the threshold keeps as many, and the slider stands there.
    scores = np.sort(np.asarray(right.front.array("scores"))[EDGES.exists])[::-1]
    assert float(dial.threshold.text()) == pytest.approx(scores[60], rel=1e-3)
    type_into(dial.threshold, f"{scores[29:31].mean():.9g}")
    assert right.now == 30
    QTest.mouseClick(dial.by_size, LEFT)
    assert drawn(panel) == named(best_of(panel, 30, signed=False))
    assert "CPR 0.800 · CMD 0.100" in dial.areas.text()
    dial.slider.setFocus()
    QTest.keyClick(dial.slider, Qt.Key.Key_End)
    assert right.now == EDGES.count
    assert panel.graph.legend.drawn == f"{EDGES.count} edges"
    type_into(dial.share, "nonsense")
    assert right.now == EDGES.count  # what is no size changes nothing
    assert dial.share.text() == "100 %"


def test_the_line_in_the_curve_is_the_dial(panel):
    plot, right = panel.right.plot, panel.right
    port = plot.viewport()
    QTest.mouseClick(port, LEFT, pos=plot.place_of(0.3).toPoint())
    assert right.share == pytest.approx(0.3, rel=0.05)
    QTest.mousePress(port, LEFT, pos=plot.place_of(right.share).toPoint())
    for share in (0.4, 0.5, 0.6):
        QTest.mouseMove(port, plot.place_of(share).toPoint())
    QTest.mouseRelease(port, LEFT, pos=plot.place_of(0.6).toPoint())
    assert right.share == pytest.approx(0.6, rel=0.05)
    assert drawn(panel) == named(best_of(panel, right.now, signed=True))


def test_a_size_without_a_way_says_so(panel):
    type_into(panel.right.dial.share, "1")
    assert drawn(panel) == set()
    assert panel.graph.nothing.isVisible()
    assert "No way" in panel.right.dial.edges.text()
    panel.middle.show_page(Page.JUDGE)
    panel.right.turn_to(1)
    assert not panel.middle.judge.button.isEnabled()
    panel.middle.show_page(Page.GRAPH)
    assert panel.right.dial.worth.text() == "faithfulness 0.000"  # nothing is kept, by definition


# ------------------------------------------------------------------- the graph


def test_a_click_selects_a_head_everywhere_and_the_graph_follows(panel, bench, qtbot):
    panel.right.turn_to(200)
    canvas = panel.graph.canvas
    circuit = canvas.drawing.circuit
    row = circuit.node_kind.index(HEAD)
    QTest.mouseClick(canvas.view.viewport(), LEFT, pos=canvas.place_of(row).toPoint())
    bench.runner.turns.finish()
    now = bench.desk.selection.current
    place = int(circuit.node_layer[row]), int(circuit.node_head[row])
    assert (now.layer, now.head) == place
    other = next(n for n, k in enumerate(circuit.node_kind) if k == HEAD and n != row)
    bench.desk.selection.update(
        layer=int(circuit.node_layer[other]), head=int(circuit.node_head[other])
    )
    bench.runner.turns.finish()
    (ring,) = canvas.labels._rings
    assert ring.node == other
    assert canvas.tips[0](circuit, row).startswith(f"L{place[0]}H{place[1]} ")


# ------------------------------------------------------------------- rivals


def tick(panel, row):
    """Click a row's box."""
    item = panel.rivals.topLevelItem(row)
    box = panel.rivals.visualItemRect(item)
    QTest.mouseClick(panel.rivals.viewport(), LEFT, pos=QPoint(box.left() + 11, box.center().y()))


def test_rivals_are_listed_ticked_and_chosen(panel):
    assert panel.rivals.topLevelItemCount() == 2
    texts = [panel.rivals.topLevelItem(1).text(column) for column in range(4)]
    assert texts[0].startswith("EAP\n")
    assert texts[1:] == ["0.80", "0.10", "50 %"]
    assert len(panel.right.plot.lines) == 1
    tick(panel, 0)
    assert len(panel.right.plot.lines) == 2
    assert {line.colour for line in panel.right.plot.lines} == set(colours.POINT_GROUPS[:2])
    before = panel.right.now
    item = panel.rivals.topLevelItem(0)
    box = panel.rivals.visualItemRect(item)
    QTest.mouseClick(panel.rivals.viewport(), LEFT, pos=box.center())
    assert panel.right.front.params["method"] == "two-point"
    assert panel.right.now == before  # rivals are compared at one size
    assert panel.asking.controls.search().method == "two-point"
    assert [line.front for line in panel.right.plot.lines] == [True, False]


def test_two_rivals_in_one_graph(panel, bench):
    panel.rivals.tick(panel.contest.ids[1:])
    bench.window.actions_table.trigger(CommandId.COMPARE_CIRCUITS)
    assert len(panel.rivals.ticks) == 2  # fewer cannot be compared: all are
    assert panel.middle.compare.isVisible()
    scores = [np.asarray(one.array("scores"))[EDGES.exists] for one in panel.contest.held]
    masks = []
    for one in panel.contest.held:
        panel.right.front = one
        masks.append(best_of(panel, panel.right.now, signed=True))
    first, second = masks
    table = panel.middle.compare.table
    shown = [table.item(0, column).text() for column in range(3)]
    ranks = spearmanr(*scores).statistic
    assert shown[1].replace("\N{MINUS SIGN}", "-") == f"{ranks:.2f}"
    assert float(shown[2]) == pytest.approx(
        (first & second).sum() / (first | second).sum(), abs=0.006
    )
    assert drawn(panel) == named(first | second)
    curves = panel.graph.canvas.drawing.curves
    hues = {SHARED: first & second, FIRST_RIVAL: first & ~second, FIRST_RIVAL + 1: second & ~first}
    for hue, mask in hues.items():
        assert int((curves.hue == hue).sum()) == int(mask.sum())
    legend = " ".join(panel.graph.legend.entries)
    assert "both" in legend
    assert "only Two-point" in legend
    assert "only EAP" in legend


def test_a_known_circuit_is_typed_and_measured(panel, bench, qtbot, monkeypatch):
    seen = []

    def fill(dialog):
        dialog.text.setPlainText("input->m9")
        dialog.accept()
        seen.append(dialog.problem.text())
        dialog.text.setPlainText("input->m0\nm0->logits, a0.h1->a2.h0<k>")
        dialog.accept()
        return dialog.result()

    monkeypatch.setattr(KnownDialog, "exec", fill)
    bench.window.actions_table.trigger(CommandId.KNOWN_CIRCUIT)
    rest(bench, qtbot)
    assert "no edge input->m9" in seen[0]
    table = panel.middle.judge.known
    assert table.rowCount() == len(panel.rivals.ticks) == 1
    sizes = np.abs(np.asarray(panel.right.front.array("scores")))
    true = EDGES.mask(["input->m0", "m0->logits", "a0.h1->a2.h0<k>"])
    above = sizes[true][:, None] > sizes[EDGES.exists & ~true][None]
    assert float(table.item(0, 1).text()) == pytest.approx(above.mean(), abs=6e-4)


# ------------------------------------------------------------------- what comes, stays and goes


def test_a_curve_that_is_not_finished_says_so_also_from_a_file(panel, bench, qtbot, tmp_path):
    workspace = bench.desk.workspace
    circuit, curve = found(workspace.session, "exact", 3)
    told = {**curve.params["asked"], "partial": True, "sizes done": 2}
    values = {name: np.array(curve.array(name)) for name in ("faithfulness", "by_magnitude")}
    arrays = dict(curve.arrays)
    for name, array in values.items():
        array[2:] = np.nan
        arrays[name] = replace(arrays[name], values=array)
    del arrays["band"]
    params = {**curve.params, "asked": told, "cpr": float("nan"), "cmd": float("nan")}
    workspace.add_analysis(circuit)
    workspace.add_analysis(replace(curve, arrays=arrays, params=params))
    rest(bench, qtbot)
    row = panel.rivals.topLevelItem(2)
    assert row.text(0).endswith("not finished")
    assert [row.text(column) for column in (1, 2, 3)] == ["–", "–", "–"]
    panel.rivals.setCurrentItem(row)
    panel.right.turn_to(EDGES.count)
    assert panel.right.dial.worth.text() == "faithfulness not measured"
    assert not panel.right.dial.measure.isEnabled()
    assert "not finished" in panel.right.dial.measure.toolTip()
    file = save_session(tmp_path / "partial.h5", workspace.session)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: workspace.path == file, timeout=WAIT)
    rest(bench, qtbot)
    assert panel.rivals.topLevelItem(2).text(0).endswith("not finished")


def test_a_session_is_reviewed_without_the_model(panel, bench, qtbot, tmp_path):
    panel.right.turn_to(33)
    panel.right.dial.by_size.click()
    panel.rivals.tick(panel.contest.ids)
    workspace = bench.desk.workspace
    table = panel.exported_table()().text()
    rows = table.splitlines()
    assert rows[0] == "edge,score,kept"
    assert len(rows) == 1 + EDGES.count
    assert sum(row.endswith(",1") for row in rows) == int(best_of(panel, 33, signed=False).sum())
    view = {**workspace.session.view, "discovery": panel.view_state()}
    file = save_session(tmp_path / "found.h5", replace(workspace.session, view=view, uuid="other"))
    workspace.set_model(None)
    panel.right.turn_to(5)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: workspace.path == file, timeout=WAIT)
    rest(bench, qtbot)
    assert panel.exported_table()().text() == table
    assert len(panel.right.plot.lines) == 2
    assert panel.right.now == 33
    assert not panel.asking.run_button.isEnabled()
    assert "attach" in panel.asking.estimate.text()
    assert "attach" in panel.right.dial.measure.toolTip()
    lines = panel.exported_lines()
    assert any("mt.discover_circuit(" in line for line in lines)


def test_damaged_results_are_left_out_and_said(panel, bench, qtbot):
    workspace = bench.desk.workspace
    for seed, lost in enumerate(("method", "n_layers", "prompts")):
        circuit, curve = found(workspace.session, "exact", 5)
        params = {name: held for name, held in circuit.params.items() if name != lost}
        workspace.add_analysis(replace(circuit, id=f"discovery-bad{seed}", params=params))
    broken = replace(curve, id="faithfulness-bad", params={"metric": "logit"})
    workspace.add_analysis(broken)
    judged = replace(broken, id="judgement-bad", kind="judgement")
    workspace.add_analysis(replace(judged, params={"discovery": panel.shown_id}))
    panel.middle.show_page(Page.JUDGE)
    rest(bench, qtbot)
    assert panel.rivals.topLevelItemCount() == 2
    assert panel.note.isVisible()
    assert panel.note.window() is panel.window()  # below the list, no window of its own
    assert panel.note.text().startswith("3 circuits of this session cannot be read")
    panel.right.turn_to(40)
    assert panel.right.dial.worth.text().startswith("faithfulness")
    panel.middle.show_page(Page.GRAPH)


def test_areas_are_computed_once_for_each_circuit_and_not_by_the_dial(
    panel, bench, qtbot, monkeypatch
):
    calls = []
    monkeypatch.setattr(discovery_judge, "edge_auc", elsewhere(calls, discovery_judge.edge_auc))
    known = known_analysis(("input->m0", "m0->logits"), {})
    bench.desk.workspace.add_analysis(known)
    panel.middle.show_page(Page.JUDGE)
    rest(bench, qtbot)
    for count in (10, 30, 60):
        panel.right.turn_to(count)
    rest(bench, qtbot)
    assert calls == [False] * len(panel.rivals.ticks) == [False]
    panel.middle.show_page(Page.GRAPH)


def test_means_are_ablated_by_the_same_means_and_a_second_time_in_place_of_the_first(
    panel, bench, qtbot
):
    workspace, book = bench.desk.workspace, bench.desk.book
    circuit, _ = found(workspace.session, "routes", 8)
    over = ["a b", "c d"]
    params = {**circuit.params, "ablation": "mean", "over": over}
    workspace.add_analysis(replace(circuit, params=params))
    rest(bench, qtbot)
    workspace.set_model(None)  # edits stay on the list, nothing is run
    rest(bench, qtbot)
    panel.rivals.setCurrentItem(panel.rivals.topLevelItem(2))
    panel.right.turn_to(60)
    assert panel.tests.ablate_outside() == ""
    first = book.marks.edits
    assert {(e.action, e.prompts) for e in first} == {("mean", tuple(over))}
    panel.right.turn_to(90)
    assert panel.tests.ablate_outside() == ""
    sites = [e.site for e in book.marks.edits]
    assert len(sites) == len(set(sites)) < len(first)
    book.undo()
    assert book.marks.edits == first
    book.undo()
    assert book.marks.edits == ()
