"""While the view moves, edges and nodes are one picture; at rest both are drawn sharp."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome.records.circuit import HEAD
from microtome_desktop.presenters.circuit_focus import Focus

LEFT = Qt.MouseButton.LeftButton


def pixels(canvas):
    """What the canvas shows of its scene, red, green and blue."""
    image = canvas.view.viewport().grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4)
    return rows[:, : image.width(), :3].astype(int)


@pytest.fixture
def canvas(panel):
    """The canvas, with nothing on it but edges and nodes."""
    canvas = panel.canvas
    for layer in (canvas.guides, canvas.labels):
        layer.setVisible(False)
    settle(canvas)
    return canvas


def settle(canvas):
    """Paint for the view as it is, at once."""
    pixels(canvas)
    canvas.finish()
    pixels(canvas)
    assert canvas.edges.settled
    assert not canvas.moving


def moved_by(canvas, x, y):
    """Move the picture by whole pixels, right and down; what it shows at once."""
    scale = canvas.scale
    canvas.box.translateBy(x=-x / scale, y=y / scale)
    return pixels(canvas)


def around(canvas, node, room=9):
    """The pixels near a node."""
    place = canvas.place_of(node).toPoint()
    return np.s_[place.y() - room : place.y() + room, place.x() - room : place.x() + room]


def test_a_pan_moves_nodes_and_edges_together_as_one_picture(canvas, hand, qtbot):
    before = pixels(canvas)
    height, width = before.shape[:2]
    after = moved_by(canvas, 24, 16)
    assert canvas.moving
    # All but what came in at the rim is what was there, nodes and edges alike.
    old, new = before[: height - 16, : width - 24], after[16:, 24:]
    covered = np.zeros(new.shape[:2], bool)
    covered[-130:, -190:] = True  # the overview
    same = np.abs(old - new).max(axis=2) <= 2
    assert same[~covered].mean() > 0.999
    # Nodes are in that picture: other looks given to the scatters are not seen...
    node = hand.strongest(HEAD)
    shown = after[around(canvas, node)]
    for scatter in canvas.nodes._scatters.values():
        scatter.setVisible(False)
    np.testing.assert_array_equal(pixels(canvas)[around(canvas, node)], shown)
    # ...and at rest they are the scatters' alone.
    qtbot.waitUntil(lambda: canvas.edges.settled)
    assert np.abs(pixels(canvas)[around(canvas, node)] - shown).max() > 40
    for scatter in canvas.nodes._scatters.values():
        scatter.setVisible(True)
    assert not canvas.moving
    assert np.abs(pixels(canvas)[around(canvas, node, 4)] - shown[5:13, 5:13]).max() < 60


def test_zooming_magnifies_the_picture_and_rest_is_sharp(canvas, hand, qtbot):
    heads = [row for row, kind in enumerate(hand.circuit.node_kind) if kind == HEAD]
    scatter, node = canvas.nodes._scatters[HEAD], hand.strongest(HEAD)
    place, sizes = canvas.place_of(node), np.array(scatter.data["size"])
    hand.zoom(place, 360)
    pixels(canvas)
    assert canvas.moving
    np.testing.assert_array_equal(scatter.data["size"], sizes)  # no glyph is made on the way
    hand.click(place)  # hits are found where the picture shows the node
    assert canvas._node == node
    qtbot.waitUntil(lambda: canvas.edges.settled)
    pixels(canvas)
    assert not canvas.moving
    natural = canvas.drawing.layout.diameters(canvas.scale)[heads] * 0.88  # squares weigh more
    np.testing.assert_allclose(scatter.data["size"], natural, atol=0.3)


def test_a_focus_is_dimmed_in_the_picture_as_at_rest(canvas, hand):
    circuit = hand.circuit
    edges = np.zeros(circuit.n_edges, bool)
    edges[:2] = True
    nodes = np.zeros(circuit.n_nodes, bool)
    nodes[[*circuit.edge_source[:2], *circuit.edge_target[:2]]] = True
    moved_by(canvas, 8, 8)
    canvas.set_focus(Focus(nodes, edges), None)  # in the midst of a movement
    settle(canvas)
    before = pixels(canvas)
    after = moved_by(canvas, 24, 16)
    assert canvas.moving
    old, new = before[:-16, :-24][:-130], after[16:, 24:][:-130]
    assert (np.abs(old - new).max(axis=2) <= 6).mean() > 0.999


def test_beyond_the_picture_nodes_are_live(canvas, hand, qtbot):
    layout = canvas.drawing.layout
    canvas.show_frame(QRectF(0, 0, layout.width / 4, layout.height / 4))
    settle(canvas)
    node = int(np.argmax(layout.x + layout.y))
    canvas.bring(node)  # far from what was painted
    shown = pixels(canvas)
    assert not canvas.moving
    assert not canvas.edges.settled
    middle = QPointF(*canvas.room) / 2
    assert (canvas.place_of(node) - middle).manhattanLength() < 2
    spot = shown[around(canvas, node, 2)]
    assert np.ptp(spot.reshape(-1, 3), axis=0).max() < 120  # inside a glyph
    assert np.abs(spot.mean(axis=(0, 1)) - shown[2, 2]).max() > 40  # which is not the ground


def test_the_overview_drags_the_picture(canvas, hand, qtbot):
    canvas.zoom(1.4)
    qtbot.waitUntil(lambda: canvas.edges.settled)
    middle = canvas.minimap.rect().center()
    QTest.mouseClick(canvas.minimap, LEFT, pos=middle + QPoint(4, 2))
    pixels(canvas)
    assert canvas.moving
    qtbot.waitUntil(lambda: canvas.edges.settled)
    pixels(canvas)
    assert not canvas.moving


def test_nothing_covers_the_circuit_in_a_low_canvas(panel):
    """As on a screen of 960 by 600 with all panels: what stands around it gives way."""
    canvas, size = panel.canvas, panel.size()
    for height in (100, 160, 420):
        panel.resize(size.width(), height)
        QApplication.processEvents()
        axis, view = canvas.token_axis, canvas.view.geometry()
        assert canvas.rect().contains(view)
        assert axis.isHidden() or not view.intersects(axis.geometry())
        assert axis.isHidden() == (canvas.height() < 80)
        canvas.zoom(3)
        assert canvas.minimap.isVisible() == (view.height() >= 140)
        canvas.fit()
    panel.resize(size)
    QApplication.processEvents()
    assert axis.isVisible()
