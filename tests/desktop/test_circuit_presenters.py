"""What the canvas draws, as numbers: places, curves, focus, labels, hits, words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from microtome.records.circuit import HEAD, MLP, OUTPUT, POSITION, TOKEN, Circuit, component_id
from microtome_desktop.presenters import circuit_text as text
from microtome_desktop.presenters.circuit import View, draw, edge_names, pruned, selection_of
from microtome_desktop.presenters.circuit_curves import LEVELS, curves, strength_levels
from microtome_desktop.presenters.circuit_focus import edge_row, focus_of
from microtome_desktop.presenters.circuit_hits import HitIndex
from microtome_desktop.presenters.circuit_labels import LABEL_LIMIT, label_order, place_labels
from microtome_desktop.presenters.circuit_layout import lay_out, level, swarm
from microtome_desktop.state.selection import Selected

DEPTH = {TOKEN: -1, POSITION: -1, HEAD: 0, MLP: 1}


def random_circuit(n_nodes, n_edges, tokens=15, layers=4, heads=4, seed=0) -> Circuit:
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


CROWDS = [(300, 1100, 15, 12, 12), (300, 900, 64, 12, 12), (60, 150, 7, 4, 4), (1, 0, 3, 2, 2)]


@pytest.fixture(params=CROWDS, ids=["crowded", "long", "small", "alone"])
def crowd(request):
    return random_circuit(*request.param)


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


def test_position_runs_right_and_layer_up():
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


def test_area_follows_influence():
    circuit = random_circuit(40, 80)
    diameter = lay_out(circuit, 900, 500).diameter[1:]
    influence = circuit.node_influence[1:]
    least = diameter.min()
    grown = (diameter - least) / (diameter.max() - least)
    np.testing.assert_allclose(
        grown**2 - (grown**2).min(), (influence - influence.min()) / influence.max(), atol=0.2
    )
    assert (np.diff(diameter[np.argsort(influence)]) >= 0).all()


def test_shrunken_nodes_grow_to_their_natural_size_when_zoomed_in():
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


def test_curves_run_from_source_to_target():
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


def test_curves_leave_upward_and_arrive_from_below():
    drawing = draw(random_circuit(60, 150), 900, 500)
    points = drawing.curves.points
    assert (points[:, 1, 1] > points[:, 0, 1] - 10).all()
    assert (points[:, 2, 1] < points[:, 3, 1] + 10).all()


def test_keys_arrive_from_the_left_and_queries_from_the_right():
    drawing = draw(random_circuit(80, 300), 900, 500)
    found = drawing.curves
    side = found.points[:, 2, 0] - found.points[:, 3, 0]
    across = np.abs(found.points[:, 3, 0] - found.points[:, 0, 0]) > 200  # no detour in these
    assert side[across & (found.kind == 2)].mean() < side[across & (found.kind == 0)].mean() - 10
    assert side[across & (found.kind == 1)].mean() > side[across & (found.kind == 0)].mean() + 10


def test_edges_of_one_pair_run_side_by_side():
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


def test_sixteen_pens_whose_level_grows_with_weight():
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


# ---------------------------------------------------------------- focus


def slow_upstream(circuit, node):
    """Walk back from a node, edge by edge."""
    nodes, edges, todo = {node}, set(), [node]
    while todo:
        here = todo.pop()
        for edge in range(circuit.n_edges):
            if circuit.edge_target[edge] == here:
                edges.add(edge)
                source = int(circuit.edge_source[edge])
                if source not in nodes:
                    nodes.add(source)
                    todo.append(source)
    return nodes, edges


def test_focus_is_all_that_feeds_the_selected_node():
    circuit = random_circuit(80, 160)
    for node in range(0, 80, 7):
        focus = focus_of(circuit, Selected(node=circuit.node_id[node]))
        nodes, edges = slow_upstream(circuit, node)
        assert set(np.flatnonzero(focus.nodes)) == nodes
        assert set(np.flatnonzero(focus.edges)) == edges


def test_focus_with_what_it_feeds_contains_the_way_to_the_metric():
    circuit = random_circuit(80, 160)
    into_output = int(circuit.edge_source[np.flatnonzero(circuit.edge_target == 0)[0]])
    selected = Selected(node=circuit.node_id[into_output])
    assert not focus_of(circuit, selected).nodes[0]
    assert focus_of(circuit, selected, downstream=True).nodes[0]


def test_focus_of_an_edge_is_what_feeds_it():
    circuit = random_circuit(80, 160)
    name = edge_names(circuit)[5]
    focus = focus_of(circuit, Selected(edge=name))
    nodes, edges = slow_upstream(circuit, int(circuit.edge_source[5]))
    assert set(np.flatnonzero(focus.edges)) == edges | {5}
    assert set(np.flatnonzero(focus.nodes)) == nodes | {int(circuit.edge_target[5])}
    assert edge_row(circuit, name) == 5
    assert edge_row(circuit, (name[0], name[1], 99)) is None


def test_nothing_is_dimmed_without_a_drawn_selection():
    circuit = random_circuit(20, 40)
    assert focus_of(circuit, Selected()) is None
    assert focus_of(circuit, Selected(node="L99H9@9")) is None


# ---------------------------------------------------------------- labels and hits


def test_labels_cover_neither_nodes_nor_each_other(crowd):
    layout = lay_out(crowd, 1000, 600)
    centres = np.stack([layout.x, layout.y], axis=1)
    radii = layout.diameter / 2
    order = label_order(crowd, None, None)
    labels = place_labels(order, centres, radii, np.full(crowd.n_nodes, 40.0), 15.0, (1000, 600))
    assert 0 < len(labels) <= LABEL_LIMIT
    boxes = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in labels]
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= 1000
        assert y1 <= 600
        for a0, b0, a1, b1 in boxes[:i]:
            assert x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0
        nearest = np.hypot(
            np.maximum(np.maximum(x0 - layout.x, layout.x - x1), 0),
            np.maximum(np.maximum(y0 - layout.y, layout.y - y1), 0),
        )
        assert (nearest >= radii).all()


def test_the_strongest_are_named_first_and_embeddings_by_the_axis():
    circuit = random_circuit(80, 160)
    order = label_order(circuit, None, None)
    assert (np.diff(circuit.node_influence[order]) <= 0).all()
    assert {circuit.node_kind[node] for node in order} == {HEAD, MLP, OUTPUT}
    token = circuit.node_kind.index(TOKEN)
    assert label_order(circuit, None, token)[0] == token  # the selected one always


def test_hits_agree_with_looking_at_everything():
    circuit = random_circuit(80, 200)
    drawing = draw(circuit, 900, 500)
    index = HitIndex(drawing.layout, drawing.curves, circuit.n_edges)
    lines = drawing.curves.sampled(1000)
    layout, draw_from = drawing.layout, np.random.default_rng(0)
    found = 0
    for x, y in draw_from.uniform((0, 0), (900, 500), (100, 2)):
        rim = np.hypot(layout.x - x, layout.y - y) - layout.diameter / 2
        expected = int(np.argmin(rim)) if rim.min() <= 4 else None
        assert index.node_at(x, y) == expected
        apart = np.hypot(*(lines - (x, y)).transpose(2, 0, 1)).min(axis=1)
        edge = index.edge_at(x, y)
        if edge is None:
            assert apart.min() > 4.5  # the slack is 5, less what coarse sampling may add
        else:
            assert apart[edge] <= apart.min() + 0.5
            assert apart[edge] <= 5.5
            found += 1
    assert found > 15


def test_hits_of_an_empty_drawing():
    drawing = draw(random_circuit(1, 0), 300, 200)
    index = HitIndex(drawing.layout, drawing.curves, 0)
    assert index.edge_at(10, 10) is None
    assert index.node_at(drawing.layout.x[0], drawing.layout.y[0]) == 0


# ---------------------------------------------------------------- pruning and words


def test_pruned_nodes_and_edges_keep_the_numbers_of_the_whole_circuit(sample_session):
    explored = sample_session.circuit
    drawn = pruned(explored, View(20, 0.5))
    assert 1 < drawn.n_nodes < explored.n_nodes
    for row, name in enumerate(drawn.node_id):
        assert drawn.node_influence[row] == explored.node_influence[explored.row(name)]
    names = edge_names(explored)
    for row, name in enumerate(edge_names(drawn)):
        assert drawn.edge_influence[row] == explored.edge_influence[names.index(name)]
        assert drawn.edge_weight[row] == explored.edge_weight[names.index(name)]


def test_a_click_selects_the_place_of_a_node(sample_session):
    circuit = sample_session.circuit
    head = circuit.node_kind.index(HEAD)
    assert selection_of(circuit, head) == {
        "node": circuit.node_id[head],
        "position": int(circuit.node_position[head]),
        "layer": int(circuit.node_layer[head]),
        "head": int(circuit.node_head[head]),
    }
    token = circuit.node_kind.index(TOKEN)
    assert selection_of(circuit, token)["layer"] is None
    assert selection_of(circuit, circuit.row("OUT"))["layer"] is None


def test_warnings_name_what_is_wrong(sample_session):
    held = sample_session.circuit
    facts = {fact.text: fact.warning for fact in text.facts(held)}
    assert facts["cancellation 1.8×"] is False
    held = random_circuit(5, 0)
    held.metadata.update(cancellation=5.1, unexplored=0.004, rule="single")
    found = text.facts(held)
    assert [fact.text for fact in found] == [
        "cancellation 5.1×",
        "unexplored 0.4 %",
        "single prompt",
    ]
    assert found[0].warning
    assert "name an answer" in found[0].tip


def test_the_reproduced_share_is_told_for_the_drawn_nodes_only(sample_session):
    analysis = sample_session.analyses["reproduced-share"]
    nodes = tuple(analysis.params["nodes"])
    assert text.reproduced_text(analysis, nodes).text == "these nodes alone reproduce 92 %"
    assert text.reproduced_text(analysis, nodes[1:]) is None
    assert text.reproduced_text(None, nodes) is None
    unknown = replace(analysis, params={**analysis.params, "share": None})
    assert text.reproduced_text(unknown, nodes).text == "nothing to reproduce"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (1.23456, "+1.23"), (-0.00012, "−0.00012"), (12345.6, "+12346"), (-15.2, "−15.2")],
)
def test_numbers_carry_their_sign(value, expected):
    assert text.signed(value) == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, "50 %"), (0.031, "3.1 %"), (0.0004, "0.04 %"), (0, "0 %")]
)
def test_small_shares_are_told_finer(share, expected):
    assert text.percent(share) == expected
