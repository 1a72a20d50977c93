"""The circuit panel, driven by mouse, keyboard and selection."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome.records.analysis import Analysis
from microtome.records.circuit import HEAD, MLP, OUTPUT, TOKEN, EdgeKind
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.requests import ReproducedShare
from microtome_desktop.presenters.circuit import inner_nodes
from microtome_desktop.presenters.circuit_focus import edge_name
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views import colours
from microtome_desktop.views.circuit import CircuitPanel
from microtome_desktop.views.panel import PanelContext

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def asked():
    return []


@pytest.fixture
def context(sample_session, sample_identity, asked):
    workspace = Workspace()
    workspace.set_model(sample_identity)
    workspace.show(sample_session)
    return PanelContext(workspace, Selection(), asked.append)


@pytest.fixture
def panel(qtbot, context):
    made = CircuitPanel(context)
    made.resize(1000, 640)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    qtbot.waitUntil(lambda: made.canvas.drawing is not None and fits(made))
    made.finish_drawing()
    return made


def fits(panel):
    layout, room = panel.canvas.drawing.layout, panel.canvas.room
    return (layout.width, layout.height) == room and panel.canvas.scale == pytest.approx(1, 1e-3)


def circuit(panel):
    return panel.canvas.drawing.circuit


def strongest(panel, kind):
    held = circuit(panel)
    rows = [row for row in range(held.n_nodes) if held.node_kind[row] == kind]
    return max(rows, key=lambda row: float(held.node_influence[row]))


def click(panel, place):
    QTest.mouseClick(panel.canvas.view.viewport(), LEFT, pos=place.toPoint())


def hover(panel, place):
    viewport = panel.canvas.view.viewport()
    QTest.mouseMove(viewport, place.toPoint() + QPoint(7, 7))
    QTest.mouseMove(viewport, place.toPoint())


def free_edge(panel):
    """An edge whose middle is away from all nodes and from all other edges."""
    canvas = panel.canvas
    middles = canvas.drawing.curves.sampled(3)[:, 1]
    lines = canvas.drawing.curves.sampled(60)
    layout = canvas.drawing.layout
    for edge in range(circuit(panel).n_edges):
        x, y = middles[edge]
        others = np.delete(lines, edge, axis=0)
        nodes = np.hypot(layout.x - x, layout.y - y) - layout.diameter / 2
        if nodes.min() > 8 and np.hypot(*(others - (x, y)).transpose(2, 0, 1)).min() > 4:
            return edge
    raise AssertionError("every edge is covered")


def empty_place(panel):
    drawing = panel.canvas.drawing
    return panel.canvas._to_view().map(
        QPointF(drawing.layout.columns[0], drawing.layout.rows[-1] + 5)
    )


# ---------------------------------------------------------------- what is drawn


def test_the_default_view_is_drawn_and_counted(panel, sample_session):
    held = circuit(panel)
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
    assert held.node_label[strongest(panel, HEAD)] in texts


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


def test_every_node_is_painted_in_its_colour(panel):
    panel.context.selection.clear()
    panel.finish_drawing()
    picture = panel.canvas.view.grab().toImage()
    wanted = {TOKEN: colours.TOKEN, HEAD: colours.HEAD, MLP: colours.MLP, OUTPUT: colours.OUTPUT}
    for kind, colour in wanted.items():
        place = panel.canvas.place_of(strongest(panel, kind)).toPoint()
        assert picture.pixelColor(place) == QColor(colour), kind


def test_edges_are_painted_between_their_nodes(panel):
    panel.finish_drawing()
    picture = panel.canvas.view.grab().toImage()
    card = QColor(colours.CARD)
    lit = 0
    for edge in range(circuit(panel).n_edges):
        place = panel.canvas.middle_of(edge).toPoint()
        around = [(dx, dy) for dx in range(-2, 3) for dy in range(-2, 3)]
        seen = [picture.pixelColor(place + QPoint(dx, dy)) for dx, dy in around]
        lit += any(abs(c.red() - card.red()) + abs(c.blue() - card.blue()) > 20 for c in seen)
    assert lit >= 0.95 * circuit(panel).n_edges


# ---------------------------------------------------------------- mouse


def test_a_click_selects_a_node_and_dims_the_rest(panel, context):
    node = strongest(panel, HEAD)
    click(panel, panel.canvas.place_of(node))
    held, selected = circuit(panel), context.selection.current
    assert selected.node == held.node_id[node]
    assert selected.layer == held.node_layer[node]
    assert selected.head == held.node_head[node]
    assert selected.position == held.node_position[node]
    assert panel.canvas.edges.opacity() == colours.DIMMED
    feeding = panel.canvas._focus
    assert panel.canvas.path_edges.n_drawn == feeding.edges.sum() > 0
    assert not feeding.edges[held.edge_source == node].any()
    outside = next(row for row in range(held.n_nodes) if not feeding.nodes[row])
    picture = panel.canvas.view.grab().toImage()
    dimmed = picture.pixelColor(panel.canvas.place_of(outside).toPoint())
    assert dimmed.lightness() < 110
    named = [label.node for label in panel.canvas.labels.labels]
    assert named[0] == node
    assert np.all(np.diff(feeding.nodes[named].astype(int)) <= 0)  # those in focus first


def test_a_click_beside_everything_selects_nothing(panel, context):
    click(panel, panel.canvas.place_of(strongest(panel, HEAD)))
    click(panel, empty_place(panel))
    assert context.selection.current.node is None
    assert panel.canvas.edges.opacity() == 1.0


def test_a_click_selects_an_edge(panel, context):
    edge = free_edge(panel)
    click(panel, panel.canvas.middle_of(edge))
    assert context.selection.current.edge == edge_name(circuit(panel), edge)
    assert panel.canvas._focus.edges[edge]


def test_show_what_it_feeds_adds_the_way_to_the_metric(panel, context):
    click(panel, panel.canvas.place_of(strongest(panel, HEAD)))
    before = panel.canvas.path_edges.n_drawn
    QTest.mouseClick(panel.controls.downstream, LEFT, pos=QPoint(8, 8))
    assert panel.controls.downstream.isChecked()
    assert panel.canvas.path_edges.n_drawn > before
    assert panel.canvas._focus.nodes[circuit(panel).row("OUT")]


def test_the_tool_tip_tells_node_and_edge_in_plain_text(panel, context):
    node = strongest(panel, HEAD)
    hover(panel, panel.canvas.place_of(node))
    tip = panel.canvas.tip
    assert tip.isVisible()
    assert tip.textFormat() == Qt.TextFormat.PlainText
    assert circuit(panel).node_label[node] in tip.text()
    assert "score" in tip.text()
    assert "influence" in tip.text()
    assert context.selection.current.hovered_position == circuit(panel).node_position[node]
    hover(panel, panel.canvas.middle_of(free_edge(panel)))
    assert "weight" in tip.text()
    hover(panel, empty_place(panel))
    assert not tip.isVisible()
    assert context.selection.current.hovered_position is None


def test_tool_tips_stay_inside_the_canvas(panel):
    node = circuit(panel).row("OUT")
    hover(panel, panel.canvas.place_of(node))
    assert panel.canvas.view.viewport().rect().contains(panel.canvas.tip.geometry())


def test_wheel_zooms_at_the_cursor_and_f_fits(panel, qtbot):
    node = strongest(panel, HEAD)
    place = panel.canvas.place_of(node)
    zoom(panel, place, 600)
    assert panel.canvas.scale > 1.5
    moved = panel.canvas.place_of(node) - place
    assert moved.manhattanLength() < 3
    panel.activateWindow()
    qtbot.waitUntil(panel.isActiveWindow)
    panel.canvas.view.setFocus()
    QTest.keyClick(panel.canvas.view, Qt.Key.Key_F)
    assert panel.canvas.scale == pytest.approx(1.0, 0.01)


def zoom(panel, place, delta):
    viewport = panel.canvas.view.viewport()
    event = QWheelEvent(
        place, QPointF(viewport.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, delta),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(viewport, event)


@pytest.mark.parametrize("way", ["button", "double click"])
def test_other_ways_to_fit(panel, way):
    zoom(panel, panel.canvas.place_of(0), 480)
    assert panel.canvas.scale > 1.3
    if way == "button":
        QTest.mouseClick(panel.controls.fit, LEFT)
    else:
        viewport, place = panel.canvas.view.viewport(), QPoint(30, 30)
        QTest.mouseClick(viewport, LEFT, pos=place)
        QTest.mouseDClick(viewport, LEFT, pos=place)  # the second press
        QTest.mouseRelease(viewport, LEFT, pos=place)
    assert panel.canvas.scale == pytest.approx(1.0, 0.01)


def test_crowded_nodes_are_small_at_fit_and_grow_when_zoomed_in(panel, qtbot):
    panel.controls.nodes.setValue(150)
    panel.controls.edges.setValue(100)
    panel.resize(480, 400)
    qtbot.waitUntil(lambda: fits(panel) and circuit(panel).n_nodes > 90)
    layout = panel.canvas.drawing.layout
    assert layout.shrink < 1
    scatter = panel.canvas.nodes._scatters[HEAD]
    before = np.array(scatter.data["size"])
    zoom(panel, panel.canvas.place_of(0), 900)
    grown = np.array(scatter.data["size"]) / before
    np.testing.assert_allclose(grown, 1 / layout.shrink, rtol=0.06)


def test_dragging_pans_without_selecting(panel, context):
    viewport, start = panel.canvas.view.viewport(), QPoint(200, 60)
    before = panel.canvas.place_of(0)
    QTest.mousePress(viewport, LEFT, pos=start)
    for step in range(1, 11):
        QTest.mouseMove(viewport, start + QPoint(6 * step, 4 * step))
    QTest.mouseRelease(viewport, LEFT, pos=start + QPoint(60, 40))
    moved = panel.canvas.place_of(0) - before
    assert moved.x() == pytest.approx(60, abs=12)
    assert moved.y() == pytest.approx(40, abs=12)
    assert context.selection.current.node is None


def test_zooming_keeps_axes_beside_their_columns(panel):
    zoom(panel, panel.canvas.place_of(strongest(panel, HEAD)), 360)
    axis, layout = panel.canvas.token_axis, panel.canvas.drawing.layout
    for index, box in axis.shown():
        column = panel.canvas._to_view().map(QPointF(layout.columns[index], 0)).x()
        assert box.center().x() == pytest.approx(column, abs=1)


def test_axis_names_never_touch_and_the_important_win(panel):
    panel.resize(520, 420)
    shown = panel.canvas.token_axis.shown()
    boxes = sorted((box.left(), box.right()) for _, box in shown)
    assert all(right < left for (_, right), (left, _) in pairwise(boxes))


def test_a_click_on_the_axes_selects_token_and_layer(panel, context):
    axis, layout = panel.canvas.token_axis, panel.canvas.drawing.layout
    QTest.mouseClick(axis, LEFT, pos=QPoint(round(layout.columns[4]), 10))
    assert context.selection.current.position == 4
    QTest.mouseClick(axis, LEFT, pos=QPoint(round(layout.columns[4]), 10))
    assert context.selection.current.position is None
    row = round(panel.canvas.room[1] - layout.rows[3])
    QTest.mouseClick(panel.canvas.layer_axis, LEFT, pos=QPoint(30, row))
    assert context.selection.current.layer == 2


# ---------------------------------------------------------------- selection from elsewhere


def test_the_selection_of_another_panel_is_followed(panel, context):
    node = circuit(panel).node_id[strongest(panel, MLP)]
    context.selection.update(node=node)
    assert panel.canvas._node == circuit(panel).row(node)
    assert panel.canvas.edges.opacity() == colours.DIMMED
    context.selection.update(node="L9H9@9")  # not drawn
    assert panel.canvas.edges.opacity() == 1.0
    context.selection.update(position=2, layer=1)
    assert panel.canvas.token_axis._selected == 2
    assert panel.canvas.layer_axis._selected == 2  # row 0 is the embeddings


def test_a_head_selected_elsewhere_is_ringed_at_every_position(panel, context):
    node = strongest(panel, HEAD)
    held = circuit(panel)
    layer, head = int(held.node_layer[node]), int(held.node_head[node])
    context.selection.update(layer=layer, head=head)
    ringed = {ring.node for ring in panel.canvas.labels._rings}
    assert ringed == set(
        np.flatnonzero((held.node_layer == layer) & (held.node_head == head)).tolist()
    )


# ---------------------------------------------------------------- sliders


def test_sliders_change_how_much_is_drawn(panel, qtbot, sample_session):
    n_edges = circuit(panel).n_edges
    panel.controls.edges.setFocus()
    for _ in range(4):
        QTest.keyClick(panel.controls.edges, Qt.Key.Key_PageUp)
    qtbot.waitUntil(lambda: circuit(panel).n_edges > n_edges)
    assert panel.controls.edge_value.text() == "100 %"
    panel.controls.nodes.setFocus()
    QTest.keyClick(panel.controls.nodes, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: circuit(panel).n_nodes > 90)
    assert str(circuit(panel).n_edges) in panel.legend.drawn
    QTest.keyClick(panel.controls.nodes, Qt.Key.Key_Home)
    qtbot.waitUntil(lambda: len(inner_nodes(circuit(panel))) <= 10)


def test_the_selection_survives_the_sliders(panel, qtbot, context):
    click(panel, panel.canvas.place_of(strongest(panel, HEAD)))
    node = context.selection.current.node
    panel.controls.edges.setValue(95)
    qtbot.waitUntil(lambda: circuit(panel).n_edges > 80)
    assert circuit(panel).node_id[panel.canvas._node] == node
    assert panel.canvas.edges.opacity() == colours.DIMMED


def test_view_state_is_plain_and_comes_back(panel, qtbot, context):
    panel.controls.nodes.setValue(25)
    panel.controls.edges.setValue(60)
    held = panel.view_state()
    assert held == {"nodes": 25, "edge_share": 0.6}
    panel.controls.nodes.setValue(100)
    panel.restore_view(held)
    assert panel.view_state() == held


def test_a_session_brings_its_sliders(panel, qtbot, context, sample_session):
    view = {"circuit": {"nodes": 12, "edge_share": 0.5}, "other": 1}
    context.workspace.show(replace(sample_session, view=view))
    assert panel.view_state() == view["circuit"]
    assert len(inner_nodes(circuit(panel))) <= 12


# ---------------------------------------------------------------- the model


def test_asking_whether_the_nodes_suffice(panel, context, asked):
    QTest.mouseClick(panel.facts.button, LEFT)
    nodes = inner_nodes(circuit(panel))
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


def test_offline_everything_is_drawn_and_nothing_asked(panel, context, asked):
    context.workspace.set_model(None)
    assert not panel.facts.button.isEnabled()
    assert not panel.facts.values_only.isEnabled()
    assert "not loaded" in panel.facts.button.toolTip()
    QTest.mouseClick(panel.facts.button, LEFT)
    assert asked == []
    click(panel, panel.canvas.place_of(strongest(panel, HEAD)))
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
def test_circuits_of_any_size(panel, context, sample_session, kept, qtbot):
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
        click(panel, panel.canvas.place_of(circuit(panel).row("OUT")))
        assert context.selection.current.node == "OUT"


def test_a_new_size_lays_out_anew(panel, qtbot):
    panel.resize(700, 500)
    qtbot.waitUntil(lambda: fits(panel))
    layout = panel.canvas.drawing.layout
    assert layout.x.max() < panel.canvas.room[0] < 700
    panel.resize(1200, 800)
    qtbot.waitUntil(lambda: fits(panel) and panel.canvas.drawing.layout.width > 1000)


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
