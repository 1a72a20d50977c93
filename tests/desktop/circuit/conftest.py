"""Shared by the tests of canvas and card: circuits of any size, a hand on the mouse."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome.records.circuit import HEAD, MLP, OUTPUT, POSITION, TOKEN, Circuit, component_id
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views.circuit import CircuitPanel
from microtome_desktop.views.panel import PanelContext

LEFT = Qt.MouseButton.LeftButton
DEPTH = {TOKEN: -1, POSITION: -1, HEAD: 0, MLP: 1}


def make_circuit(n_nodes, n_edges, tokens=15, layers=4, heads=4, seed=0) -> Circuit:
    """Any nodes and edges a component graph may have, crowded toward the last position."""
    draw_from = np.random.default_rng(seed)
    rows = {(OUTPUT, layers, tokens - 1, -1): None}
    while len(rows) < n_nodes:
        kind = str(draw_from.choice([TOKEN, POSITION, HEAD, HEAD, HEAD, MLP]))
        layer = -1 if kind in (TOKEN, POSITION) else int(draw_from.integers(layers))
        position = int(tokens * draw_from.random() ** 0.4)
        head = int(draw_from.integers(heads)) if kind == HEAD else -1
        rows[kind, layer, min(position, tokens - 1), head] = None
    rows = list(rows)
    depth = np.array([2 * row[1] + DEPTH.get(row[0], 0) for row in rows])
    position = np.array([row[2] for row in rows])
    edges = {}
    for _ in range(40 * n_edges):
        if len(edges) == n_edges:
            break
        source, target = draw_from.integers(n_nodes, size=2)
        if depth[source] >= depth[target] or position[source] > position[target]:
            continue
        kind = {OUTPUT: 4, MLP: 3}.get(rows[target][0], int(draw_from.integers(3)))
        edges[int(source), int(target), kind] = draw_from.standard_normal() ** 3
    ends = np.array(list(edges), dtype=np.int32).reshape(-1, 3)
    influence = draw_from.pareto(1.5, n_nodes).clip(0, 1).astype(np.float32)
    weight = np.array(list(edges.values()), dtype=np.float32)
    return Circuit(
        tuple(component_id(*row) for row in rows), tuple(row[0] for row in rows),
        *(np.array(column, dtype=np.int32) for column in list(zip(*rows, strict=True))[1:]),
        np.full(n_nodes, -1, np.int32), tuple(f"{row[0]}{row[1]}" for row in rows),
        draw_from.standard_normal(n_nodes).astype(np.float32), influence,
        np.zeros(n_nodes, np.float32), *ends.T, weight, np.abs(weight),
        {"tokens": [f"tok{i}" for i in range(tokens)], "n_layers": layers},
    )  # fmt: skip


@pytest.fixture(scope="session")
def random_circuit():
    return make_circuit


CROWDS = [(300, 1100, 15, 12, 12), (300, 900, 64, 12, 12), (60, 150, 7, 4, 4), (1, 0, 3, 2, 2)]


@pytest.fixture(params=CROWDS, ids=["crowded", "long", "small", "alone"])
def crowd(request):
    return make_circuit(*request.param)


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
    qtbot.waitUntil(lambda: made.canvas.drawing is not None and Hand(made).fits())
    made.finish_drawing()
    return made


@pytest.fixture
def hand(panel):
    return Hand(panel)


class Hand:
    """Finds places on a circuit panel and puts the mouse there."""

    def __init__(self, panel: CircuitPanel) -> None:
        self._canvas = panel.canvas

    @property
    def circuit(self) -> Circuit:
        return self._canvas.drawing.circuit

    def fits(self):
        layout, canvas = self._canvas.drawing.layout, self._canvas
        fills = (layout.width, layout.height) == canvas.room
        return fills and canvas.scale == pytest.approx(1, 1e-3)

    def strongest(self, kind):
        held = self.circuit
        rows = [row for row in range(held.n_nodes) if held.node_kind[row] == kind]
        return max(rows, key=lambda row: float(held.node_influence[row]))

    def free_edge(self):
        """An edge whose middle is away from all nodes and from all other edges."""
        drawing = self._canvas.drawing
        middles, lines = drawing.curves.sampled(3)[:, 1], drawing.curves.sampled(60)
        layout = drawing.layout
        for edge in range(self.circuit.n_edges):
            x, y = middles[edge]
            others = np.delete(lines, edge, axis=0)
            nodes = np.hypot(layout.x - x, layout.y - y) - layout.diameter / 2
            if nodes.min() > 8 and np.hypot(*(others - (x, y)).transpose(2, 0, 1)).min() > 4:
                return edge
        raise AssertionError("every edge is covered")

    def empty_place(self):
        layout = self._canvas.drawing.layout
        return self._canvas._to_view().map(QPointF(layout.columns[0], layout.rows[-1] + 5))

    def click(self, place):
        QTest.mouseClick(self._canvas.view.viewport(), LEFT, pos=place.toPoint())

    def hover(self, place):
        viewport = self._canvas.view.viewport()
        QTest.mouseMove(viewport, place.toPoint() + QPoint(7, 7))
        QTest.mouseMove(viewport, place.toPoint())

    def zoom(self, place, delta):
        viewport = self._canvas.view.viewport()
        event = QWheelEvent(
            place, QPointF(viewport.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, delta),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(viewport, event)
