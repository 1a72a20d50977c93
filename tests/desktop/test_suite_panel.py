"""The suite panel in a real window: on results made by hand, and on the model by mouse and keys."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from microtome.prompt_sets import load_prompt_set
from microtome.prompts import Question
from microtome.records.adversarial import Adversarial, adversarial_analysis
from microtome.records.redundancy import Redundancy, redundancy_analysis, redundancy_of
from microtome.records.suite_result import SuiteResult, suite_analysis, suite_of
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.suite_requests import (
    CompareSlices,
    FindRedundancy,
    RunSuite,
    SearchSwaps,
)
from microtome_desktop.presenters.suites import NO_REDUNDANCY, NO_SUITE
from microtome_desktop.state.suites import (
    Data,
    RemovalWish,
    SuiteWish,
    SwapWish,
    latest,
    wish_of,
    with_wish,
)
from microtome_desktop.state.work import Outcome
from microtome_desktop.views.suite_panel import SuitePanel

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
DATA = Data(("name", "pronoun"), 10)
QUESTION = Question("When Mary and John went", None, "Mary", "John")


def suite():
    """Two slices: the second falls by more than chance."""
    rates = np.array([[1.0, 0.75], [1.0, 1.0], [1.0, 0.5]])
    four = np.ones((4, 2))
    return SuiteResult(
        "Two", ("all", "task: name", "task: pronoun"), ("before", "after"),
        np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool), rates,
        np.stack([rates - 0.1, rates], -1), rates / 2, np.stack([rates / 3, rates], -1),
        np.array([[-0.5, 0.0], [0.0, 0.0], [-0.9, -0.2]]), np.ones(4, dtype=bool), four, four,
        four, four, ("a", "b", "c", "d"), ("x",) * 4,
        {"id": "suite-1", "passing": "above", "title": "Two", "edits": ["zero ablation of z.1.1"]},
    )  # fmt: skip


def redundancy():
    params = {
        "id": "redundancy-1", "criterion": "pass rate", "threshold": 0.9, "how": "zero",
        "over": [], "whole_parameters": 100, "whole_flops": 200.0, "complete": True,
    }  # fmt: skip
    return Redundancy(
        ("a0.h0", "m1", "l1"), np.array([0.1, -0.4, -2.0]), np.array([10, 20, 40]),
        np.array([20.0, 40.0, 80.0]), ("m1", "a0.h0"), np.array([1.0, 1.0, 0.6]),
        np.array([4.0, 3.0, 1.0]), ("embed", "l0", "l1"), np.eye(3), params,
    )  # fmt: skip


def swaps():
    tokens = ("When", "Mary", "and", "John", "went")
    params = {
        "id": "adversarial-1", "answer": "Mary", "tried": 9, "rounds": 1,
        "swapped_texts": [["bag"], ["door"]], "said_before": "Mary", "complete": True,
    }  # fmt: skip
    other = np.array([[0, 1, 0, 0, 0]] * 2, dtype=bool)
    return Adversarial(
        tokens, np.array([[1, 9, 3, 4, 5], [1, 8, 3, 4, 5]]), other,
        ("When bag and John went", ""), np.array([-2.0, 1.0]), np.array([0.1, 0.6]),
        ("John", "Mary"), np.array([0.5, np.nan]), 3.0, 0.9,
        ("T@1", "M2@4"), np.array([5.0, -1.5]), params,
    )  # fmt: skip


@pytest.fixture
def panel(bench, qtbot):
    """The panel in front, with one result of each kind in the session."""
    workspace, words = bench.desk.workspace, {"answer_id": 2, "wrong_id": 4}
    workspace.change("metric", metric={**workspace.session.metric, **words})
    for analysis in (
        with_wish(suite_analysis(suite()), SuiteWish(DATA)),
        with_wish(redundancy_analysis(redundancy()), RemovalWish(DATA, threshold=0.9)),
        with_wish(adversarial_analysis(swaps()), SwapWish(QUESTION)),
    ):
        workspace.add_analysis(analysis)
    return front(bench, qtbot)


def front(bench, qtbot):
    bench.window.show_panel("suite")
    rest(bench, qtbot)
    bench.desk.notices.history.clear()  # the sample's model is not in the model thread
    panel = bench.furnishing.panels["suite"]
    panel.pages.setCurrentIndex(0)
    return panel


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()
    QApplication.processEvents()


def page(panel, title):
    """Click on a tab."""
    bar = panel.pages.tabBar()
    row = next(at for at in range(bar.count()) if bar.tabText(at) == title)
    QTest.mouseClick(bar, LEFT, pos=bar.tabRect(row).center())


def column(table, at):
    return [table.item(row, at).text() for row in range(table.rowCount())]


def test_a_slice_that_falls_is_red_and_all_of_it_exports(bench, panel):
    table = panel.suite.table
    assert column(table, 0) == ["all", "task: name", "task: pronoun"]
    assert column(table, 2) == ["100 → 75", "100 → 100", "100 → 50"]
    tones = [table.item(row, 2).foreground().color().name() for row in range(3)]
    assert tones == [colours.TEXT, colours.TEXT, colours.BAD]
    assert "passes: the answer is above the wrong one" in panel.suite.said.text()
    assert "1 slice falls by more than chance" in panel.suite.said.text()
    held = panel.exported_table()()
    assert held.headers[-1] == "falls"
    assert [row[-1] for row in held.rows] == [False, False, True]
    assert "mt.load_suite(['name', 'pronoun'], limit=10)" in "\n".join(panel.exported_lines())


def test_what_can_go_is_removed_in_one_step_and_comes_back_in_one(bench, panel, qtbot):
    page(panel, "What can go")
    shown = panel.redundancy
    assert column(shown.table, 0) == ["M1", "L0H0", "Layer 1"]
    assert column(shown.table, 3) == ["100 %", "60 %", ""]
    assert "1 of 2 parts can go" in shown.said.text()
    assert [row[-1] for row in panel.exported_table()().rows] == [True, False, False]
    assert [row[0] for row in panel.exported_table()().rows] == ["m1", "a0.h0", "l1"]
    QTest.mouseClick(shown.remove, LEFT)
    edits = bench.desk.book.marks.edits
    assert [(spec.site, spec.action) for spec in edits] == [("mlp_out.1", "zero")]
    assert bench.desk.book.undo_title == "Remove 1 part"
    QTest.mouseClick(shown.remove, LEFT)  # again: they are there already
    assert bench.desk.book.marks.edits == edits
    assert "taken out already" in bench.desk.notices.history[-1].as_text
    bench.desk.book.undo()
    assert bench.desk.book.marks.edits == ()
    rest(bench, qtbot)


def test_a_chosen_swap_becomes_the_corrupt_prompt_by_mouse_and_by_key(bench, panel):
    page(panel, "Swaps")
    table = panel.swaps.table
    assert panel.data.isVisible()  # whose words are put in
    assert not panel.data.limit.isVisible()
    assert column(table, 0) == ["1: Mary → bag", "1: Mary → door"]
    assert column(table, 1) == ["Mary → John", "Mary"]
    assert column(table, 2) == ["+3.00 → −2.00", "+3.00 → +1.00"]
    assert column(table, 3) == ["−5.00", "−2.00"]
    assert column(table, 4) == ["0.50", ""]
    QTest.mouseClick(table.viewport(), LEFT, pos=table.visualItemRect(table.item(0, 0)).center())
    text = bench.desk.draft.text
    assert (text.prompt, text.corrupt) == ("When Mary and John went", "When bag and John went")
    assert (text.answer, text.wrong) == ("Mary", "John")
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert bench.desk.draft.text.corrupt == "1, 8, 3, 4, 5"  # no text gives these tokens


def test_a_node_that_carries_a_swap_is_selected_everywhere_and_marked(bench, panel, qtbot):
    page(panel, "Swaps")
    panel.swaps.among.setCurrentText("any token")
    assert not panel.data.isVisible()
    panel.swaps.among.setCurrentText("as in the task")
    assert panel.exported_table()().headers[:3] == ("prompt", "swaps", "flipped")
    bar, nodes = panel.swaps.lists.tabBar(), panel.swaps.nodes
    QTest.mouseClick(bar, LEFT, pos=bar.tabRect(1).center())
    assert [column(nodes, at) for at in (1, 2, 3)] == [
        ["Mary", "went"], ["+5.00", "−1.50"], ["100 %", "−30 %"],
    ]  # fmt: skip
    held = panel.exported_table()()
    assert (held.headers, held.rows[0]) == (("node", "score", "share"), ("T@1", 5.0, 1.0))
    QTest.mouseClick(nodes.viewport(), LEFT, pos=nodes.visualItemRect(nodes.item(1, 0)).center())
    circuit, selected = bench.desk.workspace.session.circuit, bench.desk.selection.current
    assert (selected.layer, selected.position) == (2, 4)
    assert selected.node == ("M2@4" if "M2@4" in circuit.node_id else None)
    bench.desk.selection.update(node="T@1")
    rest(bench, qtbot)
    assert [index.row() for index in nodes.selectionModel().selectedRows()] == [0]
    bench.desk.selection.update(node=None)
    rest(bench, qtbot)
    assert not nodes.selectionModel().hasSelection()
    QTest.mouseClick(bar, LEFT, pos=bar.tabRect(0).center())


def test_a_session_is_read_offline_and_keeps_what_was_chosen(bench, panel, qtbot, tmp_path):
    page(panel, "What can go")
    panel.data.show_data(DATA)
    session = replace(bench.desk.workspace.session, view={"suite": panel.view_state()})
    again = open_session(save_session(tmp_path / "suite.h5", session))
    bench.desk.workspace.set_model(None)
    bench.desk.workspace.show(replace(again, uuid="again"), dirty=False)
    rest(bench, qtbot)
    assert panel.pages.currentWidget() is panel.redundancy
    assert panel.data.data().limit == 10
    assert column(panel.redundancy.table, 0) == ["M1", "L0H0", "Layer 1"]
    assert not panel.redundancy.button.isEnabled()
    assert "words-4l" in panel.redundancy.button.toolTip()
    assert wish_of(latest(again, "suite"), SuiteWish) == SuiteWish(DATA)


def test_without_results_each_page_says_how_to_get_them(bench, qtbot):
    panel = front(bench, qtbot)
    assert panel.suite.empty.advice.text() == panel.exported_table() == NO_SUITE
    page(panel, "What can go")
    assert panel.exported_lines() == NO_REDUNDANCY
    assert panel.redundancy.split.isHidden()
    page(panel, "Slices")


def test_on_the_model_a_suite_from_a_file_runs_with_edits_and_its_lines_repeat_it(
    live, qtbot, tmp_path, monkeypatch
):
    live.runner.ask(Examine(live.desk.draft.text.question()))
    panel = front(live, qtbot)
    cases = [{"prompt": "Jane said that", "answer": "she", "wrong": "he", "slices": ["who: she"]},
             {"prompt": "James said that", "answer": "he", "wrong": "she"}]  # fmt: skip
    file = tmp_path / "who.json"
    file.write_text(json.dumps({"cases": cases}))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    panel.data.choice.setCurrentIndex(panel.data.choice.count() - 1)
    panel.data.choice.activated.emit(panel.data.choice.count() - 1)
    assert panel.data.data().sources == (str(file),)
    live.desk.selection.update(node=None, layer=1, head=1, position=None)
    live.window.actions_table.trigger(CommandId.ABLATE_ZERO)
    rest(live, qtbot)
    QTest.mouseClick(panel.suite.button, LEFT)
    rest(live, qtbot)
    found = suite_of(latest(live.desk.workspace.session, "suite"))
    assert found.slices == ("all", "who: she")
    assert found.sides == ("before", "after")
    assert found.confidence[1, 0] - found.confidence[1, 1] > 0.1
    world = {}
    exec("\n".join(panel.exported_lines()), world)  # noqa: S102 - the lines are what is tested
    np.testing.assert_allclose(world["values"], found.rate)
    live.desk.book.clear_edits()
    live.window.reset_layout()
    rest(live, qtbot)


def test_on_the_model_a_search_can_be_stopped_by_its_button(live, qtbot):
    live.runner.ask(Examine(live.desk.draft.text.question()))
    panel = front(live, qtbot)
    page(panel, "What can go")
    panel.data.show_data(Data(("name",), 20))
    told = panel.redundancy.outlook  # before it is started
    panel.outlooks.look()
    qtbot.waitUntil(lambda: told.text().startswith("about "), timeout=WAIT)
    assert told.toolTip().startswith("1,")  # 20 cases: the whole model, 28 parts alone, the rounds
    rest(live, qtbot)
    QTest.mouseClick(panel.redundancy.button, LEFT)
    session = live.desk.workspace
    qtbot.waitUntil(lambda: latest(session.session, "redundancy") is not None, timeout=WAIT)
    live.runner.turns.finish()
    assert panel.redundancy.button.text() == "Stop"
    assert "so far" in panel.redundancy.said.text()
    QTest.mouseClick(panel.redundancy.button, LEFT)
    rest(live, qtbot)
    own = [piece for piece in live.desk.work.pieces if piece.slot == FindRedundancy.slot]
    assert own[-1].outcome is Outcome.STOPPED
    assert not redundancy_of(latest(session.session, "redundancy")).complete
    assert panel.redundancy.button.text() == "Find what can go"
    page(panel, "Slices")
    live.window.reset_layout()


def test_the_tasks_of_another_model_keep_a_row_of_their_own(bench, panel, qtbot):
    """A session of words-4l beside another model's tasks, and with none at all."""
    desk, own = bench.desk, panel.data
    tasks = tuple(load_prompt_set(name) for name in ("name", "pronoun"))
    own.show_data(Data(("name", "pronoun", "plural"), 10))
    session = replace(desk.workspace.session, view={"suite": panel.view_state()})
    own.follow()
    facts = desk.library.shelf.facts
    desk.library.update(facts=replace(facts, prompt_sets=tasks))
    desk.workspace.show(replace(session, uuid="of 3"), dirty=False)
    rest(bench, qtbot)
    assert own.choice.currentText() == "3 tasks of words-4l"
    assert own.data().sources == ("name", "pronoun", "plural")
    for sets in ((), tasks[:1], tasks):
        desk.library.update(facts=replace(facts, prompt_sets=sets))
        rest(bench, qtbot)
        assert own.data() == Data(("name", "pronoun", "plural"), 10)
    own.show_data(Data(("name",), 1))
    assert own.limit.text() == "1 case each"
    own.show_data(Data(("name",), 10))
    assert own.limit.text() == "10 cases each"
    assert own.choice.currentText() == "Who receives it (name)"


def test_a_result_of_another_version_is_passed_over_and_said(bench, panel, qtbot):
    workspace = bench.desk.workspace
    odd = suite_analysis(replace(suite(), params={**suite().params, "id": "suite-2"}))
    lacking = {name: value for name, value in odd.params.items() if name != "edits"}
    workspace.add_analysis(replace(odd, params={**lacking, "wish": {"data": {"sets": 1}}}))
    rest(bench, qtbot)
    assert bench.desk.notices.history == []
    assert "1 result is of another version and not shown" in panel.suite.said.text()
    assert column(panel.suite.table, 0) == ["all", "task: name", "task: pronoun"]
    for wish in ({"data": {"sets": 1}}, {"data": 3}, {"data": {"sources": 1, "limit": 2}}):
        assert wish_of(replace(odd, params={"wish": wish}), SuiteWish) is None


def test_another_theme_leaves_what_was_typed_and_which_page_runs(bench, panel, qtbot):
    """The panel is made anew: settings come back, and a job under way is still to be stopped."""
    panel.redundancy.restore_view({"layers": True, "how": "mean", "threshold": 0.8, "picture": 1})
    panel.swaps.restore_view({"count": 3, "words": "Mary", "at": "2, 5", "among": "words"})
    panel.circuits.choose("task: pronoun", "all")
    held = panel.view_state()
    ask = FindRedundancy(RemovalWish(DATA))
    bench.desk.work.ask(9_001, ask.title, slot=ask.slot)
    again = SuitePanel(panel.context)
    qtbot.addWidget(again)
    again.restore_view(held)
    assert again.view_state() == held
    assert held["removal"]["threshold"] == 0.8
    assert held["circuits"] == ["task: pronoun", "all"]
    assert again.redundancy.button.text() == "Stop"
    assert again.swaps.button.text() == "Search"
    bench.desk.work.end(9_001, Outcome.STOPPED)
    rest(bench, qtbot)
    slots = {each.slot for each in (RunSuite, CompareSlices, FindRedundancy, SearchSwaps)}
    assert len(slots) == 4
