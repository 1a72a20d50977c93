"""The circuit panel by mouse and keyboard, and following the selection."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from acts import to_front
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from microtome.records.circuit import HEAD, MLP
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_focus import edge_name

LEFT = Qt.MouseButton.LeftButton


# ---------------------------------------------------------------- mouse


def test_a_click_selects_a_node_and_dims_the_rest(panel, context, hand):
    node = hand.strongest(HEAD)
    hand.click(panel.canvas.place_of(node))
    held, selected = hand.circuit, context.selection.current
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
    panel.finish_drawing()
    named = [label.node for label in panel.canvas.labels.labels]
    assert named[0] == node
    assert np.all(np.diff(feeding.nodes[named].astype(int)) <= 0)  # those in focus first


def test_a_click_beside_everything_selects_nothing(panel, context, hand):
    hand.click(panel.canvas.place_of(hand.strongest(HEAD)))
    hand.click(hand.empty_place())
    assert context.selection.current.node is None
    assert panel.canvas.edges.opacity() == 1.0


def test_a_click_selects_an_edge(panel, context, hand):
    edge = hand.free_edge()
    hand.click(panel.canvas.middle_of(edge))
    assert context.selection.current.edge == edge_name(hand.circuit, edge)
    assert panel.canvas._focus.edges[edge]


def test_show_what_it_feeds_adds_the_way_to_the_metric(panel, context, hand):
    hand.click(panel.canvas.place_of(hand.strongest(HEAD)))
    before = panel.canvas.path_edges.n_drawn
    QTest.mouseClick(panel.controls.downstream, LEFT, pos=QPoint(8, 8))
    assert panel.controls.downstream.isChecked()
    assert panel.canvas.path_edges.n_drawn > before
    assert panel.canvas._focus.nodes[hand.circuit.row("OUT")]


def test_the_tool_tip_tells_node_and_edge_in_plain_text(panel, context, hand):
    node = hand.strongest(HEAD)
    hand.hover(panel.canvas.place_of(node))
    tip = panel.canvas.tip
    assert tip.isVisible()
    assert tip.textFormat() == Qt.TextFormat.PlainText
    assert hand.circuit.node_label[node] in tip.text()
    assert "score" in tip.text()
    assert "influence" in tip.text()
    assert context.selection.current.hovered_position == hand.circuit.node_position[node]
    hand.hover(panel.canvas.middle_of(hand.free_edge()))
    assert "weight" in tip.text()
    hand.hover(hand.empty_place())
    assert not tip.isVisible()
    assert context.selection.current.hovered_position is None


def test_tool_tips_stay_inside_the_canvas(panel, hand):
    node = hand.circuit.row("OUT")
    hand.hover(panel.canvas.place_of(node))
    assert panel.canvas.view.viewport().rect().contains(panel.canvas.tip.geometry())


def test_wheel_zooms_at_the_cursor_and_f_fits(panel, qtbot, hand):
    node = hand.strongest(HEAD)
    place = panel.canvas.place_of(node)
    hand.zoom(place, 600)
    assert panel.canvas.scale > 1.5
    moved = panel.canvas.place_of(node) - place
    # A wheel tells whole pixels: half a one each way, magnified by the zoom.
    assert moved.manhattanLength() < panel.canvas.scale
    to_front(panel)
    qtbot.waitUntil(panel.isActiveWindow)
    panel.canvas.view.setFocus()
    QTest.keyClick(panel.canvas.view, Qt.Key.Key_F)
    assert panel.canvas.scale == pytest.approx(1.0, 0.01)


@pytest.mark.parametrize("way", ["button", "double click"])
def test_other_ways_to_fit(panel, way, hand):
    hand.zoom(panel.canvas.place_of(0), 480)
    assert panel.canvas.scale > 1.3
    if way == "button":
        QTest.mouseClick(panel.controls.fit, LEFT)
    else:
        viewport, place = panel.canvas.view.viewport(), QPoint(30, 30)
        QTest.mouseClick(viewport, LEFT, pos=place)
        QTest.mouseDClick(viewport, LEFT, pos=place)  # the second press
        QTest.mouseRelease(viewport, LEFT, pos=place)
    assert panel.canvas.scale == pytest.approx(1.0, 0.01)


def test_crowded_nodes_are_small_at_fit_and_grow_when_zoomed_in(panel, qtbot, hand):
    panel.controls.nodes.setValue(150)
    panel.controls.edges.setValue(100)
    panel.resize(480, 400)
    qtbot.waitUntil(lambda: hand.fits() and hand.circuit.n_nodes > 90)
    layout = panel.canvas.drawing.layout
    assert layout.shrink < 1
    scatter = panel.canvas.nodes._scatters[HEAD]
    before = np.array(scatter.data["size"])
    hand.zoom(panel.canvas.place_of(0), 900)
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


def test_zooming_keeps_axes_beside_their_columns(panel, hand):
    hand.zoom(panel.canvas.place_of(hand.strongest(HEAD)), 360)
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


def test_the_selection_of_another_panel_is_followed(panel, context, hand):
    node = hand.circuit.node_id[hand.strongest(MLP)]
    context.selection.update(node=node)
    assert panel.canvas._node == hand.circuit.row(node)
    assert panel.canvas.edges.opacity() == colours.DIMMED
    context.selection.update(node="L9H9@9")  # not drawn
    assert panel.canvas.edges.opacity() == 1.0
    context.selection.update(position=2, layer=1)
    assert panel.canvas.token_axis._selected == 2
    assert panel.canvas.layer_axis._selected == 2  # row 0 is the embeddings


def test_a_head_selected_elsewhere_is_ringed_at_every_position(panel, context, hand):
    node = hand.strongest(HEAD)
    held = hand.circuit
    layer, head = int(held.node_layer[node]), int(held.node_head[node])
    context.selection.update(layer=layer, head=head)
    ringed = {ring.node for ring in panel.canvas.labels._rings}
    assert ringed == set(
        np.flatnonzero((held.node_layer == layer) & (held.node_head == head)).tolist()
    )


# ---------------------------------------------------------------- walking by keys


def press(panel, key):
    QTest.keyClick(panel.canvas.view.viewport(), key)


def test_arrow_keys_walk_along_the_strongest_edges(panel, context, hand, qtbot):
    to_front(panel.window())
    qtbot.waitUntil(panel.window().isActiveWindow)
    hand.click(panel.canvas.place_of(hand.strongest(HEAD)))
    held = hand.circuit
    for key, here, there in (
        (Qt.Key.Key_Up, held.edge_source, held.edge_target),
        (Qt.Key.Key_Down, held.edge_target, held.edge_source),
    ):
        node = held.row(context.selection.current.node)
        edges = [e for e in range(held.n_edges) if here[e] == node]
        strongest = max(edges, key=lambda e: held.edge_influence[e])
        press(panel, key)
        assert context.selection.current.node == held.node_id[there[strongest]]
    press(panel, Qt.Key.Key_Home)
    assert context.selection.current.node == "OUT"
    press(panel, Qt.Key.Key_Up)  # nothing lies above
    assert context.selection.current.node == "OUT"


def test_left_and_right_go_through_the_nodes_of_a_layer(panel, context, hand, qtbot):
    to_front(panel.window())
    qtbot.waitUntil(panel.window().isActiveWindow)
    held = hand.circuit
    start = hand.strongest(HEAD)
    hand.click(panel.canvas.place_of(start))
    seen = [start]
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
        while True:
            press(panel, key)
            node = held.row(context.selection.current.node)
            if node == seen[-1]:
                break
            before, after = held.node_position[seen[-1]], held.node_position[node]
            assert after <= before if key == Qt.Key.Key_Left else after >= before
            seen.append(node)
    layer = {n for n in range(held.n_nodes) if held.node_layer[n] == held.node_layer[start]}
    assert set(seen) == {n for n in layer if held.node_kind[n] != "output"}


def test_without_a_selection_every_key_leads_to_the_metric(panel, context, hand, qtbot):
    to_front(panel.window())
    qtbot.waitUntil(panel.window().isActiveWindow)
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Left):
        hand.click(hand.empty_place())
        press(panel, key)
        assert context.selection.current.node == "OUT"
