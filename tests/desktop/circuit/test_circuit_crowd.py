"""Twenty thousand nodes: glyphs, labels, the path in focus and the lists keep the window free."""

from __future__ import annotations

import numpy as np
import pytest

from microtome_desktop.presenters.circuit import draw
from microtome_desktop.presenters.circuit_curves import Curves, curve_boxes
from microtome_desktop.presenters.circuit_focus import edge_name, edge_row
from microtome_desktop.presenters.circuit_labels import place_labels
from microtome_desktop.views.circuit_canvas import CircuitCanvas
from microtome_desktop.views.edge_layer import EdgeLayer
from microtome_desktop.views.lists_panel import ListsPanel


@pytest.fixture
def crowd(random_circuit):
    return random_circuit(60, 300)


@pytest.fixture
def canvas(qtbot):
    made = CircuitCanvas()
    qtbot.addWidget(made)
    made.resize(700, 500)
    with qtbot.waitExposed(made):
        made.show()
    return made


def test_every_point_has_the_glyph_of_its_own_look(canvas, crowd):
    """Glyphs are looked up once for each look; each point must still get its own."""
    canvas.show_drawing(draw(crowd, *canvas.room))
    bright = np.zeros(crowd.n_nodes, bool)
    bright[::3] = True
    canvas.nodes.set_focus(bright)
    scatters = [held for held in canvas.nodes._scatters.values() if len(held.data)]
    assert scatters
    for scatter in scatters:
        columns = zip(
            *(scatter.data[name] for name in ("size", "pen", "brush", "sourceRect")), strict=True
        )
        for size, pen, brush, place in columns:
            (wanted,) = scatter.fragmentAtlas[[(scatter.opts["symbol"], size, pen, brush)]]
            assert tuple(place) == tuple(wanted)


def test_a_label_is_measured_only_where_one_may_stand():
    rng = np.random.default_rng(0)
    centres, radii = rng.uniform(0, 3000, (5_000, 2)), np.full(5_000, 4.0)
    asked = []
    labels = place_labels(
        np.arange(5_000),
        centres,
        radii,
        lambda node: asked.append(node) or 40.0,
        15.0,
        (3000, 3000),
    )
    assert 0 < len(labels) <= len(asked) <= 240
    for label in labels:
        x = np.clip(centres[:, 0], label.x, label.x + label.width)
        y = np.clip(centres[:, 1], label.y, label.y + label.height)
        assert (np.maximum(abs(centres[:, 0] - x), abs(centres[:, 1] - y)) >= 4.0).all()


def test_a_long_path_is_painted_in_slices(qtbot, canvas, crowd):
    drawing = draw(crowd, *canvas.room)
    many = np.resize(np.arange(crowd.n_edges), 20_000)
    curves = Curves(*(getattr(drawing.curves, name)[many] for name in
                      ("points", "level", "hue", "kind")), np.arange(20_000))  # fmt: skip
    canvas.show_drawing(drawing)
    path = canvas.path_edges
    path.set_curves(curves, canvas.edges.boundingRect())
    canvas.view.viewport().repaint()
    assert not path.settled  # the event loop has its turn before all is painted
    qtbot.waitUntil(lambda: path.settled, timeout=20_000)
    assert path.n_drawn == 20_000
    assert isinstance(path, EdgeLayer)


def test_boxes_hold_their_curves(crowd):
    points = draw(crowd, 700, 500).curves.points
    wanted = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    np.testing.assert_array_equal(curve_boxes(points), wanted)


def test_an_edge_is_found_among_parallel_ones(crowd):
    for row in range(0, crowd.n_edges, 7):
        found = edge_row(crowd, edge_name(crowd, row))
        assert edge_name(crowd, found) == edge_name(crowd, row)


def test_lists_of_a_large_circuit_are_sorted_by_a_worker(qtbot, bench, monkeypatch):
    monkeypatch.setattr("microtome_desktop.views.lists_panel.is_large", lambda _: True)
    panel: ListsPanel = bench.furnishing.panels["lists"]
    bench.window.docks["lists"].raise_()
    qtbot.waitUntil(panel.isVisible)
    circuit = bench.desk.workspace.session.circuit
    panel._stale = True
    asked = []
    ask = bench.runner.ask
    monkeypatch.setattr(bench.runner, "ask", lambda request: asked.append(request) or ask(request))
    panel._fill()
    assert "listed" in panel.count.text()
    assert [request.title for request in asked] == ["Listing nodes and edges"]
    qtbot.waitUntil(lambda: len(panel.edges.held.rows) == circuit.n_edges, timeout=20_000)
    assert panel.count.text() == f"{circuit.n_nodes:,} of {circuit.n_nodes:,}"
