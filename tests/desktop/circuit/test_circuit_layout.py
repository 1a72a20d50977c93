"""Where nodes lie and how edges run, as numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from microtome.records.circuit import HEAD, MLP, OUTPUT, POSITION, TOKEN
from microtome_desktop.presenters.circuit import Placing, draw
from microtome_desktop.presenters.circuit_compact import lay_out_compact, spaced
from microtome_desktop.presenters.circuit_curves import LEVELS, curves, strength_levels
from microtome_desktop.presenters.circuit_layout import lay_out, level, swarm

# ---------------------------------------------------------------- places


def slow_level(needs, total):
    """The water level by bisection: everything below it is raised to it."""
    low, high = 0.0, total
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(needs, middle).sum() < total else (low, middle)
    return np.maximum(needs, low)


def test_room_is_shared_as_evenly_as_needs_allow():
    draw_from = np.random.default_rng(0)
    for _ in range(50):
        needs = draw_from.exponential(10, draw_from.integers(1, 40))
        total = needs.sum() * draw_from.uniform(1.01, 5)
        np.testing.assert_allclose(
            level(needs, total, np.ones(len(needs))), slow_level(needs, total), atol=1e-6
        )


def test_too_little_room_is_shared_in_proportion():
    np.testing.assert_allclose(level(np.array([30.0, 10.0]), 20.0, np.ones(2)), [15, 5])


@pytest.mark.parametrize("height", [0.0, 20.0, 200.0])
def test_a_swarm_never_overlaps_and_keeps_its_height(height):
    diameters = np.random.default_rng(1).uniform(4, 20, 13)
    places = swarm(diameters, height)
    for i in range(13):
        for j in range(i):
            apart = np.hypot(*(places[i] - places[j]))
            assert apart >= (diameters[i] + diameters[j]) / 2
    assert (np.abs(places[:, 1]) + diameters / 2 <= max(height, diameters.max()) / 2 + 1e-9).all()
    right, left = (places[:, 0] + diameters / 2).max(), (places[:, 0] - diameters / 2).min()
    assert right == pytest.approx(-left)


def test_no_two_nodes_overlap_at_fit(crowd):
    layout = lay_out(crowd, 1000, 600)
    apart = np.hypot(layout.x[:, None] - layout.x, layout.y[:, None] - layout.y)
    touch = (layout.diameter[:, None] + layout.diameter) / 2
    np.fill_diagonal(apart, np.inf)
    cell = 100 * crowd.node_position + crowd.node_layer
    same_cell = cell[:, None] == cell
    assert (apart >= touch - 1e-6)[same_cell].all()


def test_every_node_stays_in_its_column(crowd):
    layout = lay_out(crowd, 1000, 600)
    reach = np.abs(layout.x - layout.columns[crowd.node_position]) + layout.diameter / 2
    assert (reach <= layout.column_widths[crowd.node_position] / 2 + 1e-6).all()


def test_the_layout_fills_the_canvas_and_stays_inside(crowd):
    layout = lay_out(crowd, 1000, 600)
    radius = layout.diameter / 2
    assert (layout.x - radius >= 0).all()
    assert (layout.x + radius <= 1000).all()
    assert (layout.y - radius >= 0).all()
    assert (layout.y + radius <= 600).all()
    assert layout.column_widths.sum() == pytest.approx(1000 - 52)


def test_position_runs_right_and_layer_up(random_circuit):
    circuit = random_circuit(120, 300)
    layout = lay_out(circuit, 900, 500)
    assert (np.diff(layout.columns) > 0).all()
    assert (np.diff(layout.rows) > 0).all()
    for column in range(15):
        here = circuit.node_position == column
        assert (
            np.abs(layout.x[here] - layout.columns[column]) <= layout.column_widths[column]
        ).all()
    kinds = np.array(circuit.node_kind)
    embedded, output = np.isin(kinds, (TOKEN, POSITION)), kinds == OUTPUT
    assert layout.y[embedded].max() < layout.y[~embedded].min()
    assert layout.y[output].min() > layout.y[~output].max()
    for layer in range(4):
        inside = (circuit.node_layer == layer) & ~output
        heads, mlps = layout.y[inside & (kinds == HEAD)], layout.y[inside & (kinds == MLP)]
        assert heads.max() < mlps.min()  # heads are read by the MLP above them


def test_area_follows_influence(random_circuit):
    circuit = random_circuit(40, 80)
    diameter = lay_out(circuit, 900, 500).diameter[1:]
    influence = circuit.node_influence[1:]
    least = diameter.min()
    grown = (diameter - least) / (diameter.max() - least)
    np.testing.assert_allclose(
        grown**2 - (grown**2).min(), (influence - influence.min()) / influence.max(), atol=0.2
    )
    assert (np.diff(diameter[np.argsort(influence)]) >= 0).all()


def test_shrunken_nodes_grow_to_their_natural_size_when_zoomed_in(random_circuit):
    layout = lay_out(random_circuit(300, 0, 64, 12, 12), 500, 300)
    assert layout.shrink < 1
    np.testing.assert_allclose(layout.diameters(1.0), layout.diameter)
    np.testing.assert_allclose(layout.diameters(1e3), layout.diameter / layout.shrink)


# ---------------------------------------------------------------- curves


def slow_bezier(points, t):
    """De Casteljau's construction."""
    while len(points) > 1:
        points = [(1 - t) * a + t * b for a, b in pairwise(points)]
    return points[0]


def test_curves_run_from_source_to_target(random_circuit):
    circuit = random_circuit(60, 150)
    drawing = draw(circuit, 900, 500)
    sampled = drawing.curves.sampled(9)
    for edge in range(circuit.n_edges):
        source, target = circuit.edge_source[edge], circuit.edge_target[edge]
        layout = drawing.layout
        np.testing.assert_allclose(sampled[edge, 0], [layout.x[source], layout.y[source]])
        np.testing.assert_allclose(sampled[edge, -1], [layout.x[target], layout.y[target]])
        np.testing.assert_allclose(
            sampled[edge, 3], slow_bezier(drawing.curves.points[edge], 3 / 8)
        )


def test_curves_leave_upward_and_arrive_from_below(random_circuit):
    drawing = draw(random_circuit(60, 150), 900, 500)
    points = drawing.curves.points
    assert (points[:, 1, 1] > points[:, 0, 1] - 10).all()
    assert (points[:, 2, 1] < points[:, 3, 1] + 10).all()


def test_keys_arrive_from_the_left_and_queries_from_the_right(random_circuit):
    drawing = draw(random_circuit(80, 300), 900, 500)
    found = drawing.curves
    side = found.points[:, 2, 0] - found.points[:, 3, 0]
    across = np.abs(found.points[:, 3, 0] - found.points[:, 0, 0]) > 200  # no detour in these
    assert side[across & (found.kind == 2)].mean() < side[across & (found.kind == 0)].mean() - 10
    assert side[across & (found.kind == 1)].mean() > side[across & (found.kind == 0)].mean() + 10


def test_edges_of_one_pair_run_side_by_side(random_circuit):
    circuit = random_circuit(30, 0)
    head = next(row for row, kind in enumerate(circuit.node_kind) if kind == HEAD)
    elsewhere = circuit.node_position != circuit.node_position[head]
    below = int(np.flatnonzero((circuit.node_layer < 0) & elsewhere)[0])
    bundle = replace(
        circuit,
        edge_source=np.full(3, below, np.int32),
        edge_target=np.full(3, head, np.int32),
        edge_kind=np.array([0, 3, 4], np.int32),  # none of these leans to a side by itself
        edge_weight=np.ones(3, np.float32),
        edge_influence=np.ones(3, np.float32),
    )
    found = curves(bundle, lay_out(bundle, 900, 500)).sampled(3)
    apart = np.hypot(*(found[:, 1, None] - found[:, 1]).transpose(2, 0, 1))
    assert (apart[np.triu_indices(3, 1)] > 4).all()
    np.testing.assert_allclose(found[:, 0], found[[0, 0, 0], 0])  # together at their ends
    straight = (found[0, 1] + found[2, 1]) / 2
    np.testing.assert_allclose(found[1, 1], straight)  # and centred


def test_sixteen_pens_whose_level_grows_with_weight(random_circuit):
    drawing = draw(random_circuit(100, 600), 900, 500)
    found, weight = drawing.curves, drawing.circuit.edge_weight
    assert set(found.pen) <= set(range(2 * LEVELS))
    assert (found.positive == (weight > 0)).all()
    assert (np.diff(found.level[found.order]) <= 0).all()
    assert found.level.max() == LEVELS - 1
    share = np.sqrt(np.abs(weight) / np.abs(weight).max())
    slow = [min(int(8 * value), 7) for value in share]
    np.testing.assert_array_equal(found.level, slow)


def test_levels_of_nothing_and_of_zeros():
    assert strength_levels(np.zeros(0)).tolist() == []
    assert strength_levels(np.zeros(3)).tolist() == [0, 0, 0]


# ---------------------------------------------------------------- compact


@pytest.mark.parametrize("size", [(900, 500), (500, 300)])
def test_the_compact_layout_touches_nothing_and_stays_inside(sample_session, random_circuit, size):
    for circuit in (sample_session.circuit, random_circuit(120, 300)):
        layout = lay_out_compact(circuit, *size)
        assert ((layout.x >= 0) & (layout.x <= size[0])).all()
        assert ((layout.y >= 0) & (layout.y <= size[1])).all()
        rows = {}
        for node in range(circuit.n_nodes):
            rows.setdefault(round(float(layout.y[node]), 3), []).append(node)
        for row in rows.values():
            row.sort(key=lambda node: layout.x[node])
            for left, right in pairwise(row):
                gap = layout.x[right] - layout.x[left]
                assert gap >= (layout.diameter[left] + layout.diameter[right]) / 2 - 1e-6
        for layer in {int(each) for each in circuit.node_layer}:
            assert layer < 0 or layout.row_of(layer) is None or layout.row_layers[
                layout.row_of(layer)
            ] == layer  # fmt: skip


def test_the_compact_layout_shortens_the_edges(sample_session):
    circuit = sample_session.circuit
    spread = {}
    for placing in Placing:
        layout = draw(circuit, 900, 500, placing).layout
        across = layout.x[circuit.edge_source] - layout.x[circuit.edge_target]
        spread[placing] = np.average(np.abs(across), weights=np.abs(circuit.edge_weight))
    assert spread[Placing.COMPACT] < 0.8 * spread[Placing.POSITION]


def test_the_places_of_a_compact_row_are_the_nearest_that_are_apart():
    generator = np.random.default_rng(0)
    for count in (1, 2, 7, 60):
        wanted, needs = generator.random(count) * 100, generator.random(count) * 3
        order = np.argsort(wanted)
        before = np.cumsum(needs[order]) - needs[order] / 2
        free = np.clip(wanted[order] - before, 0, max(100 - needs.sum(), 0))
        best = isotonic_regression(free).x + before
        np.testing.assert_allclose(spaced(wanted, needs, 100)[order], best, atol=1e-9)
