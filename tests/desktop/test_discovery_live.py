"""Circuits from the window to the model and back: start, stop, judge, bad input, Python."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from acts import rest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

import microtome as mt
import microtome_resources as resources
from microtome.prompt_sets import load_prompt_set
from microtome.prompts import Question
from microtome.records.edges import edge_names
from microtome.records.faithfulness import faithfulness_of
from microtome.records.judgement import JUDGEMENT, STABILITY, judgement_of, stability_of
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.discovery_requests import RunDiscovery
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.state.discoveries import (
    Search,
    curve_for,
    discoveries_in,
    is_partial,
    judgements_of,
    search_of,
)
from microtome_desktop.state.work import Outcome
from microtome_desktop.views.discovery_middle import Page

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
EXAMPLE = resources.START_EXAMPLE
PAIR = Question(EXAMPLE.clean, EXAMPLE.corrupt, EXAMPLE.answer, EXAMPLE.wrong)
FOUND = ("discovery", "faithfulness", "judgement", "stability")


def cleared(live):
    """No circuit in the session."""
    session = live.desk.workspace.session
    held = {name: one for name, one in session.analyses.items() if one.kind not in FOUND}
    live.desk.workspace.show(replace(session, analyses=held), dirty=False)


@pytest.fixture
def panel(live, qtbot):
    """The panel in front of a live window, on a pair, with nothing found yet."""
    session = live.desk.workspace.session
    asked = session is not None and session.question == PAIR and session.clean.logits is not None
    if not asked or live.desk.workspace.offline:  # other tests leave other models' runs
        live.runner.ask(Examine(PAIR))
        rest(live, qtbot)
    cleared(live)
    live.desk.selection.clear()
    live.window.reset_layout()
    live.window.show_panel("discovery")
    made = live.furnishing.panels["discovery"]
    made.asking.controls.show_search(Search(PAIR))
    made.right.count = 0
    rest(live, qtbot)
    yield made
    made.asking.controls.show_search(Search(PAIR))
    for field in (made.asking.controls.answer, made.asking.controls.wrong):
        field.clear()
    made.middle.show_page(Page.GRAPH)
    live.runner.cancel_visible()
    cleared(live)
    live.desk.workspace.mark_clean()
    rest(live, qtbot)


def told(panel, qtbot):
    """The line beside the button, once the outlook stands there."""
    panel.asking.look()
    label = panel.asking.estimate
    qtbot.waitUntil(lambda: not label.text().startswith("Estim"), timeout=WAIT)
    return label.text()


def run(lines):
    """What the copied lines define, in a world that knows nothing of the window."""
    world = {}
    exec(compile("\n".join(lines), "copied", "exec"), world)  # noqa: S102  # that is the test
    return world


def test_the_button_finds_what_python_finds_and_a_size_more_is_measured(live, panel, qtbot):
    assert told(panel, qtbot).startswith("479 edges · 1 example")
    panel.asking.controls.data.setCurrentText("Who receives it")
    panel.asking.controls.count.setValue(4)
    QTest.mouseClick(panel.asking.run_button, LEFT)
    qtbot.waitUntil(lambda: panel.right.front is not None, timeout=WAIT)
    rest(live, qtbot)
    (found,) = discoveries_in(live.desk.workspace.session)
    curve = faithfulness_of(curve_for(live.desk.workspace.session, found))
    world = run(panel.exported_lines())
    rows = {row.split(",")[0]: float(row.split(",")[1])
            for row in panel.exported_table()().text().splitlines()[1:]}  # fmt: skip
    circuit = world["circuit"]
    sides = {0: "<v>", 1: "<q>", 2: "<k>"}
    names = [
        f"{circuit.node_id[s]}->{circuit.node_id[t]}{sides.get(int(k), '')}"
        for s, t, k in zip(circuit.edge_source, circuit.edge_target, circuit.edge_kind, strict=True)
    ]
    np.testing.assert_allclose([rows[name] for name in names], world["values"], atol=1e-6)
    np.testing.assert_allclose(curve.faithfulness, world["curve"].faithfulness, atol=1e-6)
    # The dial starts at the smallest size that keeps 0.9; one between two sizes is measured.
    assert panel.right.now == int(curve.smallest * 479 + 1e-9)
    panel.right.turn_to(37)
    live.window.actions_table.trigger(CommandId.MEASURE_SIZE)
    rest(live, qtbot)
    more = faithfulness_of(curve_for(live.desk.workspace.session, found))
    assert len(more.sizes) == len(curve.sizes) + 1
    at = int(np.flatnonzero(np.isclose(more.sizes, 37 / 479))[0])
    held = load_prompt_set("name").pairs[:4]
    asked = [one.pair for one in held], [mt.LogitDifference(one.answer, one.wrong) for one in held]
    alone = mt.faithfulness(world["model"], circuit, *asked, sizes=(37 / 479,))
    assert more.faithfulness[at] == pytest.approx(alone.faithfulness[0], abs=1e-5)
    assert (more.cpr, more.cmd) == (curve.cpr, curve.cmd)
    assert panel.right.dial.worth.text().startswith(f"faithfulness {more.faithfulness[at]:.3f}")
    # The same search again is shown at once.
    count = len(live.desk.work.pieces)
    live.window.actions_table.trigger(CommandId.DISCOVER)
    assert len(live.desk.work.pieces) == count


def check_kept_beside_sums(live, panel, qtbot, tmp_path):
    """A file keeps a circuit by position; one of sums beside it has no page of positions."""
    held = discoveries_in(live.desk.workspace.session)[0]
    back = open_session(save_session(tmp_path / "by-position.h5", live.desk.workspace.session))
    (again,) = discoveries_in(back)
    assert search_of(again) == Search(PAIR, by_position=True)
    np.testing.assert_array_equal(again.array("scores"), held.array("scores"))
    panel.asking.controls.show_search(Search(PAIR))
    panel.asking.run()
    rest(live, qtbot)
    assert panel.middle.page is Page.GRAPH
    assert not panel.middle.tabs.isTabVisible(Page.POSITIONS)
    sums = panel.contest.ranked(panel.right.front).scores
    np.testing.assert_allclose(panel.contest.ranked(held).scores, sums, atol=1e-5)
    QTest.mouseClick(panel.asking.fold, LEFT)


def test_a_circuit_by_position_says_at_which_token_an_edge_works(live, panel, qtbot, tmp_path):
    controls = panel.asking.controls
    QTest.mouseClick(panel.asking.fold, LEFT)
    QTest.mouseClick(controls.by_position, LEFT, pos=QPoint(8, controls.by_position.height() // 2))
    assert controls.search() == Search(PAIR, by_position=True)
    assert told(panel, qtbot).startswith("479 edges · 1 example")
    QTest.mouseClick(panel.asking.run_button, LEFT)
    qtbot.waitUntil(lambda: panel.right.front is not None, timeout=WAIT)
    rest(live, qtbot)
    world = run(panel.exported_lines())
    circuit, tokens = world["circuit"], world["circuit"].metadata["tokens"]
    lines = csv.DictReader(io.StringIO(panel.exported_table()().text()))
    rows = {row["edge"]: row for row in lines}
    names = edge_names(circuit)
    assert rows.keys() == set(names)
    scores = [float(rows[name]["score"]) for name in names]
    np.testing.assert_allclose(scores, world["values"], atol=1e-6)
    # The curve is that of the sums, and says so; the page tells the strongest single edges.
    assert float(panel.rivals.topLevelItem(0).text(1)) == pytest.approx(
        world["curve"].cpr, abs=0.006
    )
    assert "over positions" in panel.right.dial.worth.toolTip()
    assert "summed over positions" in panel.graph.legend.drawn
    panel.right.turn_to(479)
    panel.middle.show_page(Page.POSITIONS)
    best = int(np.abs(circuit.edge_weight).argmax())
    at = int(circuit.node_position[circuit.edge_source[best]])
    places = panel.middle.places
    assert places.rows[0].position == at
    assert float(places.rows[0].score.replace("\N{MINUS SIGN}", "-")) == pytest.approx(
        circuit.edge_weight[best], rel=0.01
    )
    assert places.rows[0].token == f"{tokens[at].replace(' ', '␣')} @{at}"
    places.at.setCurrentIndex(1 + at)
    assert {row.position for row in places.rows} == {at}
    box = places.table.visualItemRect(places.table.item(0, 0))
    QTest.mouseClick(places.table.viewport(), LEFT, pos=box.center())
    live.runner.turns.finish()
    assert live.desk.selection.current.position == at
    check_kept_beside_sums(live, panel, qtbot, tmp_path)


def test_what_has_no_positions_is_told_with_a_way_out(panel, qtbot):
    panel.asking.controls.show_search(Search(PAIR, "acdc", by_position=True))
    assert "at all positions at once" in told(panel, qtbot)
    assert not panel.asking.run_button.isEnabled()
    QTest.mouseClick(panel.asking.fixes["by_position", ""], LEFT)
    assert told(panel, qtbot).startswith("479 edges")
    assert panel.asking.controls.search().by_position is False


def test_by_position_takes_the_pairs_of_a_set_that_have_one_length(live, panel, qtbot):
    panel.asking.controls.show_search(Search(None, data="agreement", count=3, by_position=True))
    held = [pair.clean for pair in load_prompt_set("agreement").pairs]
    counted = list(map(words_in, held))
    most = counted.count(max(counted, key=counted.count))
    assert f"3 examples · of the {most} pairs with" in told(panel, qtbot)
    panel.asking.run()
    rest(live, qtbot)
    taken = panel.right.front.params["prompts"]
    assert len(taken) == 3
    assert len({words_in(prompt) for prompt in taken}) == 1
    lines = panel.exported_lines()
    assert any("lengths.count" in line for line in lines)


def words_in(prompt):
    """Tokens of a prompt of the example model: words, and commas."""
    return len(prompt.replace(",", " ,").split())


def test_a_stopped_search_stays_on_screen_as_far_as_it_came(live, panel, qtbot):
    search = Search(None, "acdc", data="name", count=6, tau=0.0001)
    panel.asking.controls.show_search(search)
    panel.asking.run()
    qtbot.waitUntil(lambda: panel.right.front is not None, timeout=WAIT)
    piece = panel.asking.job
    assert panel.asking.run_button.text() == "Stop"
    QTest.mouseClick(panel.asking.run_button, LEFT)
    rest(live, qtbot)
    assert live.desk.work.find(piece.number).outcome is Outcome.STOPPED
    (found,) = discoveries_in(live.desk.workspace.session)
    assert is_partial(found)
    assert panel.rivals.topLevelItem(0).text(0).endswith("not finished")
    assert "stopped after" in panel.rivals.topLevelItem(0).toolTip(0)
    assert panel.asking.run_button.text() == "Find the circuit"
    assert "not finished" in panel.tests.why_not


def test_a_circuit_is_judged_as_python_judges_it(live, panel, qtbot):
    search = Search(None, data="name", count=3)
    live.runner.ask(RunDiscovery(search))
    rest(live, qtbot)
    panel.right.turn_to(20)
    panel.middle.show_page(Page.JUDGE)
    QTest.mouseClick(panel.middle.judge.button, LEFT)
    rest(live, qtbot)
    front = panel.right.front
    held = judgements_of(live.desk.workspace.session, front, panel.right.share, signed=True)
    judged, stable = judgement_of(held[JUDGEMENT]), stability_of(held[STABILITY])
    world = run(panel.exported_lines())
    size = {"share": 20 / 479, "signed": True}
    asked = world["asked"], world["metric"]
    again = mt.judge_circuit(world["model"], world["circuit"], *asked, **size)
    assert again.nodes == judged.nodes
    np.testing.assert_allclose(again.effects, judged.effects, atol=1e-5)
    halves = mt.stability(world["model"], *asked, **size)
    np.testing.assert_allclose(halves.correlation, stable.correlation, atol=1e-6)
    view = panel.middle.judge
    assert view.nodes.rowCount() == len(judged.nodes)
    assert float(view.nodes.item(0, 1).text()) == pytest.approx(judged.minimality.max(), abs=6e-4)
    assert "On halves of the data, 5 times" in view.said.text()
    panel.right.turn_to(40)  # of another size nothing is known
    assert "Judging takes" in view.said.text()


def test_a_flat_metric_is_told_before_the_start_with_two_ways_out(live, panel, qtbot):
    panel.asking.controls.show_search(Search(PAIR, "eap", metric="kl"))
    assert "no gradient" in told(panel, qtbot)
    assert not panel.asking.run_button.isEnabled()
    integrated, logit, *_ = panel.asking.fixes.values()
    assert integrated.isVisible()
    QTest.mouseClick(logit, LEFT)
    assert panel.asking.controls.search().metric == "logit"
    assert told(panel, qtbot).startswith("479 edges")
    assert not logit.isVisible()
    panel.asking.controls.show_search(Search(PAIR, "eap", metric="kl"))
    assert "no gradient" in told(panel, qtbot)
    QTest.mouseClick(integrated, LEFT)
    assert panel.asking.controls.search().method == "eap-ig"
    assert panel.asking.run_button.isEnabled()
    # A rank has no gradient anywhere: only what works is offered.
    for method in ("two-point", "eap", "eap-ig"):
        panel.asking.controls.show_search(Search(PAIR, method, metric="rank"))
        told(panel, qtbot)
        assert not panel.asking.run_button.isEnabled()
        assert [b.isVisible() for b in panel.asking.fixes.values()] == [False, True, False, False]


def test_pairs_of_unequal_length_and_a_missing_corrupt_prompt_are_told(
    live, panel, qtbot, tmp_path, monkeypatch
):
    one = load_prompt_set("name").pairs[0]
    pairs = [{"clean": one.clean, "corrupt": f"{one.corrupt} a", "answer": one.answer,
              "wrong": one.wrong}]  # fmt: skip
    file = tmp_path / "unequal.json"
    file.write_text(json.dumps({"name": "unequal", "title": "Unequal", "pairs": pairs}))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    panel.asking.controls.data.setCurrentText("From a file…")
    rest(live, qtbot)
    assert panel.asking.controls.data.currentText() == "Unequal"
    assert "as many" in told(panel, qtbot)
    assert not panel.asking.run_button.isEnabled()
    live.desk.draft.update(corrupt="")
    alone = replace(PAIR, corrupt=None)
    live.runner.ask(Examine(alone))
    rest(live, qtbot)
    panel.asking.controls.data.setCurrentIndex(0)
    assert "no corrupt prompt" in told(panel, qtbot)
    QTest.mouseClick(panel.asking.fixes["ablation", "zero"], LEFT)
    assert panel.asking.controls.search().ablation == "zero"
    assert panel.asking.controls.search().method == "eap"
    assert told(panel, qtbot).startswith("479 edges · 1 example")


@pytest.mark.parametrize(
    "search",
    [
        Search(PAIR, "eap-ig", steps=2, metric="probability"),
        Search(PAIR, "eap", "position mean"),
        Search(replace(PAIR, corrupt=None), "acdc", "zero", metric="log-probability", tau=0.5),
        Search(None, "routes", "mean", data="name", count=2, over="list", metric="kl"),
    ],
    ids=lambda search: search.method,
)
def test_the_lines_repeat_any_search(live, panel, qtbot, search):
    live.runner.ask(RunDiscovery(search))
    rest(live, qtbot)
    (found,) = discoveries_in(live.desk.workspace.session)
    world = run(panel.exported_lines())
    curve = faithfulness_of(curve_for(live.desk.workspace.session, found))
    np.testing.assert_allclose(world["curve"].faithfulness, curve.faithfulness, atol=1e-5)


def test_circuits_of_a_set_go_along_and_those_of_a_pair_are_found_again(live, panel, qtbot):
    workspace = live.desk.workspace
    live.runner.ask(RunDiscovery(Search(PAIR, "routes")))
    rest(live, qtbot)
    (of_pair,) = discoveries_in(workspace.session)
    first = workspace.session.uuid
    other = replace(PAIR, prompt=PAIR.corrupt, corrupt=PAIR.prompt, answer=PAIR.wrong,
                    wrong=PAIR.answer)  # fmt: skip
    live.runner.ask(Examine(other))
    rest(live, qtbot)
    assert discoveries_in(workspace.session) == ()
    assert "1 circuit is in run" in panel.empty.advice.text()
    QTest.mouseClick(panel.empty.button, LEFT)
    rest(live, qtbot)
    assert workspace.session.uuid == first
    assert discoveries_in(workspace.session) == (of_pair,)
    live.runner.ask(RunDiscovery(Search(None, "routes", data="name", count=2)))
    rest(live, qtbot)
    of_set = discoveries_in(workspace.session)[-1]
    live.runner.ask(Examine(other))
    rest(live, qtbot)
    assert workspace.session.uuid != first
    assert discoveries_in(workspace.session) == (of_set,)
    assert curve_for(workspace.session, of_set) is not None


def test_a_search_that_is_stopped_at_once_says_that_nothing_came(live, panel, qtbot):
    panel.asking.controls.show_search(Search(PAIR, "acdc", tau=0.003))
    told(panel, qtbot)
    panel.asking.run()
    live.runner.cancel_visible()  # before it has begun
    rest(live, qtbot)
    assert told(panel, qtbot).startswith("Stopped before the first scores · ")
