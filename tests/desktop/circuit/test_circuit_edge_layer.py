"""The edge layer: blits while moving, repaints when still, the strongest on top."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_curves import Curves
from microtome_desktop.views import edge_layer
from microtome_desktop.views.edge_layer import EdgeLayer, edge_pen


def horizontal(heights, weights):
    """Straight lines across the view."""
    points = np.array([[(20, y), (150, y), (250, y), (380, y)] for y in heights], dtype=float)
    weights = np.asarray(weights, dtype=float)
    level = np.minimum(8 * np.abs(weights), 7).astype(int)
    order = np.argsort(-np.abs(weights), kind="stable")
    return Curves(points, level, weights > 0, np.zeros(len(weights), dtype=int), order)


class Scene:
    def __init__(self, qtbot, layer):
        self.view = pg.GraphicsView(background=colours.CARD)
        self.box = pg.ViewBox(lockAspect=True, enableMenu=False, defaultPadding=0)
        self.view.setCentralItem(self.box)
        self.layer = layer
        self.box.addItem(layer, ignoreBounds=True)
        qtbot.addWidget(self.view)
        self.view.resize(400, 300)
        self.view.show()
        qtbot.waitExposed(self.view)
        self.box.setRange(QRectF(0, 0, 400, 300), padding=0)
        self.view.grab()

    def show(self, curves, **kwargs):
        self.layer.set_curves(curves, QRectF(0, 0, 400, 300), **kwargs)

    def colour(self, x, y):
        place = self.view.mapFromScene(self.box.mapViewToScene(pg.Point(x, y)))
        return self.view.grab().toImage().pixelColor(place)


@pytest.fixture
def scene(qtbot):
    return Scene(qtbot, EdgeLayer())


def near(colour, code):
    return abs(colour.hue() - QColor(code).hue()) < 25 and colour.value() > 60


def test_signs_have_their_colours_and_the_strongest_lies_on_top(scene):
    scene.show(horizontal([100, 100], [0.9, -0.8]))  # the same place, opposite signs
    scene.layer.finish()
    assert near(scene.colour(200, 100), colours.EXCITES)
    scene.show(horizontal([100, 100], [0.8, -0.9]))
    scene.layer.finish()
    assert near(scene.colour(200, 100), colours.INHIBITS)


def test_pens_grow_with_level(scene):
    widths = [edge_pen(level, ()).widthF() for level in range(8)]
    alphas = [edge_pen(level, ()).color().alphaF() for level in range(8)]
    assert np.all(np.diff(widths) > 0)
    assert np.all(np.diff(alphas) > 0)
    assert edge_pen(3, ()).isCosmetic()


def test_a_mask_and_a_limit_choose_edges(scene):
    curves = horizontal([50, 100, 150], [0.3, 0.9, 0.6])
    scene.show(curves, edges=np.array([True, False, True]))
    assert scene.layer.n_drawn == 2
    scene.show(curves, limit=1)
    scene.layer.finish()
    assert near(scene.colour(200, 100), colours.EXCITES)
    assert not near(scene.colour(200, 150), colours.EXCITES)


def test_panning_blits_and_then_repaints(scene, qtbot):
    scene.show(horizontal([100], [1.0]))
    scene.layer.finish()
    assert scene.layer.settled
    painted = []
    paint = scene.layer._paint_slice
    scene.layer._paint_slice = lambda *args: (painted.append(1), paint(*args))
    for _ in range(5):
        scene.box.translateBy(y=4)
        assert near(scene.colour(200, 100), colours.EXCITES)  # the old picture, moved along
    assert painted == []
    scene.layer._paint_slice = paint
    qtbot.waitUntil(lambda: scene.layer.settled)
    assert near(scene.colour(200, 100), colours.EXCITES)


def test_zooming_scales_the_picture_then_paints_it_sharp(scene, qtbot):
    scene.show(horizontal([150], [0.5]))
    scene.layer.finish()
    scene.box.scaleBy((0.25, 0.25), center=pg.Point(200, 150))
    assert line_width(scene) > 6  # blurred
    qtbot.waitUntil(lambda: scene.layer.settled)
    assert line_width(scene) <= 4


def line_width(scene):
    image = scene.view.grab().toImage()
    column = [image.pixelColor(200, y) for y in range(image.height())]
    return sum(near(colour, colours.EXCITES) for colour in column)


def test_long_work_is_sliced_strongest_first(scene, qtbot, monkeypatch):
    monkeypatch.setattr(edge_layer, "_SLICE", 0.0)  # one edge a slice
    monkeypatch.setattr(edge_layer, "_PATIENCE", 0.0)  # show every step
    monkeypatch.setattr(EdgeLayer._paint_slice, "__defaults__", (0.0,))
    curves = horizontal([50, 100, 150], [0.3, 0.9, 0.6])
    scene.show(curves)
    scene.layer._paint_slice()
    assert scene.layer._shown.todo == [1, 2, 0]
    assert scene.layer._shown.painted == 1
    assert near(scene.colour(200, 100), colours.EXCITES)
    assert not near(scene.colour(200, 50), colours.EXCITES)
    qtbot.waitUntil(lambda: scene.layer.settled)
    assert near(scene.colour(200, 50), colours.EXCITES)


def test_a_slice_keeps_its_time(scene):
    draw = np.random.default_rng(0)
    curves = horizontal(draw.uniform(0, 300, 3000), draw.uniform(0.1, 1, 3000))
    scene.show(curves)
    scene.layer._paint_slice()
    assert 0 < scene.layer._fresh.painted < 3000 if scene.layer._fresh else False
    scene.layer.finish()
    assert scene.layer.settled


def test_nothing_to_draw(scene):
    scene.show(None)
    assert scene.layer.settled
    scene.layer.finish()
    assert scene.colour(200, 100) == QColor(colours.CARD)
