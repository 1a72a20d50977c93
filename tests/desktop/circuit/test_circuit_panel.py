"""What the circuit panel draws and asks, for any session and with any model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest

from microtome.records.analysis import Analysis
from microtome.records.circuit import HEAD, MLP, OUTPUT, TOKEN, EdgeKind
from microtome_desktop import palette as colours
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.requests import ReproducedShare
from microtome_desktop.presenters.circuit import inner_nodes
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views.circuit import CircuitPanel
from microtome_desktop.views.panel import PanelContext

LEFT = Qt.MouseButton.LeftButton


# ---------------------------------------------------------------- what is drawn


def test_the_default_view_is_drawn_and_counted(panel, sample_session, hand):
    held = hand.circuit
    assert 10 < held.n_nodes < sample_session.circuit.n_nodes
    drawn, explored = held.n_edges, sample_session.circuit.n_edges
    assert panel.legend.drawn == (
        f"{held.n_nodes} of {sample_session.circuit.n_nodes} nodes   "
        f"{drawn} of {explored} edges drawn"
    )
    assert panel.canvas.edges.n_drawn == drawn
    assert f"head {held.node_kind.count(HEAD)}" in panel.legend.entries
    assert f"key {(held.edge_kind == EdgeKind.KEY).sum()}" in panel.legend.entries
    texts = {panel.canvas.labels.text_of(label.node) for label in panel.canvas.labels.labels}
    assert held.node_label[hand.strongest(HEAD)] in texts


def test_the_metric_and_its_facts_stand_above(panel):
    assert "logit(Mary)" in panel.facts.headline.text()
    assert "+6.2 clean" in panel.facts.headline.text()
    shown = [label.text() for label in panel.facts.facts]
    assert shown == ["cancellation 1.8×", "unexplored 3.1 %", "two-point rule (pair)"]


def test_a_cancelling_metric_is_warned_about(panel, context, sample_session):
    held = replace(
        sample_session.circuit, metadata={**sample_session.circuit.metadata, "cancellation": 9.0}
    )
    context.workspace.change("circuit", circuit=held)
    warning = panel.facts.facts[0]
    assert warning.text() == "⚠ cancellation 9.0×"
    assert colours.WARM in warning.styleSheet()


def test_every_node_is_painted_in_its_colour(panel, hand):
    panel.context.selection.clear()
    panel.finish_drawing()
    picture = panel.canvas.view.grab().toImage()
    wanted = {TOKEN: colours.TOKEN, HEAD: colours.HEAD, MLP: colours.MLP, OUTPUT: colours.OUTPUT}
    for kind, colour in wanted.items():
        place = panel.canvas.place_of(hand.strongest(kind)).toPoint()
        assert picture.pixelColor(place) == QColor(colour), kind


def test_edges_are_painted_between_their_nodes(panel, hand):
    panel.finish_drawing()
    picture = panel.canvas.view.grab().toImage()
    card = QColor(colours.CARD)
    lit = 0
    for edge in range(hand.circuit.n_edges):
        place = panel.canvas.middle_of(edge).toPoint()
        around = [(dx, dy) for dx in range(-2, 3) for dy in range(-2, 3)]
        seen = [picture.pixelColor(place + QPoint(dx, dy)) for dx, dy in around]
        lit += any(abs(c.red() - card.red()) + abs(c.blue() - card.blue()) > 20 for c in seen)
    assert lit >= 0.95 * hand.circuit.n_edges


# ---------------------------------------------------------------- sliders


def test_sliders_change_how_much_is_drawn(panel, qtbot, sample_session, hand):
    n_edges = hand.circuit.n_edges
    panel.controls.edges.setFocus()
    for _ in range(4):
        QTest.keyClick(panel.controls.edges, Qt.Key.Key_PageUp)
    qtbot.waitUntil(lambda: hand.circuit.n_edges > n_edges)
    assert panel.controls.edge_value.text() == "100 %"
    panel.controls.nodes.setFocus()
    QTest.keyClick(panel.controls.nodes, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: hand.circuit.n_nodes > 90)
    assert str(hand.circuit.n_edges) in panel.legend.drawn
    QTest.keyClick(panel.controls.nodes, Qt.Key.Key_Home)
    qtbot.waitUntil(lambda: len(inner_nodes(hand.circuit)) <= 10)


def test_the_selection_survives_the_sliders(panel, qtbot, context, hand):
    hand.click(panel.canvas.place_of(hand.strongest(HEAD)))
    node = context.selection.current.node
    panel.controls.edges.setValue(95)
    qtbot.waitUntil(lambda: hand.circuit.n_edges > 80)
    assert hand.circuit.node_id[panel.canvas._node] == node
    assert panel.canvas.edges.opacity() == colours.DIMMED


def test_view_state_is_plain_and_comes_back(panel, qtbot, context):
    panel.controls.nodes.setValue(25)
    panel.controls.edges.setValue(60)
    held = panel.view_state()
    assert held == {
        "nodes": 25, "edge_share": 0.6, "placing": "by position", "weights": False,
        "downstream": False, "node_influence": 0.8, "edge_influence": 0.98,
            "side": "what changes",
    }  # fmt: skip
    assert json.loads(json.dumps(held)) == held
    panel.controls.nodes.setValue(100)
    panel.restore_view(held)
    assert panel.view_state() == held


def test_a_session_brings_its_sliders(panel, qtbot, context, sample_session, hand):
    view = {"circuit": {"nodes": 12, "edge_share": 0.5}, "other": 1}
    context.workspace.show(replace(sample_session, view=view))
    assert view["circuit"].items() <= panel.view_state().items()
    assert len(inner_nodes(hand.circuit)) <= 12


# ---------------------------------------------------------------- the model


def test_asking_whether_the_nodes_suffice(panel, context, asked, hand):
    QTest.mouseClick(panel.facts.button, LEFT)
    nodes = inner_nodes(hand.circuit)
    assert asked == [ReproducedShare(nodes)]
    params = {"share": 0.97, "nodes": list(nodes), "how": "mean"}
    context.workspace.add_analysis(
        Analysis("reproduced-share", "reproduced-share", "alone", {}, params)
    )
    assert panel.facts.facts[-1].text() == "these nodes alone reproduce 97 %"
    assert not panel.facts.button.isVisible()


def test_values_only_asks_for_another_run(panel, asked, sample_session):
    QTest.mouseClick(panel.facts.values_only, LEFT, pos=QPoint(8, 10))
    (request,) = asked
    assert isinstance(request, Examine)
    assert request.question == replace(sample_session.question, values_only=True)


def test_offline_everything_is_drawn_and_nothing_asked(panel, context, asked, hand):
    context.workspace.set_model(None)
    assert not panel.facts.button.isEnabled()
    assert not panel.facts.values_only.isEnabled()
    assert "not loaded" in panel.facts.button.toolTip()
    QTest.mouseClick(panel.facts.button, LEFT)
    assert asked == []
    hand.click(panel.canvas.place_of(hand.strongest(HEAD)))
    assert context.selection.current.node is not None


# ---------------------------------------------------------------- odd sessions


def test_without_a_session_the_way_to_one_is_told(qtbot):
    panel = CircuitPanel(PanelContext(Workspace(), Selection(), lambda _: None))
    qtbot.addWidget(panel)
    panel.show()
    assert panel.empty.isVisible()
    assert "Run" in panel.empty.advice.text()


def test_circuits_come_and_go(panel, context, sample_session):
    context.workspace.change("circuit", circuit=None)
    assert panel.empty.isVisible()
    context.workspace.change("circuit", circuit=sample_session.circuit)
    assert not panel.empty.isVisible()
    context.workspace.show(None)
    assert panel.empty.isVisible()


@pytest.mark.parametrize("kept", ["OUT", "nothing", "all"])
def test_circuits_of_any_size(panel, context, sample_session, kept, qtbot, hand):
    held = sample_session.circuit
    nodes = {
        "OUT": np.array([name == "OUT" for name in held.node_id]),
        "nothing": np.zeros(held.n_nodes, dtype=bool),
        "all": np.ones(held.n_nodes, dtype=bool),
    }[kept]
    panel.controls.nodes.setValue(150)
    panel.controls.edges.setValue(100)
    small = held.select(nodes, np.ones(held.n_edges, dtype=bool))
    context.workspace.change("circuit", circuit=small)
    panel.finish_drawing()
    panel.grab()
    assert panel.empty.isVisible() == (kept == "nothing")
    if kept != "nothing":
        hand.click(panel.canvas.place_of(hand.circuit.row("OUT")))
        assert context.selection.current.node == "OUT"


def test_a_new_size_lays_out_anew(panel, qtbot, hand):
    panel.resize(700, 500)
    qtbot.waitUntil(hand.fits)
    layout = panel.canvas.drawing.layout
    assert layout.x.max() < panel.canvas.room[0] < 700
    panel.resize(1200, 800)
    qtbot.waitUntil(lambda: hand.fits() and panel.canvas.drawing.layout.width > 1000)


def test_the_panel_fits_a_narrow_window(qtbot, context):
    panel = CircuitPanel(context)
    qtbot.addWidget(panel)
    panel.resize(480, 400)
    panel.show()
    qtbot.waitExposed(panel)
    assert panel.width() == 480
    for part in (*panel.facts.facts, panel.facts.button, *panel.legend._labels):
        right = part.mapTo(panel, QPoint(part.width(), 0)).x()
        assert right <= 480
        assert part.width() >= part.sizeHint().width()  # nothing is clipped
