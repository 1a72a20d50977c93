"""Every command of the menus Space and Run, taken by its keys or from its menu.

``PROMISES`` has a check for each, as in test_every_command.py. A command without one fails.
Those of suites are in test_suite_commands.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome.records.sweep import sweep_of
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.image_rows import IMAGE_COMMANDS
from microtome_desktop.commands.suite_rows import SUITE_COMMANDS
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.requests import ProjectSite
from microtome_desktop.presenters.point_groups import rows_in
from microtome_desktop.state.discoveries import Search
from microtome_desktop.state.sweeps import Wish, sweeps_in
from microtome_desktop.state.work import Outcome
from microtome_desktop.views import space_player
from microtome_desktop.views.discovery_middle import Page
from microtome_desktop.views.space_picking import Tool

_ID = CommandId
MENUS = ("Space", "Run", "Experiments")
LEFT = Qt.MouseButton.LeftButton


# ---------------------------------------------------------------- the feature space


def space(hand):
    """The panel, with points of the run in it."""
    panel = hand.panels["feature_space"]
    hand.until(lambda: panel.drawing is not None)
    return panel


def around(places, room=3):
    """The corners of a box around the points on screen that lie first."""
    (left, top), (right, bottom) = places.min(axis=0) - room, places.max(axis=0) + room
    ways = (left, top), (right, top), (right, bottom), (left, bottom)
    return [QPoint(round(x), round(y)) for x, y in ways]


def inner(panel, count=5):
    """The points nearest to the middle of the drawing: row numbers."""
    size, places = panel.view.surface().size(), panel.view.screen_places()
    away = np.hypot(*(places - (size.width() / 2, size.height() / 2)).T)
    return np.argsort(away)[:count]


def catches(wanted, tool, corners):
    """A drag past these corners of a box catches what lies in it; Esc drops the tool."""

    def check(hand):
        panel = space(hand)
        hand.do(wanted)
        assert panel.grid.tool is tool
        assert [name for name, button in panel.bar.tools.items() if button.isChecked()] == [tool]
        rows, surface = inner(panel), panel.view.surface()
        path = [around(panel.view.screen_places()[rows])[at] for at in corners]
        QTest.mousePress(surface, LEFT, pos=path[0])
        for corner in path[1:]:
            QTest.mouseMove(surface, corner)
        QTest.mouseRelease(surface, LEFT, pos=path[-1])
        hand.name("middle")
        (group,) = hand.marks.point_groups
        assert group.name == "middle"
        assert set(rows.tolist()) <= set(rows_in(panel.drawing, group).tolist())
        assert len(group.points) < len(panel.drawing.points)
        drops(hand, panel, wanted)

    return check


def drops(hand, panel, wanted):
    """The command again lays the tool down, and so does Esc."""
    hand.do(wanted)
    assert panel.grid.tool is Tool.TURN
    hand.do(wanted)
    assert panel.grid.tool is not Tool.TURN
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    assert panel.grid.tool is Tool.TURN
    assert not any(button.isChecked() for button in panel.bar.tools.values())


def play_the_layers(hand):
    panel = space(hand)
    hand.patch.setattr(space_player, "_WAY_SECONDS", 0.02)
    before, last = panel.drawing, hand.session.model.n_layers - 1
    hand.take(_ID.PLAY_LAYERS)
    assert panel.walk.player.playing
    hand.until(lambda: not panel.walk.player.playing)
    assert panel.active.name == f"resid_post.{last}"
    assert panel.bar.layers.value() == last
    assert panel.drawing is not before
    assert panel.drawing.points.shape == before.points.shape
    assert not np.allclose(panel.drawing.points, before.points)
    hand.take(_ID.PLAY_LAYERS)
    assert panel.walk.player.playing
    hand.take(_ID.PLAY_LAYERS)
    assert not panel.walk.player.playing


def site_beside(hand):
    panel = space(hand)
    before = list(panel.panes)
    hand.bench.runner.ask(ProjectSite("mlp_out.1"))
    hand.rest()
    hand.do(_ID.SITE_BESIDE)
    first, second = panel.panes
    assert [first] == before
    hand.until(second.isVisible)  # it is laid out a turn later
    assert second is panel.active
    assert (first.name, second.name) == ("resid_post.2", "mlp_out.1")
    hand.until(lambda: second.drawing is not None)
    assert not np.array_equal(second.drawing.points, first.drawing.points)
    QTest.mouseClick(second.close_button, LEFT)
    assert panel.panes == before
    a_site_of_its_own(hand, panel)


def a_site_of_its_own(hand, panel):
    """Where only one site was projected, the new view offers to project its neighbour."""
    (found,) = (key for key in hand.session.analyses if key.endswith("projection/resid_post.2"))
    alone = {found: hand.session.analyses[found]}
    hand.desk.workspace.show(replace(hand.session, analyses=alone), dirty=False)
    hand.rest()
    hand.do(_ID.SITE_BESIDE)
    first, second = panel.panes
    hand.until(second.isVisible)
    assert (first.name, second.name) == ("resid_post.2", "resid_post.3")
    assert first.drawing is not None
    assert second.drawing is None
    assert "not projected" in second.caption.text()
    QTest.mouseClick(second.compute, LEFT)
    hand.until(lambda: second.drawing is not None)
    assert not np.array_equal(second.drawing.points, first.drawing.points)
    QTest.mouseClick(second.close_button, LEFT)


# ---------------------------------------------------------------- running


def run(hand):
    before = hand.session.uuid
    hand.do(_ID.RUN)
    assert hand.session.uuid != before
    assert hand.session.question == hand.desk.draft.text.question()
    assert hand.session.circuit.n_nodes > 5


def stop(hand):
    hand.take(_ID.RUN)
    hand.take(_ID.STOP)
    assert not [each for each in hand.bench.runner.under_way if isinstance(each, Examine)]
    hand.rest()
    assert hand.desk.notices.history == []


def pause(hand):
    before, work = hand.session.uuid, hand.desk.work
    hand.take(_ID.RUN)
    hand.take(_ID.PAUSE)
    (piece,) = (each for each in work.pieces if each.under_way)
    assert piece.outcome is Outcome.PAUSED
    hand.until(lambda: work.find(piece.number).rest)
    assert len(hand.bench.runner.under_way) == 1
    hand.take(_ID.PAUSE)
    assert work.find(piece.number).outcome is Outcome.RUNNING
    hand.rest()
    assert work.find(piece.number).outcome is Outcome.DONE
    assert hand.session.uuid != before


def reproduce(hand):
    hand.desk.workspace.show(replace(hand.session, analyses={}), dirty=False)
    hand.rest()
    hand.do(_ID.REPRODUCE)
    assert 0.5 < hand.session.analyses["reproduced-share"].params["share"] < 1.5


def edit_the_prompt(hand):
    hand.take(_ID.FOCUS_PROMPT)
    field = QApplication.focusWidget()
    assert field.objectName() == "prompt"
    assert field.textCursor().selectedText() == field.toPlainText()


# ---------------------------------------------------------------- sweeps


def pair_of_prompts(hand):
    """The example with its corrupt prompt on screen; the patching panel as at first."""
    hand.bench.runner.ask(Examine(hand.desk.draft.text.question()))
    hand.rest()
    panel = hand.panels["patching"]
    panel.asking.controls.show_wish(Wish(hand.session.question))
    return panel


def sweep(hand):
    panel = pair_of_prompts(hand)
    hand.do(_ID.SWEEP)
    (found,) = sweeps_in(hand.session)
    assert np.isfinite(sweep_of(found).effects).all()
    assert panel.map.isVisible()
    np.testing.assert_array_equal(panel.map.grid.values, sweep_of(found).effects)


def trace_causes(hand):
    panel = pair_of_prompts(hand)
    hand.desk.selection.update(position=4)
    hand.do(_ID.TRACE_CAUSES)
    assert panel.asking.controls.span.isVisible()
    assert panel.asking.controls.wish().span == (4, 5)
    assert panel.asking.controls.row.causal


def edit_the_cells(hand):
    panel = pair_of_prompts(hand)
    hand.do(_ID.SWEEP)
    panel.map.choose((1, 3), (2, 4))
    hand.do(_ID.SWEEP_EDIT)
    found = [(edit.site, edit.action, edit.positions) for edit in hand.marks.edits]
    assert found == [(f"resid_pre.{layer}", "patch", (3, 4)) for layer in (1, 2)]


def effects_of_heads(hand):
    pair_of_prompts(hand)
    hand.window.docks["lists"].raise_()
    hand.do(_ID.HEAD_EFFECTS)
    table = hand.panels["heads"].table
    assert table.isVisible()
    found = {sweep_of(one).mode: sweep_of(one) for one in sweeps_in(hand.session)}
    shown = {column.name: column.values for column in table.shown.columns}
    np.testing.assert_array_equal(shown["patching"], found["denoising"].effects)
    np.testing.assert_array_equal(shown["ablation"], found["ablation"].effects)
    assert all(np.isfinite(one.effects).all() for one in found.values())
    hand.do(_ID.HEAD_EFFECTS)  # again: nothing is measured twice
    assert "already" in hand.desk.notices.history[-1].as_text
    assert len(sweeps_in(hand.session)) == 2


def discover(hand):
    """One circuit of the example pair, in front."""
    pair_of_prompts(hand)
    panel = hand.panels["discovery"]
    panel.asking.controls.show_search(Search(hand.session.question))
    hand.do(_ID.DISCOVER)
    assert panel.isVisible()
    assert panel.right.front in hand.session.analyses.values()
    assert panel.graph.canvas.drawing.n_edges
    return panel


def measure_size(hand):
    panel = discover(hand)
    panel.right.turn_to(77)
    hand.do(_ID.MEASURE_SIZE)
    assert 77 / 479 in panel.contest.curve(panel.right.front).sizes


def compare_circuits(hand):
    panel = discover(hand)
    panel.asking.controls.show_search(Search(hand.session.question, "eap"))
    hand.do(_ID.DISCOVER)
    hand.do(_ID.COMPARE_CIRCUITS)
    assert panel.middle.compare.table.rowCount() == 1
    assert panel.middle.compare.isVisible()
    panel.middle.show_page(Page.GRAPH)


def judge_circuit(hand):
    panel = discover(hand)
    hand.do(_ID.JUDGE_CIRCUIT)
    assert "Complete" in panel.middle.judge.said.text().replace("Not c", "C")
    panel.middle.show_page(Page.GRAPH)


def known_circuit(hand):
    panel = discover(hand)
    assert hand.dialog(_ID.KNOWN_CIRCUIT) == "Known circuit"
    panel.middle.show_page(Page.GRAPH)


def forget_circuit(hand):
    panel = discover(hand)
    shown, count = panel.shown_id, len(panel.contest.ids)
    hand.do(_ID.FORGET_CIRCUIT)
    hand.until(lambda: len(panel.contest.ids) == count - 1)
    assert shown not in hand.desk.workspace.session.analyses
    hand.desk.book.undo()
    hand.until(lambda: len(panel.contest.ids) == count)


def ablate_outside(hand):
    panel = discover(hand)
    panel.right.turn_to(20)
    hand.do(_ID.ABLATE_OUTSIDE)
    inside = set(panel.graph.canvas.drawing.circuit.node_label)
    sites = {edit.site for edit in hand.marks.edits}
    heads = {f"z.{layer}.{head}" for layer in range(4) for head in range(4)
             if f"L{layer}H{head}" not in inside}  # fmt: skip
    assert sites == heads | {f"mlp_out.{layer}" for layer in range(4) if f"M{layer}" not in inside}
    assert {edit.action for edit in hand.marks.edits} == {"patch"}  # as it was found: resampled
    hand.desk.book.undo()
    assert not hand.marks.edits


def try_the_hypothesis(hand):
    panel = hand.panels["hypothesis"]
    panel.acts.add_induction()
    panel.inputs.count.setValue(6)
    hand.do(_ID.TEST_HYPOTHESIS)
    assert hand.window.centre.front == "hypothesis"
    (found,) = [one for one in hand.session.analyses.values() if one.kind == "causal-scrubbing"]
    assert found.params["hypothesis"] == panel.acts.shown.plain()
    assert panel.score.isVisible()


PROMISES = {
    _ID.LASSO: catches(_ID.LASSO, Tool.LASSO, corners=(0, 1, 2, 3)),
    _ID.BOX: catches(_ID.BOX, Tool.BOX, corners=(0, 2)),
    _ID.PLAY_LAYERS: play_the_layers, _ID.SITE_BESIDE: site_beside,
    _ID.RUN: run, _ID.STOP: stop, _ID.PAUSE: pause, _ID.REPRODUCE: reproduce,
    _ID.FOCUS_PROMPT: edit_the_prompt, _ID.SWEEP: sweep, _ID.TRACE_CAUSES: trace_causes,
    _ID.SWEEP_EDIT: edit_the_cells, _ID.HEAD_EFFECTS: effects_of_heads, _ID.DISCOVER: discover,
    _ID.MEASURE_SIZE: measure_size, _ID.COMPARE_CIRCUITS: compare_circuits,
    _ID.ABLATE_OUTSIDE: ablate_outside, _ID.JUDGE_CIRCUIT: judge_circuit,
    _ID.KNOWN_CIRCUIT: known_circuit,
    _ID.FORGET_CIRCUIT: forget_circuit,
    _ID.TEST_HYPOTHESIS: try_the_hypothesis,
}  # fmt: skip


@pytest.fixture
def tidy(hand):
    """The hand, and a feature space with one view and no tool afterwards."""
    yield hand
    panel = hand.panels["feature_space"]
    panel.walk.stop()
    panel.grid.use_tool(Tool.TURN)
    while len(panel.panes) > 1:
        panel.grid.close_pane(panel.panes[-1])
    hand.bench.runner.cancel_visible()
    hand.rest()


# test_suite_commands.py, test_asking_with_images.py
OTHERS = (*SUITE_COMMANDS, *IMAGE_COMMANDS)


@pytest.mark.parametrize(
    "wanted", [row.id for row in COMMANDS if row.menu in MENUS and row not in OTHERS]
)
def test_a_command_does_what_it_promises(tidy, wanted):
    assert wanted in PROMISES, f"{wanted} has no check: say here what it promises"
    PROMISES[wanted](tidy)
