"""The token strip: its numbers against slow versions, and real clicks on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from microtome.records.trace import Activation
from microtome_desktop import palette as colours
from microtome_desktop.presenters.strip import Colouring, strip
from microtome_desktop.state.arrays import Arrays
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.token_strip import mixed


def drawn(session, by, **selected):
    arrays = Arrays()
    arrays.use(session)
    return strip(session, arrays, by, Selected(**selected))


def test_influence_is_that_of_the_embeddings(sample_session):
    circuit = sample_session.circuit
    slow = [0.0] * len(sample_session.clean.tokens)
    for row in range(circuit.n_nodes):
        if circuit.node_kind[row] in ("token", "position"):
            slow[circuit.node_position[row]] += float(circuit.node_influence[row])
    found = drawn(sample_session, Colouring.INFLUENCE)
    assert found.values == pytest.approx(np.array(slow) / max(slow))


def test_predicted_is_the_softmax_of_the_position_before(sample_session):
    clean = sample_session.clean
    slow = []
    for place in range(1, len(clean.tokens)):
        powers = np.exp(clean.logits[place - 1].astype(float))
        slow.append(powers[clean.token_ids[place]] / powers.sum())
    found = drawn(sample_session, Colouring.PREDICTED)
    assert np.isnan(found.values[0])
    assert found.values[1:] == pytest.approx(np.array(slow) / max(slow))


def test_attention_is_the_row_of_the_selected_head(sample_session):
    row = sample_session.clean.attention(2)[1, 9]
    found = drawn(sample_session, Colouring.ATTENTION, layer=2, head=1, position=9)
    assert found.values == pytest.approx(row / row.max())
    assert "L2H1" in found.explanation


def test_norm_is_the_length_after_the_layer(sample_session):
    stream = sample_session.clean.activation("resid_post.1")
    slow = [sum(float(x) ** 2 for x in row) ** 0.5 for row in stream]
    found = drawn(sample_session, Colouring.NORM, layer=1)
    assert found.values == pytest.approx(np.array(slow) / max(slow), rel=1e-5)


def test_pair_marks_the_token_that_differs(sample_session):
    values = drawn(sample_session, Colouring.PAIR).values
    assert [i for i, value in enumerate(values) if value == 1] == [10]


@pytest.mark.parametrize(
    ("by", "change", "words"),
    [
        (Colouring.ATTENTION, {}, "Select a head"),
        (Colouring.INFLUENCE, {"circuit": None}, "No circuit yet"),
        (Colouring.PAIR, {"traces": 1}, "no corrupt prompt"),
        (Colouring.NORM, {"traces": 0}, "holds no resid_post"),
    ],
)
def test_what_is_missing_is_said(sample_session, by, change, words):
    clean = sample_session.clean
    bare = replace(clean, activations={"embed": Activation(np.zeros((1, 1), dtype=np.float32))})
    traces = {0: (bare,), 1: (clean,)}
    changes = {k: traces[v] if k == "traces" else v for k, v in change.items()}
    found = drawn(replace(sample_session, **changes), by)
    assert words in found.explanation
    assert np.isnan(found.values).all()
    assert found.tokens == clean.tokens


def test_a_click_selects_the_position_everywhere(qtbot, bench):
    panel = bench.furnishing.panels["token_strip"]
    place = panel.chips.column_rect(4).center()
    qtbot.mouseClick(panel.chips, Qt.MouseButton.LeftButton, pos=place.toPoint())
    assert bench.desk.selection.current.position == 4
    bench.runner.turns.finish()
    heading = bench.furnishing.panels["ask"].predictions.place.text()
    assert "(4)" in heading


def test_hovering_tells_the_position(qtbot, bench):
    panel = bench.furnishing.panels["token_strip"]
    qtbot.mouseMove(panel.chips, panel.chips.column_rect(2).center().toPoint())
    qtbot.waitUntil(lambda: bench.desk.selection.current.hovered_position == 2)
    qtbot.mouseMove(panel.chips, QPoint(panel.chips.width() - 1, 1))
    qtbot.waitUntil(lambda: bench.desk.selection.current.hovered_position is None)


def test_choosing_a_colouring_redraws(qtbot, bench):
    panel = bench.furnishing.panels["token_strip"]
    before = [chip.fill for chip in panel.chips._rows[0]]
    panel.colour_by.setFocus()
    qtbot.keyClick(panel.colour_by, Qt.Key.Key_Down)
    assert panel.colour_by.currentText() == Colouring.PREDICTED
    assert [chip.fill for chip in panel.chips._rows[0]] != before
    panel.colour_by.setCurrentIndex(0)


@pytest.mark.parametrize("value", [float("nan"), 0.0])
def test_nothing_is_the_plain_fill(value):
    assert mixed(value) == colours.RAISED
    assert mixed(1.0) != mixed(-1.0) != colours.RAISED
