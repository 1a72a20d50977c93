"""The intervention bench in the live window, by mouse and keyboard, against the engine itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

import microtome as mt
from microtome.prompts import Question
from microtome.records.edits import DirectionSpec, EditSpec
from microtome.records.marks import Marks
from microtome.session.writer import save_session
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.presenters.circuit_text import edge_tip
from microtome_desktop.presenters.with_edits import Side

LEFT, RIGHT, ALT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.AltModifier
WAIT = 60_000
CUT = EditSpec("z.0.3", "zero")
PUSH = EditSpec(
    "resid_post.2", "add", strength=4.0, direction=DirectionSpec("values", values=(1, -1) * 64)
)


@pytest.fixture(scope="module")
def model():
    return mt.load_model("words-4l")


@pytest.fixture(scope="module")
def run_once(live_bench):
    """The example pair, run once for the module."""
    held = []
    # A list of completions makes its window when it is first used.
    live_bench.furnishing.panels["edits"].form.site.completer().popup()
    yield held
    held.clear()


@pytest.fixture
def trial(live, run_once, qtbot):
    """The live window on the example pair, with the panel Edits in front and no edits."""
    if not run_once:
        live.runner.ask(Examine(live.desk.draft.text.question()))
        rest(live, qtbot)
        run_once.append(live.desk.workspace.session)
    live.desk.workspace.show(replace(run_once[0], marks=Marks()), dirty=False)
    live.desk.selection.clear()
    live.window.reset_layout()
    live.window.docks["edits"].raise_()
    rest(live, qtbot)
    yield Trial(live, qtbot)
    live.desk.workspace.mark_clean()


def rest(live, qtbot):
    qtbot.waitUntil(lambda: live.runner.idle and not live.updating, timeout=WAIT)
    live.runner.turns.finish()


class Trial:
    """The panel and what it works on."""

    def __init__(self, live, qtbot):
        self.live, self.desk, self.qtbot = live, live.desk, qtbot
        self.panel = live.furnishing.panels["edits"]

    @property
    def session(self):
        return self.desk.workspace.session

    @property
    def rows(self):
        return self.panel.list.rows

    def add(self, *specs):
        for spec in specs:
            self.desk.book.add_edit(spec)
        self.rest()

    def rest(self):
        rest(self.live, self.qtbot)
        QApplication.processEvents()

    def shown(self):
        """The table: token to before, after, change."""
        table = self.panel.effect.table
        cells = [[table.item(r, c).text() for c in range(4)] for r in range(table.rowCount())]
        return {row[0]: row[1:] for row in cells}

    def menu(self, name):
        """The menu that a right click has opened."""
        self.rest()
        (menu,) = (m for m in self.live.window.findChildren(QMenu, name) if m.isVisible())
        return menu

    def choose(self, menu, text):
        (action,) = (a for a in menu.actions() if a.text().startswith(text))
        assert action.isEnabled(), action.toolTip()
        QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())
        self.rest()


def odds(trace, position=-1):
    powers = np.exp(trace.logits[position].astype(float))
    return powers / powers.sum()


def context(widget, place):
    """A right click on a widget that Qt asks for its menu."""
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, widget.mapToGlobal(place))
    QApplication.sendEvent(widget, event)


def test_an_edit_that_is_typed_acts_as_the_engine_does(trial, model):
    QTest.mouseClick(trial.panel.add, LEFT)
    QTest.keyClicks(trial.panel.form.site, "z.0.3")
    QTest.keyClick(trial.panel.form.site, Qt.Key.Key_Return)
    trial.rest()
    assert trial.session.marks.edits == (CUT,)
    assert trial.rows[0].text.text() == "zero ablation of z.0.3"
    clean = trial.session.clean
    runs = [mt.trace(model, clean.as_prompt, edits=e) for e in ([], [mt.Ablate("z.0.3")])]
    before, after = map(odds, runs)
    shown = trial.shown()
    assert "Mary" in shown
    for token, cells in shown.items():
        at = model.answer_token(token)
        told = [float(cell.replace("\N{MINUS SIGN}", "-")) for cell in cells]
        np.testing.assert_allclose(told, [before[at], after[at], after[at] - before[at]], atol=6e-4)
    answer, wrong = (trial.session.metric[name] for name in ("answer_id", "wrong_id"))
    metric = [run.logits[-1][answer] - run.logits[-1][wrong] for run in runs]
    told = f"{metric[0]:.2f} \N{RIGHTWARDS ARROW} {metric[1]:.2f}".replace("-", "\N{MINUS SIGN}")
    assert told in trial.panel.effect.change.text()


def test_the_box_and_the_keyboard_switch_an_edit_and_del_removes_it(trial):
    trial.add(CUT)
    box = trial.rows[0].box
    QTest.mouseClick(box, LEFT, pos=QPoint(8, box.height() // 2))
    trial.rest()
    assert not trial.session.marks.edits[0].on
    assert trial.session.edited is None
    assert trial.shown() == {}
    assert trial.panel.said.text().startswith("No edit acts")
    trial.rows[0].setFocus()
    QTest.keyClick(trial.rows[0], Qt.Key.Key_Space)
    trial.rest()
    assert trial.session.edited.edits == ("zero ablation of z.0.3",)
    QTest.keyClick(trial.rows[0], Qt.Key.Key_Delete)
    trial.rest()
    assert trial.session.marks.edits == ()
    assert not [name for name in trial.session.analyses if name.startswith("edited-")]


def test_a_drag_of_the_slider_follows_and_is_one_step(trial, model):
    trial.add(PUSH)
    slider = trial.rows[0].strength.slider
    middle = slider.height() // 2
    QTest.mousePress(slider, LEFT, pos=QPoint(slider.width() // 2, middle))
    for x in (slider.width() // 2 + 20, slider.width() - 40):
        QTest.mouseMove(slider, QPoint(x, middle))
        trial.rest()
    QTest.mouseRelease(slider, LEFT, pos=QPoint(slider.width() - 40, middle))
    trial.rest()
    spec = trial.session.marks.edits[0]
    assert spec.strength > PUSH.strength
    unit = np.tile([1.0, -1.0], 64) / np.sqrt(128)
    edits = [mt.Steer("resid_post.2", unit, spec.strength)]
    expected = mt.trace(model, trial.session.clean.as_prompt, edits=edits)
    np.testing.assert_allclose(trial.session.edited.logits, expected.logits, atol=1e-4)
    norms = np.linalg.norm(trial.session.clean.activation("resid_post.2"), axis=-1)
    share = f"{100 * spec.strength / norms.mean():.0f} % of norm"
    assert trial.rows[0].strength.share.text() == share
    trial.desk.book.undo()
    trial.rest()
    assert trial.session.marks.edits == (PUSH,)


def test_a_strength_can_be_typed_and_nonsense_is_put_back(trial):
    trial.add(PUSH)
    number = trial.rows[0].strength.number
    for typed, expected in (("-2.5", -2.5), ("much", -2.5), ("1e38", 1e38)):
        number.selectAll()
        QTest.keyClicks(number, typed)
        QTest.keyClick(number, Qt.Key.Key_Return)
        number.clearFocus()
        trial.rest()
        assert trial.session.marks.edits[0].strength == expected
    assert "NaN" in trial.rows[0].fault.toolTip()
    trial.desk.notices.history.clear()


def test_edits_are_dragged_and_stepped_into_another_order(trial):
    trial.add(CUT, PUSH)
    grip, goal = trial.rows[0].grip, trial.rows[1]
    below = grip.mapFrom(trial.panel.list.inside, goal.geometry().bottomLeft() + QPoint(20, 4))
    QTest.mousePress(grip, LEFT, pos=QPoint(4, 4))
    QTest.mouseMove(grip, below)
    QTest.mouseRelease(grip, LEFT, pos=below)
    trial.rest()
    assert trial.session.marks.edits == (PUSH, CUT)
    trial.rows[1].setFocus()
    QTest.keyClick(trial.rows[1], Qt.Key.Key_Up, ALT)
    trial.rest()
    assert trial.session.marks.edits == (CUT, PUSH)
    assert trial.live.window.focusWidget() is trial.rows[0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (EditSpec("z.9.1", "zero"), "no layer 9"),
        (EditSpec("z.1.1", "zero", positions=(99,)), "position 99"),
        (EditSpec("z.1.1", "mean"), "prompts"),
        (EditSpec("mlp_post.1", "zero", neuron=5000), "no neuron 5000"),
        (EditSpec("resid_post.1", "add", strength=1e38, direction=PUSH.direction), "NaN"),
    ],
)  # fmt: skip
def test_an_edit_that_cannot_be_is_marked_and_the_others_act(trial, bad, reason):
    trial.add(CUT, bad)
    assert trial.session.edited.edits == ("zero ablation of z.0.3",)
    (notice,) = trial.desk.notices.history
    assert notice.title.startswith("Edit 2,")
    assert reason in notice.what
    good, faulty = trial.rows
    assert not good.fault.isVisible()
    assert faulty.fault.isVisible()
    assert reason in faulty.fault.toolTip()
    trial.desk.book.switch_edit(0, on=False)
    trial.rest()
    assert trial.session.edited is None
    trial.desk.notices.history.clear()


def test_the_model_is_unedited_after_a_fault(trial):
    trial.add(EditSpec("resid_post.1", "add", strength=1e38, direction=PUSH.direction), CUT)
    trial.desk.notices.history.clear()
    clean = trial.session.clean
    trial.live.runner.ask(Examine(Question(clean.as_prompt, answer="Mary")))
    trial.rest()
    again = trial.session.clean
    assert again is not clean
    np.testing.assert_array_equal(again.logits, clean.logits)
    trial.desk.notices.history.clear()


def test_edits_go_with_the_model_to_the_next_prompt_but_those_of_a_place_wait(trial):
    placed = replace(CUT, positions=(2,))
    trial.add(CUT, placed)
    trial.desk.book.save_edit_set("both")
    trial.live.runner.ask(Examine(Question("Mary and John went to", answer="Mary")))
    trial.rest()
    assert trial.session.marks.edits == (CUT, replace(placed, on=False))
    assert [held.name for held in trial.session.marks.edit_sets] == ["both"]
    assert trial.session.edited.edits == ("zero ablation of z.0.3",)


def test_lens_attribution_and_attention_have_a_side_with_edits(trial, model):
    trial.add(CUT)
    heatmap, attention = (trial.live.furnishing.panels[name] for name in ("heatmap", "attention"))
    edited = mt.trace(model, trial.session.clean.as_prompt, edits=[mt.Ablate("z.0.3")])
    answer = int(trial.session.metric["answer_id"])
    lens = np.exp(mt.logit_lens(edited)[..., answer])
    before = heatmap.map.grid.values
    heatmap.side.setCurrentIndex(1)
    heatmap.side.activated.emit(1)
    np.testing.assert_allclose(heatmap.map.grid.values[1:], lens, atol=1e-4)
    heatmap.side.setCurrentIndex(2)
    heatmap.side.activated.emit(2)
    np.testing.assert_allclose(heatmap.map.grid.values[1:], lens - before[1:], atol=1e-4)
    trial.desk.selection.update(node=None, layer=1, head=2)
    trial.rest()
    unedited = attention.map.grid.values
    for number, side in ((1, Side.WITH), (2, Side.DIFFERENCE)):
        attention.side.setCurrentIndex(number)
        attention.side.activated.emit(number)
        expected = edited.attention(1)[2] - (unedited if side is Side.DIFFERENCE else 0)
        np.testing.assert_allclose(attention.map.grid.values, expected, atol=1e-5)
    trial.desk.book.clear_edits()
    trial.rest()
    assert not heatmap.side.isVisible()
    np.testing.assert_array_equal(heatmap.map.grid.values, before)


def test_a_right_click_offers_edits_of_heads_tokens_and_neurons(trial):
    panels = trial.live.furnishing.panels
    trial.desk.selection.update(node=None, layer=1, head=0)
    trial.rest()
    heads = panels["attention"].thumbnails
    context(heads, heads.cell(2).center())
    trial.choose(trial.menu("edit_menu"), "Ablate to zero")
    chips = panels["token_strip"].chips
    context(chips, chips.column_rect(4).center().toPoint())
    trial.choose(trial.menu("edit_menu"), "Patch from the corrupt prompt")
    trial.live.window.docks["neurons"].raise_()
    trial.rest()
    neurons = panels["neurons"]
    place, wanted = neurons.map.cell_centre(0, 3).toPoint(), neurons.map.grid.layers[0]
    QTest.mouseClick(neurons.map.plot.viewport(), RIGHT, pos=place)
    trial.choose(trial.menu("edit_menu"), "Ablate to the mean")
    first, second, third = trial.session.marks.edits
    assert (first.site, first.action, first.positions) == ("z.1.2", "zero", None)
    assert (second.site, second.action, second.positions) == ("resid_pre.0", "patch", (4,))
    assert (third.site, third.action) == (f"mlp_post.{neurons._shown}", "mean")
    assert third.neuron == wanted
    assert len(trial.session.edited.edits) == 3
    assert trial.desk.notices.history == []


def test_a_right_click_on_a_node_edits_what_it_stands_for(trial):
    circuit = trial.live.furnishing.panels["circuit"]
    drawn = circuit.shown
    row = drawn.node_kind.index("mlp")
    circuit.picks._open_menu(row, -1, QPoint(300, 300))
    menu = trial.menu("circuit_menu")
    (inside,) = (m for m in menu.findChildren(QMenu, "edit_menu"))
    inside.popup(QPoint(400, 300))
    trial.choose(inside, "Ablate to zero")
    menu.close()
    (spec,) = trial.session.marks.edits
    place = (int(drawn.node_position[row]),)
    assert (spec.site, spec.positions) == (f"mlp_out.{drawn.node_layer[row]}", place)


def test_a_right_click_in_the_list_edits_the_node_of_the_row(trial):
    trial.live.window.docks["lists"].raise_()
    trial.rest()
    table = trial.live.furnishing.panels["lists"].nodes
    circuit = trial.session.circuit
    row, node = next((at, n) for at, n in enumerate(table.held.rows.tolist())
                     if circuit.node_kind[n] == "head")  # fmt: skip
    context(table.viewport(), table.visualRect(table.held.index(row, 0)).center())
    trial.choose(trial.menu("edit_menu"), "Patch from the corrupt prompt")
    (spec,) = trial.session.marks.edits
    place = f"z.{circuit.node_layer[node]}.{circuit.node_head[node]}@{spec.positions[0]}"
    assert f"{spec.site}@{circuit.node_position[node]}" == place


def test_a_file_shows_edits_and_their_effect_without_a_model(trial, tmp_path):
    trial.add(CUT, PUSH)
    trial.panel.write_text()
    trial.rest()
    shown, change = trial.shown(), trial.panel.effect.change.text()
    text = trial.panel.writing.with_edits.toPlainText()
    path = save_session(tmp_path / "edited.h5", trial.session)
    model = trial.desk.workspace.model
    trial.desk.workspace.set_model(None)
    trial.live.runner.ask(OpenSession(path))
    trial.rest()
    try:
        assert trial.session.marks.edits == (CUT, PUSH)
        assert [row.text.text() for row in trial.rows] == list(trial.session.edited.edits)
        assert trial.panel.effect.change.text() == change
        assert trial.panel.writing.with_edits.toPlainText() == text
        read = trial.shown()
        assert read.keys() == shown.keys()
        for token, cells in read.items():
            pairs = zip(cells, shown[token], strict=True)
            assert all(cell in (held, "\N{MIDDLE DOT}") for cell, held in pairs)
        assert not trial.panel.add.isEnabled()
        assert "attach it first" in trial.panel.add.toolTip()
        heatmap = trial.live.furnishing.panels["heatmap"]
        heatmap.side.setCurrentIndex(1)
        heatmap.side.activated.emit(1)
        trial.rest()
        assert "with edits" in heatmap.heading.text()
    finally:
        trial.desk.workspace.set_model(model)


def test_the_graph_marks_edited_nodes_and_writes_what_flows_with_the_edits(trial):
    circuit = trial.live.furnishing.panels["circuit"]
    drawn = circuit.shown
    row = drawn.node_kind.index("head")
    layer, head = int(drawn.node_layer[row]), int(drawn.node_head[row])
    trial.add(EditSpec(f"z.{layer}.{head}", "zero"))
    same = [
        at for at in range(drawn.n_nodes)
        if (drawn.node_layer[at], drawn.node_head[at]) == (layer, head)
    ]  # fmt: skip
    assert [badge.node for badge in circuit.canvas.labels.badges if badge.cross] == same
    assert f"edited {len(same)}" in circuit.legend.entries
    trial.qtbot.waitUntil(lambda: circuit.canvas.drawing.changes is not None, timeout=WAIT)
    edge = int(np.flatnonzero(drawn.edge_source == row)[0])
    weight, change = drawn.edge_weight[edge], circuit.canvas.drawing.change(edge)
    assert abs(change) > 0.5 * abs(weight)
    assert "with edits" in edge_tip(drawn, edge, change)
    trial.desk.book.clear_edits()
    trial.rest()
    assert circuit.canvas.drawing.changes is None
    assert not [badge for badge in circuit.canvas.labels.badges if badge.cross]
    assert "edited-edges" not in trial.session.analyses
