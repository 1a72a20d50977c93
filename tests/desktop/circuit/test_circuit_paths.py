"""Paths that are marked on a circuit: of one prompt by position, of a task without."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from microtome.errors import InputError
from microtome.records.analysis import Labelled
from microtome.records.circuit import OUTPUT
from microtome.records.edges import Edges
from microtome.records.paths import PatchedPaths, paths_analysis
from microtome_desktop.presenters.circuit_paths import marked_path, rows_through, unread_paths


def weights(circuit, nodes):
    """The largest weight of the edges between each node and the next."""
    rows = [circuit.row(node) for node in nodes]
    found = []
    for before, after in pairwise(rows):
        between = (circuit.edge_source == before) & (circuit.edge_target == after)
        found.append(np.abs(circuit.edge_weight[between]).max())
    return found


def test_from_one_node_it_follows_the_largest_weights_to_the_metric(sample_session):
    circuit = sample_session.circuit
    start = next(n for n, k in zip(circuit.node_id, circuit.node_kind, strict=True) if k == "head")
    path, nodes = marked_path(circuit, (start,))
    assert circuit.node_kind[circuit.row(nodes[-1])] == OUTPUT
    for node, weight in zip(nodes, weights(circuit, nodes), strict=False):
        out = circuit.edge_source == circuit.row(node)
        assert weight == np.abs(circuit.edge_weight[out]).max()
    row = circuit.row(start)
    place = circuit.node_layer[row], circuit.node_head[row], circuit.node_position[row]
    assert str(path).startswith("a{}.h{}@{}->".format(*place))
    assert str(path).endswith("->logits")
    # Any order of the clicks, and any part of the way, is the same path.
    assert marked_path(circuit, nodes[::-1])[0] == path


def test_what_is_no_path_says_so(sample_session):
    circuit = sample_session.circuit
    with pytest.raises(InputError, match="metric alone"):
        marked_path(circuit, (circuit.node_id[0],))
    with pytest.raises(InputError, match="not one node"):
        marked_path(circuit, ("group/late",))
    tokens = [n for n, k in zip(circuit.node_id, circuit.node_kind, strict=True) if k == "token"]
    with pytest.raises(InputError, match="no edge of the circuit"):
        marked_path(circuit, tokens[:2])


def test_a_circuit_of_a_task_has_paths_without_positions():
    edges = Edges(2, 2, False)
    scores = np.where(edges.exists, 0.1, np.nan)
    scores[edges.index("a0.h1->a1.h0<k>")] = -3.0
    scores[edges.index("a1.h0->logits")] = 2.0
    circuit = edges.as_circuit(scores, {})
    path, nodes = marked_path(circuit, ("input", "a0.h1"))
    assert nodes == ("input", "a0.h1", "a1.h0", "logits")
    assert str(path) == "input->a0.h1<qkv>->a1.h0<qkv>->logits"
    found = PatchedPaths(
        (str(path), "input->m0->logits"), np.array([0.5, -2.0]), np.array([0.1, -0.4]), None,
        np.zeros((2, 1)), np.ones(1), np.zeros(1), "p", {"id": "paths-1"},
    )  # fmt: skip
    analyses = {"paths-1": paths_analysis(found)}
    assert [row.share for row in rows_through(analyses, circuit, "input")] == [-0.4, 0.1]
    assert [row.path for row in rows_through(analyses, circuit, "a1.h0")] == [str(path)]
    assert unread_paths(analyses) == ""
    # A record of another version, and one that is damaged, take nothing from the others.
    whole = analyses["paths-1"]
    short = {**whole.arrays, "share": Labelled(("path",), np.array([0.1]))}
    lost = {name: one for name, one in whole.arrays.items() if name != "effect"}
    damaged = {
        "short": replace(whole, title="the short", arrays=short),
        "lost": replace(whole, title="the lost", arrays=lost),
    }
    held = rows_through({**damaged, **analyses}, circuit, "input")
    assert [row.share for row in held] == [-0.4, 0.1]
    assert "the short, the lost" in unread_paths({**damaged, **analyses})
