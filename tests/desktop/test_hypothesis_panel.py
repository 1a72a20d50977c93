"""Hypotheses drawn by mouse and keyboard in a real window, tested, stepped through, kept."""

from __future__ import annotations

import numpy as np
import pytest
from acts import rest, to_front, write
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

from microtome.prompt_sets import load_prompt_set
from microtome.prompts import Question
from microtome.records.hypothesis import Arrow, Box, Hypothesis
from microtome.records.marks import Marks
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.scrub_request import typed_inputs
from microtome_desktop.presenters.hypothesis import laid_out, problem_of, readers_for
from microtome_desktop.presenters.scrubbed import read_test
from microtome_desktop.state.hypotheses import TYPED, ScrubWish, induction, scrubs_in

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
REPEAT = Question("mole jay gnu owl mole jay gnu", "mole jay kiwi owl mole jay gnu", "owl", "dog")


@pytest.fixture
def panel(bench, qtbot):
    """The panel in front of a window without a model; the session has no hypothesis."""
    bench.desk.workspace.change("marks", marks=Marks())
    bench.window.show_panel("hypothesis")
    rest(bench, qtbot)
    return bench.furnishing.panels["hypothesis"]


def add_box(panel, name, nodes, claim):
    QTest.mouseClick(panel.add_box, LEFT)
    assert QApplication.focusWidget() is panel.form.name
    for field, text in (
        (panel.form.name, name), (panel.form.nodes, nodes), (panel.form.claim, claim),
    ):  # fmt: skip
        write(field, text)


def drag(panel, source, target, reader):
    """Drag an arrow from box to box, and choose the reader where a menu asks for it."""
    canvas = panel.canvas
    start, end = canvas.place_of(source), canvas.place_of(target)
    QTest.mousePress(canvas, LEFT, pos=start)
    for step in (1, 2, 3):
        QTest.mouseMove(canvas, start + (end - start) * step / 3)
    QTest.mouseRelease(canvas, LEFT, pos=end)
    menu = next((m for m in panel.findChildren(QMenu, "arrow_menu") if m.isVisible()), None)
    if menu is not None:
        wanted = next(a for a in menu.actions() if f"({reader})" in a.text())
        QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(wanted).center())


def draw_induction(panel):
    add_box(panel, "token", "input", "token(at)")
    add_box(panel, "where", "input", "at")
    add_box(panel, "previous", "a0.h0", "token(at - 1)")
    add_box(panel, "answer", "a1.h0", "token(previous(at) + 1)")
    for line in (
        "where previous q", "where previous k", "token previous v", "token answer q",
        "previous answer k", "token answer v", "answer logits logits",
    ):  # fmt: skip
        drag(panel, *line.split())


# ---------------------------------------------------------------- drawing


def test_it_is_drawn_undone_and_deleted_by_mouse_and_keyboard(panel, bench, sample_session, qtbot):
    draw_induction(panel)
    drawn = panel.acts.shown
    wanted = induction(sample_session)
    assert set(drawn.boxes) == {
        Box(b.name, {"previous": ("a0.h0",), "answer": ("a1.h0",)}.get(b.name, b.nodes), b.claim)
        for b in wanted.boxes
    }
    assert set(drawn.arrows) == set(wanted.arrows)
    canvas = panel.canvas
    arrow = Arrow("token", "answer", "q")
    QTest.mouseClick(canvas, LEFT, pos=canvas.place_of_arrow(arrow))
    assert panel.acts.picked == arrow
    QTest.keyClick(canvas, Qt.Key.Key_Delete)
    assert arrow not in panel.acts.shown.arrows
    bench.window.actions_table.trigger(CommandId.UNDO)
    rest(bench, qtbot)
    assert panel.acts.shown == drawn
    QTest.mouseClick(canvas, LEFT, pos=canvas.place_of("previous"))
    QTest.keyClick(canvas, Qt.Key.Key_Delete)
    assert "previous" not in {a.source for a in panel.acts.shown.arrows}
    assert len(panel.acts.shown.arrows) == 3
    bench.window.actions_table.trigger(CommandId.UNDO)
    rest(bench, qtbot)
    assert panel.acts.shown == drawn
    QTest.mouseClick(canvas, LEFT, pos=canvas.place_of("where"))
    QTest.keyClick(canvas, Qt.Key.Key_Up)
    assert panel.acts.picked in ("previous", "token")
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert panel.acts.picked is None


def test_what_cannot_be_read_is_said_where_it_is_typed(panel, bench, qtbot):
    panel.acts.add(Hypothesis((Box("token", ("input",), "token(at)"),), (), "try"))
    QTest.mouseClick(panel.canvas, LEFT, pos=panel.canvas.place_of("token"))
    form = panel.form
    form.claim.setFocus()
    form.claim.selectAll()
    QTest.keyClicks(form.claim, "token(at +")
    assert "Column 11" in form.problem.text()
    assert form.claim.property("wrong")
    assert "Column 11" in panel.told.text()
    assert panel.acts.shown.boxes[0].claim == "token(at)"  # what cannot be read is not kept
    write(form.claim, "at")
    assert panel.acts.shown.boxes[0].claim == "at"
    assert form.claims.currentText() == "the position"
    write(form.nodes, "a9.h0")
    assert "no 'a9.h0'" in form.problem.text()
    assert "4 layers of 4 heads" in panel.why_not
    assert not panel.run_button.isEnabled()
    write(form.nodes, "input")
    assert "No way leads" in panel.why_not  # nothing reads it
    assert panel.told.text() == panel.why_not
    write(form.positions, "0, x")
    assert "whole numbers" in form.problem.text()


def test_arrows_go_up_only_and_to_what_can_read(sample_session):
    boxes = (
        Box("in", ("input",), "at"), Box("low", ("a0.h0",), "at"), Box("mlp", ("m0",), "at"),
        Box("high", ("a2.h1", "m2"), "at"),
    )  # fmt: skip
    of = Hypothesis(boxes, (Arrow("in", "high", "q"),), "order")
    assert readers_for(of, "in", "high") == ("k", "v", "mlp")
    assert readers_for(of, "low", "mlp") == ("mlp",)
    assert readers_for(of, "high", "low") == readers_for(of, "low", "in") == ()
    assert readers_for(of, "high", "logits") == ("logits",)
    against = Hypothesis(boxes, (*of.arrows, Arrow("high", "low", "q")), "against")
    assert problem_of(against, sample_session.model)
    laid = laid_out(of, 600, 500)
    narrow = laid_out(of, 340, 500)  # two boxes side by side fit a small window
    assert narrow.width == 340
    places = [narrow.boxes["in"], narrow.boxes["low"], narrow.boxes["logits"]]
    assert all(each.x >= 0 and each.x + each.width <= 340 for each in places)
    heights = [laid.boxes[name].y for name in ("in", "low", "mlp", "high", "logits")]
    assert heights == sorted(heights, reverse=True)


def test_several_are_named_copied_and_deleted(panel, bench, qtbot):
    panel.acts.add_induction()
    of = panel.acts.shown
    QTest.mouseClick(panel.rename, LEFT)
    write(panel.naming, "mine")
    assert (panel.acts.title, panel.acts.shown.arrows) == ("mine", of.arrows)
    panel.acts.copy()
    assert [each.title for each in panel.acts.held] == ["mine", "mine 2"]
    # By the keyboard an arrow is drawn among the fields of its source.
    panel.pick("where")
    panel.form.to.setCurrentText("answer: keys")
    QTest.mouseClick(panel.form.add_arrow, LEFT)
    assert Arrow("where", "answer", "k") in panel.acts.shown.arrows
    panel.pick(Arrow("where", "answer", "k"))
    panel.form.reader.setCurrentText("queries")
    panel.form.reader.activated.emit(panel.form.reader.currentIndex())
    assert Arrow("where", "answer", "q") in panel.acts.shown.arrows
    QTest.mouseClick(panel.forget, LEFT)
    assert [each.title for each in panel.acts.held] == ["mine"]
    assert panel.acts.shown.arrows == of.arrows
    for _ in range(6):
        bench.window.actions_table.trigger(CommandId.UNDO)
    rest(bench, qtbot)
    assert panel.acts.held == ()


def test_the_empty_panel_says_what_a_hypothesis_is_and_begins_one(panel, bench, qtbot):
    assert panel.empty.isVisible()
    assert "which part reads which" in panel.empty.advice.text()
    QTest.mouseClick(panel.empty.button, LEFT)
    rest(bench, qtbot)
    assert [each.title for each in panel.acts.held] == ["induction"]
    assert panel.canvas.isVisible()
    assert not panel.empty.isVisible()
    QTest.mouseClick(panel.forget, LEFT)
    rest(bench, qtbot)
    assert panel.empty.isVisible()


def test_the_selected_head_gets_a_box(panel, bench, qtbot):
    bench.desk.selection.update(layer=2, head=3)
    QTest.mouseClick(panel.add_box, LEFT)
    assert panel.acts.shown.boxes[0].nodes == ("a2.h3",)
    bench.desk.selection.update(layer=1, head=0)
    QTest.mouseClick(panel.form.from_selected, LEFT)
    assert panel.acts.shown.boxes[0].nodes == ("a2.h3", "a1.h0")


def test_selected_nodes_of_the_circuit_become_a_drawing(panel, bench, sample_session):
    circuit = sample_session.circuit
    head = next(n for n, k in zip(circuit.node_id, circuit.node_kind, strict=True) if k == "head")
    row = circuit.row(head)
    feeding = [int(circuit.edge_source[edge]) for edge in circuit.incoming(row)]
    inputs = [circuit.node_id[at] for at in feeding if circuit.node_kind[at] == "token"]
    bench.desk.selection.update(node=head, others=tuple(inputs))
    panel.acts.add_from_selected()
    of = panel.acts.shown
    name = f"a{circuit.node_layer[row]}.h{circuit.node_head[row]}"
    assert {box.name: box.nodes for box in of.boxes} == {
        name: (name,),
        **({"token": ("input",)} if inputs else {}),
    }
    into = [arrow for arrow in of.arrows if arrow.target == name]
    assert {arrow.source for arrow in into} == ({"token"} if inputs else set())
    assert len(into) == len({arrow.reader for arrow in into})


# ---------------------------------------------------------------- testing


@pytest.fixture
def known(live, qtbot):
    """The panel in a live window with the model whose circuit is known, and no hypothesis yet."""
    before, runs = live.desk.workspace.session, live.desk.history.runs
    live.handlers.load("induction-exact")
    qtbot.waitUntil(lambda: live.desk.workspace.model.name == "induction-exact", timeout=WAIT)
    rest(live, qtbot)
    live.runner.ask(Examine(REPEAT))
    rest(live, qtbot)
    live.desk.workspace.change("marks", marks=Marks())
    live.window.show_panel("hypothesis")
    to_front(live.window)
    qtbot.waitUntil(live.window.isActiveWindow)
    panel = live.furnishing.panels["hypothesis"]
    panel.inputs.count.setValue(48)
    panel.inputs.draws.setValue(2)
    yield panel
    # What others share: the run on screen, and a history of runs of one model.
    live.desk.history._runs[:] = runs
    live.desk.workspace.show(before, dirty=False)
    live.window.reset_layout()
    rest(live, qtbot)


def test_the_right_one_of_the_known_model_recovers_all(known, live, qtbot, tmp_path):
    draw_induction(known)
    assert known.why_not == ""
    QTest.mouseClick(known.run_button, LEFT)
    rest(live, qtbot)
    (analysis,) = scrubs_in(live.desk.workspace.session)
    found = read_test(analysis)
    assert found.recovered >= 0.99
    assert not found.partial
    assert "recovered 1.00" in known.score.text.text()
    step_through(known, found)
    world = {}
    exec("\n".join(known.exported_lines()), world)  # noqa: S102  # that is the test
    assert world["recovered"] == pytest.approx(found.recovered, abs=1e-6)
    np.testing.assert_array_equal(world["found"].swaps, found.swaps)
    assert len(known.exported_table()().rows) == 48
    saved = save_session(tmp_path / "tested.h5", live.desk.workspace.session)
    opened = open_session(saved)
    assert opened.marks.hypotheses == (known.acts.shown,)
    assert ScrubWish.from_json(scrubs_in(opened)[0].params["wish"]).draws == 2
    the_wrong_one_fails(known, live, qtbot)
    the_answers_of_a_set_judge_it(known, live, qtbot)


def step_through(panel, found):
    """The key is read from inputs with the same token before; a row leads on to the next box."""
    panel.pick(Arrow("previous", "answer", "k"))
    panel.side.setCurrentWidget(panel.swaps)
    panel.swaps.number.setValue(5)
    steps = panel.swaps._steps
    assert len(steps) == found.tokens.shape[1]
    for step in steps[1:]:
        assert step.value == found.tokens[5, step.position - 1]
        assert step.value == found.tokens[step.taken, step.position - 1]
    panel.swaps.table.cellDoubleClicked.emit(4, 0)
    assert (panel.acts.picked, panel.swaps.number.value()) == ("previous", steps[4].taken)


def the_wrong_one_fails(panel, live, qtbot):
    """Without an arrow the old score is said to be of the old drawing; a new test fails."""
    panel.pick(Arrow("token", "answer", "v"))
    QTest.keyClick(panel.canvas, Qt.Key.Key_Delete)
    assert "before it was changed" in panel.told.text()
    panel.inputs.source.setCurrentIndex(panel.inputs.source.findData(TYPED))
    assert "No prompts are typed" in panel.why_not
    panel.inputs.source.setCurrentIndex(0)
    live.window.actions_table.trigger(CommandId.TEST_HYPOTHESIS)
    rest(live, qtbot)
    assert read_test(scrubs_in(live.desk.workspace.session)[-1]).recovered < 0.5
    live.window.actions_table.trigger(CommandId.UNDO)
    rest(live, qtbot)


def the_answers_of_a_set_judge_it(panel, live, qtbot):
    panel.inputs.source.setCurrentIndex(panel.inputs.source.findData("induction-exact"))
    panel.inputs.judged.setCurrentIndex(1)
    panel.inputs.count.setValue(0)
    live.window.actions_table.trigger(CommandId.TEST_HYPOTHESIS)
    rest(live, qtbot)
    found = read_test(scrubs_in(live.desk.workspace.session)[-1])
    assert found.recovered >= 0.99
    right = load_prompt_set("induction-exact").pairs
    answers = {pair.clean: f"p({pair.answer})" for pair in right}
    metrics = [answers[prompt] for prompt in found.params["prompts"]]
    assert metrics == list(found.params["metrics"])
    world = {}
    exec("\n".join(panel.exported_lines()), world)  # noqa: S102  # that is the test
    assert world["recovered"] == pytest.approx(found.recovered, abs=1e-6)


def test_typed_lines_are_prompts_or_ids():
    assert typed_inputs("a b\n\n 1, 2 \n") == ["a b", (1, 2)]


def test_a_click_beside_everything_picks_nothing(panel):
    panel.acts.add(Hypothesis((Box("token", ("input",), "token(at)"),), (), "one"))
    QTest.mouseClick(panel.canvas, LEFT, pos=panel.canvas.place_of("token"))
    assert panel.acts.picked == "token"
    QTest.mouseClick(panel.canvas, LEFT, pos=QPoint(2, 2))
    assert panel.acts.picked is None
