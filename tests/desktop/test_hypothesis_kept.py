"""What the panel Hypothesis says of tests that do not fit, and what it keeps."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from acts import rest, write
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from microtome.prompt_sets import load_prompt_set
from microtome.records.analysis import Labelled
from microtome.records.hypothesis import Arrow, Box, Hypothesis
from microtome.records.marks import Marks
from microtome_desktop.state.hypotheses import TYPED
from microtome_desktop.views.hypothesis_panel import HypothesisPanel

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(bench, qtbot):
    """The panel in front of a window without a model; the session has no hypothesis."""
    bench.desk.workspace.change("marks", marks=Marks())
    bench.window.show_panel("hypothesis")
    rest(bench, qtbot)
    return bench.furnishing.panels["hypothesis"]


def test_an_old_score_is_said_to_be_old_while_a_box_is_wrong(panel, bench, qtbot, sample_scrubbed):
    arrow = Arrow("all", "logits", "logits")
    panel.acts.add(Hypothesis((Box("all", ("input",), "token(at)"),), (arrow,), "one"))
    bench.desk.workspace.add_analysis(sample_scrubbed(panel.acts.shown))
    rest(bench, qtbot)
    assert "before it was changed" not in panel.told.text()
    QTest.mouseClick(panel.canvas, LEFT, pos=panel.canvas.place_of("all"))
    write(panel.form.nodes, "a9.h7")
    assert panel.told.text().startswith("The model has no 'a9.h7'")
    assert panel.told.text().endswith("of the drawing before it was changed")
    assert not panel.run_button.isEnabled()
    write(panel.form.nodes, "input")
    assert "before it was changed" not in panel.told.text()


def test_what_is_set_survives_a_change_of_theme_and_a_save(panel, bench, qtbot):
    """Without a hypothesis too, and prompts that were typed while others are taken."""
    inputs = panel.inputs
    inputs.source.setCurrentIndex(inputs.source.findData(TYPED))
    inputs.text.setPlainText("Mary and John")
    inputs.source.setCurrentIndex(0)
    inputs.seed.setValue(7)
    panel.side.setCurrentIndex(1)
    held = json.loads(json.dumps(panel.view_state()))
    other = HypothesisPanel(bench.furnishing.panels["hypothesis"].context)
    qtbot.addWidget(other)
    other.restore_view(held)
    assert other.view_state() == held
    assert (other.inputs.seed.value(), other.inputs.text.toPlainText()) == (7, "Mary and John")
    assert other.side.currentIndex() == 1
    # A set that is offered later, with its model, is chosen then.
    later = {**held, "asked": {**held["asked"], "source": "a set"}}
    other.restore_view(later)
    assert other.inputs.source.currentData() != "a set"
    other.inputs.offer([replace(load_prompt_set("induction-exact"), name="a set")])
    assert other.inputs.source.currentData() == "a set"
    for wrong in ({"seed": "7"}, {"count": None}, {"draws": 1 << 70}, {"text": 3}):
        other.restore_view({**held, "asked": {**held["asked"], **wrong}, "page": "x", "box": 4})
    assert other.inputs.seed.value() == 7


def test_a_test_that_cannot_be_read_is_left_out_and_said(panel, bench, qtbot, sample_scrubbed):
    of = Hypothesis(
        (Box("all", ("input",), "token(at)"),), (Arrow("all", "logits", "logits"),), "one"
    )
    panel.acts.add(of)
    whole = sample_scrubbed(of)
    for name, changed in (
        ("baseline", np.zeros(5)), ("band", np.zeros(1)), ("scrubbed", np.zeros(2)),
        ("swaps", None),
    ):  # fmt: skip
        arrays = {**whole.arrays}
        held = arrays.pop(name)
        if changed is not None:
            dims = held.dims[: changed.ndim]
            arrays[name] = Labelled(dims, changed)
        bench.desk.workspace.add_analysis(replace(whole, arrays=arrays))
        rest(bench, qtbot)
        assert "cannot be read" in panel.told.text()
        assert panel.score.isHidden()
        assert panel.exported_table()().rows[0][:2] == ("box", "all")
        assert "found = " not in "".join(panel.exported_lines())
    bench.desk.workspace.add_analysis(whole)
    rest(bench, qtbot)
    assert "recovered 0.50" in panel.score.text.text()
