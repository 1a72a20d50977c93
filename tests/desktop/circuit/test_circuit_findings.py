"""Focus, labels, hits and words of the circuit panel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from microtome.records.circuit import HEAD, MLP, OUTPUT, TOKEN
from microtome_desktop.presenters import circuit_text as text
from microtome_desktop.presenters.circuit import View, draw, edge_names, pruned, selection_of
from microtome_desktop.presenters.circuit_focus import edge_row, focus_of
from microtome_desktop.presenters.circuit_hits import HitIndex
from microtome_desktop.presenters.circuit_labels import LABEL_LIMIT, label_order, place_labels
from microtome_desktop.presenters.circuit_layout import lay_out
from microtome_desktop.state.selection import Selected

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


def test_focus_is_all_that_feeds_the_selected_node(random_circuit):
    circuit = random_circuit(80, 160)
    for node in range(0, 80, 7):
        focus = focus_of(circuit, Selected(node=circuit.node_id[node]))
        nodes, edges = slow_upstream(circuit, node)
        assert set(np.flatnonzero(focus.nodes)) == nodes
        assert set(np.flatnonzero(focus.edges)) == edges


def test_focus_with_what_it_feeds_contains_the_way_to_the_metric(random_circuit):
    circuit = random_circuit(80, 160)
    into_output = int(circuit.edge_source[np.flatnonzero(circuit.edge_target == 0)[0]])
    selected = Selected(node=circuit.node_id[into_output])
    assert not focus_of(circuit, selected).nodes[0]
    assert focus_of(circuit, selected, downstream=True).nodes[0]


def test_focus_of_an_edge_is_what_feeds_it(random_circuit):
    circuit = random_circuit(80, 160)
    name = edge_names(circuit)[5]
    focus = focus_of(circuit, Selected(edge=name))
    nodes, edges = slow_upstream(circuit, int(circuit.edge_source[5]))
    assert set(np.flatnonzero(focus.edges)) == edges | {5}
    assert set(np.flatnonzero(focus.nodes)) == nodes | {int(circuit.edge_target[5])}
    assert edge_row(circuit, name) == 5
    assert edge_row(circuit, (name[0], name[1], 99)) is None


def test_nothing_is_dimmed_without_a_drawn_selection(random_circuit):
    circuit = random_circuit(20, 40)
    assert focus_of(circuit, Selected()) is None
    assert focus_of(circuit, Selected(node="L99H9@9")) is None


# ---------------------------------------------------------------- labels and hits


def test_labels_cover_neither_nodes_nor_each_other(crowd):
    layout = lay_out(crowd, 1000, 600)
    centres = np.stack([layout.x, layout.y], axis=1)
    radii = layout.diameter / 2
    order = label_order(crowd, None, None)
    labels = place_labels(order, centres, radii, lambda _: 40.0, 15.0, (1000, 600))
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


def test_the_strongest_are_named_first_and_embeddings_by_the_axis(random_circuit):
    circuit = random_circuit(80, 160)
    order = label_order(circuit, None, None)
    assert (np.diff(circuit.node_influence[order]) <= 0).all()
    assert {circuit.node_kind[node] for node in order} == {HEAD, MLP, OUTPUT}
    token = circuit.node_kind.index(TOKEN)
    assert label_order(circuit, None, token)[0] == token  # the selected one always


def test_hits_agree_with_looking_at_everything(random_circuit):
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


def test_hits_of_an_empty_drawing(random_circuit):
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


def test_warnings_name_what_is_wrong(sample_session, random_circuit):
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


def test_a_pair_without_a_difference_is_told_so_and_no_share_is_made_up(random_circuit):
    held = random_circuit(5, 0)
    held.metadata.update(cancellation=None, unexplored=None, rule="two-point")
    found = text.facts(held)
    assert [fact.text for fact in found] == ["nothing to explain", "two-point rule (pair)"]
    assert found[0].warning


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
