"""Sweeps from the window to the model and back: start, estimate, stop, bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from acts import rest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

import microtome as mt
import microtome_resources as resources
from microtome.prompt_sets import load_prompt_set
from microtome.prompts import Question
from microtome.records.marks import Marks
from microtome.records.sweep import sweep_of
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.sweep_requests import RunSweep
from microtome_desktop.state.edit_writing import ACTION_TITLES
from microtome_desktop.state.sweeps import MODES, Wish, sweeps_in
from microtome_desktop.state.work import Outcome

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
EXAMPLE = resources.START_EXAMPLE
PAIR = Question(EXAMPLE.clean, EXAMPLE.corrupt, EXAMPLE.answer, EXAMPLE.wrong)


@pytest.fixture
def panel(live, qtbot):
    """The panel in front of a live window, on a pair, with nothing swept yet."""
    session = live.desk.workspace.session
    if session is None or session.question != PAIR or session.clean.logits is None:
        live.runner.ask(Examine(PAIR))
        rest(live, qtbot)
        session = live.desk.workspace.session
    left = {one.id for one in sweeps_in(session)}
    held = {name: one for name, one in session.analyses.items() if name not in left}
    live.desk.workspace.show(replace(session, analyses=held, marks=Marks()), dirty=False)
    live.desk.selection.clear()
    live.window.reset_layout()
    made = live.furnishing.panels["patching"]
    made.asking.controls.show_wish(Wish(PAIR))
    if made.asking.fold.isChecked():  # somebody before has opened the settings by hand
        made.asking.fold.click()
    front(live)
    rest(live, qtbot)
    yield made
    made.asking.controls.show_wish(Wish(PAIR))
    for field in (made.asking.controls.answer, made.asking.controls.wrong):
        field.clear()
    live.desk.workspace.mark_clean()
    rest(live, qtbot)


def front(live):
    live.window.docks["patching"].show()
    live.window.docks["patching"].raise_()


def told(panel, qtbot):
    """The line above the map, once the estimate stands there."""
    asking = panel.asking
    asking.look()
    waits = ("Estimating", "")
    qtbot.waitUntil(lambda: asking.estimate.text() not in waits
                    and not asking.estimate.text().startswith("Estim"), timeout=WAIT)  # fmt: skip
    return asking.estimate.text()


def shown(live):
    (analysis,) = sweeps_in(live.desk.workspace.session)
    return sweep_of(analysis)


def test_the_button_runs_what_was_estimated_and_the_map_is_the_sweep(live, panel, qtbot):
    assert told(panel, qtbot).startswith("60 cells, 44 of them change nothing")
    QTest.mouseClick(panel.asking.run_button, LEFT)
    qtbot.waitUntil(lambda: panel.map.grid is not None, timeout=WAIT)
    rest(live, qtbot)
    sweep = shown(live)
    assert sweep.complete
    assert np.isfinite(sweep.effects).all()
    np.testing.assert_allclose(panel.map.grid.values, sweep.effects)
    # What the corrupt prompt has changed is repaired at its own token first, at the end last.
    at, last = EXAMPLE.clean.split().index("John", 5), sweep.effects.shape[1] - 1
    assert panel.map.grid.cell_of(layer=0, position=at) == (0, at)
    assert sweep.effects[0].argmax() in range(9, 12)
    assert sweep.effects[3].argmax() == last
    assert f"{sweep.corrupt:.4g}".replace("-", "−") in panel.told.text()
    assert panel.asking.controls.isHidden()  # the map has the room


def test_the_same_sweep_comes_from_the_session_at_once(live, panel, qtbot):
    live.window.actions_table.trigger(CommandId.SWEEP)
    rest(live, qtbot)
    count = len(live.desk.work.pieces)
    live.window.actions_table.trigger(CommandId.SWEEP)
    assert len(live.desk.work.pieces) == count
    assert panel.told.text().endswith("made before in this session")
    assert not panel.asking.estimate.text()  # it is on screen
    assert len(sweeps_in(live.desk.workspace.session)) == 1


def test_a_stop_in_the_middle_leaves_what_was_found_and_the_model_unedited(live, panel, qtbot):
    before = live.desk.workspace.session.clean.logits
    wish = Wish(None, what="z at", data="name", count=200)
    live.runner.ask(RunSweep(wish))
    panel.asking.asked = wish
    qtbot.waitUntil(lambda: bool(sweeps_in(live.desk.workspace.session)), timeout=WAIT)
    assert panel.asking.run_button.text() == "Stop"
    QTest.mouseClick(panel.asking.run_button, LEFT)
    assert panel.asking.job is None
    qtbot.waitUntil(lambda: not live.runner.stopping, timeout=1_000)
    rest(live, qtbot)
    assert live.desk.work.pieces[-1].outcome is Outcome.STOPPED
    assert live.desk.notices.history == []
    assert not shown(live).complete
    assert "not finished" in panel.shown.currentText()
    live.runner.ask(Examine(PAIR))
    rest(live, qtbot)
    np.testing.assert_array_equal(live.desk.workspace.session.clean.logits, before)


def test_a_data_set_has_an_interval_under_the_cursor(live, panel, qtbot):
    controls = panel.asking.controls
    sets = live.desk.library.shelf.facts.prompt_sets
    names = next(held for held in sets if held.name == "name")
    controls.data.setCurrentText(names.title)
    controls.count.setValue(6)
    live.window.actions_table.trigger(CommandId.SWEEP)
    rest(live, qtbot)
    sweep = shown(live)
    assert sweep.band is not None
    assert " to " in panel.map.grid.describe(1, 3)
    assert "commonest length" in panel.told.text()
    assert "6 pairs of name" in panel.shown.currentText()


def test_a_prompt_set_can_come_from_a_file(live, panel, qtbot, tmp_path, monkeypatch):
    names = load_prompt_set("name").pairs[:3]
    rows = [{side: getattr(p, side) for side in ("clean", "corrupt", "answer", "wrong")}
            for p in names]  # fmt: skip
    good, bad = tmp_path / "mine.json", tmp_path / "bad.json"
    good.write_text(json.dumps({"title": "My own", "pairs": rows}))
    bad.write_text("{}")
    facts = live.desk.library.shelf.facts
    controls = panel.asking.controls
    for path in (bad, good):
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, path=path: (str(path), ""))
        controls.data.setCurrentText("From a file…")
        rest(live, qtbot)
    assert "no list of pairs" in live.desk.notices.history[0].as_text
    assert controls.data.currentText() == "My own"
    controls.what.setCurrentText("Head outputs (z)")
    live.window.actions_table.trigger(CommandId.SWEEP)
    rest(live, qtbot)
    assert shown(live).params["examples"] == 3
    assert "3 pairs of mine" in panel.shown.currentText()
    live.desk.library.update(facts=facts)


def test_causal_tracing_of_the_selected_token(live, panel, qtbot):
    live.desk.selection.update(position=2)
    live.window.actions_table.trigger(CommandId.TRACE_CAUSES)
    controls = panel.asking.controls
    assert (controls.row.causal, controls.span.text()) == (True, "2")
    assert controls.noise.isVisible()
    assert not controls.mode.isVisible()
    controls.samples.setValue(3)
    told(panel, qtbot)
    live.window.actions_table.trigger(CommandId.SWEEP)
    rest(live, qtbot)
    sweep = shown(live)
    assert (sweep.kind, sweep.params["span"], sweep.params["samples"]) == ("resid_post", [2, 3], 3)
    assert panel.prompts._prompts.differing == {2}
    assert "with noise" in panel.told.text()


def test_ablations_are_changes_of_the_metric(live, panel, qtbot):
    controls = panel.asking.controls
    controls.what.setCurrentText("Head outputs (z)")
    controls.mode.setCurrentText(MODES["mean"])
    assert controls.over.isVisible() or controls.isHidden()
    live.window.actions_table.trigger(CommandId.SWEEP)
    rest(live, qtbot)
    sweep = shown(live)
    assert (sweep.mode, sweep.normalised, sweep.params["how"]) == ("ablation", False, "mean")
    assert "change" in panel.map.grid.describe(2, 1)


def test_prompts_of_unequal_length_can_be_aligned(live, panel, qtbot):
    longer = EXAMPLE.clean.replace("went to", "went back to")
    live.desk.draft.update(corrupt=longer)
    rest(live, qtbot)
    problem = told(panel, qtbot)
    assert "align" in problem
    assert not panel.asking.run_button.isEnabled()
    panel.asking._on_fold(True)
    assert panel.asking.controls.align.isVisible()
    QTest.mouseClick(panel.asking.controls.align, LEFT)
    assert "cells" in told(panel, qtbot)
    live.window.actions_table.trigger(CommandId.SWEEP)
    rest(live, qtbot)
    sweep = shown(live)
    assert len(sweep.tokens) == len(sweep.source_tokens) + 1
    assert len(panel.map.grid.columns) == len(sweep.tokens)


@pytest.mark.parametrize(
    ("set_it", "reason"),
    [
        (lambda c: c.answer.setText("xyzzy"), "xyzzy"),
        (lambda c: c.answer.setText("#99999"), "99999"),
        (lambda c: c.show_wish(Wish(PAIR, what="causal")), "Type a span"),
        (lambda c: c.show_wish(Wish(PAIR, what="causal", span=(40, 42))), "span 40 to 42"),
    ],
)
def test_what_cannot_be_swept_is_said_before_the_start(live, panel, qtbot, set_it, reason):
    set_it(panel.asking.controls)
    assert reason in told(panel, qtbot)
    assert not panel.asking.run_button.isEnabled()
    live.window.actions_table.trigger(CommandId.SWEEP)
    assert reason in live.desk.notices.history[-1].as_text
    assert not sweeps_in(live.desk.workspace.session)


def test_without_a_corrupt_prompt_there_is_nothing_to_patch_from(live, panel, qtbot):
    question = replace(PAIR, corrupt=None)
    live.desk.draft.update(corrupt="")
    session = live.desk.workspace.session
    live.desk.workspace.show(replace(session, question=question, uuid="single"), dirty=False)
    rest(live, qtbot)
    assert "no corrupt prompt" in told(panel, qtbot)
    live.desk.workspace.show(session, dirty=False)


def test_a_position_mean_of_an_edit_takes_the_prompts_that_fit(live, panel, qtbot):
    edits, desk = live.furnishing.panels["edits"], live.desk
    live.window.docks["edits"].raise_()
    QTest.mouseClick(edits.add, LEFT)
    edits.form.action.setCurrentText(ACTION_TITLES["position mean"])
    edits.form.site.setText("z.0.3")
    edits.form.positions.clear()  # a place that a test before had selected stands there
    QTest.mouseClick(edits.form.done, LEFT)
    rest(live, qtbot)
    model, tokens = mt.load_model("words-4l"), len(desk.workspace.session.clean.tokens)
    everything = [p.clean for held in desk.library.shelf.facts.prompt_sets for p in held.pairs]
    fits = [prompt for prompt in everything if len(model.tokenize(prompt)) == tokens]
    (spec,) = desk.book.marks.edits
    assert list(spec.prompts) == fits
    assert len(fits) > 20
    told = desk.notices.history[-1].title
    assert told == f"Over {len(fits)} of {len(everything):,} prompts"
    assert desk.trials.problems == {}
    edited = mt.trace(model, PAIR.prompt, edits=[mt.Ablate("z.0.3", "position mean", over=fits)])
    np.testing.assert_allclose(desk.workspace.session.edited.logits, edited.logits, atol=1e-4)
    edits.form.action.setCurrentIndex(0)
    desk.book.mark("Remove all edits", edits=())
    rest(live, qtbot)
