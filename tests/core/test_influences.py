"""Pruning by influence keeps what the published rule keeps, however the graph is laid out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import plain_pruning as plain
import pytest

import microtome as mt
from microtome.circuits.influences import Influences, threshold
from microtome.errors import InputError
from microtome.records.circuit import EdgeKind


def graph(seed, layers=5, per_layer=7, tokens=4, outputs=3):
    """Features and errors in layers, all wired at random; heavy tails as real graphs have."""
    random = np.random.default_rng(seed)
    kinds = ["token"] * tokens
    layer = [-1] * tokens
    for at in range(layers):
        kinds += ["feature"] * per_layer + ["error"] * 2
        layer += [at] * (per_layer + 2)
    kinds += ["output"] * outputs
    layer += [layers + 1] * outputs
    n = len(kinds)
    order = random.permutation(n)  # files list their nodes in any order
    kinds, layer = [kinds[i] for i in order], np.array(layer)[order]
    matrix = random.standard_normal((n, n)) ** 3 * (random.random((n, n)) < 0.4)
    matrix *= (layer[:, None] > layer[None]) & np.isin(kinds, ("feature", "output"))[:, None]
    target, source = np.nonzero(matrix)
    probability = np.where(np.array(kinds) == "output", random.random(n), 0.0)
    none, zero = np.full(n, -1, np.int32), np.zeros(n)
    circuit = mt.Circuit(
        tuple(f"n{i}" for i in range(n)), tuple(kinds), layer.astype(np.int32), none, none, none,
        tuple(kinds), zero, probability, zero, source.astype(np.int32), target.astype(np.int32),
        np.full(len(source), EdgeKind.FEATURE, np.int8), matrix[target, source],
        np.zeros(len(source)), {"format": "attribution-graph"},
    )  # fmt: skip
    return circuit, matrix, probability


def as_masks(circuit, edges):
    matrix = np.zeros((circuit.n_nodes, circuit.n_nodes), bool)
    matrix[circuit.edge_target[edges], circuit.edge_source[edges]] = True
    return matrix


@pytest.mark.parametrize("seed", range(6))
def test_both_sliders_keep_what_the_published_rule_keeps(seed):
    circuit, matrix, outputs = graph(seed)
    held = Influences.of(circuit)
    np.testing.assert_allclose(
        held.influence, plain.flowed(plain.scaled(matrix), outputs), rtol=1e-12
    )
    for shares in ((0.8, 0.98), (0.8, 0.5), (0.5, 0.98), (0.3, 0.3), (0.95, 0.999), (0.0, 0.0)):
        nodes, edges = held.kept(*shares)
        wanted = plain.plain_prune(matrix, outputs, circuit.node_kind, *shares)
        assert nodes.tolist() == wanted[0].tolist()
        np.testing.assert_array_equal(as_masks(circuit, edges), wanted[1])
    pruned = mt.prune_by_influence(circuit)
    first = plain.plain_prune(matrix, outputs, circuit.node_kind, 0.8, 0.98)
    assert pruned.node_id == tuple(np.array(circuit.node_id)[first[0]])
    assert pruned.n_edges == first[1].sum() > 0


def test_a_stored_graph_is_pruned_as_the_published_code_prunes_it():
    told = json.loads(Path(__file__).with_name("published_pruning.json").read_text("utf-8"))
    kinds, probability = told["kinds"], np.zeros(len(told["kinds"]))
    probability[np.array(kinds) == "output"] = told["probabilities"]
    source, target, weight = (np.array(column) for column in zip(*told["edges"], strict=True))
    n, m = len(kinds), len(weight)
    none, zero = np.full(n, -1, np.int32), np.zeros(n)
    circuit = mt.Circuit(
        tuple(map(str, range(n))), tuple(kinds), np.array(told["layers"], np.int32), none, none,
        none, tuple(kinds), zero, probability, zero, source.astype(np.int32),
        target.astype(np.int32), np.full(m, EdgeKind.FEATURE, np.int8), weight, np.zeros(m),
        {"format": "attribution-graph"},
    )  # fmt: skip
    for wanted in told["kept"]:
        kept = mt.prune_by_influence(circuit, wanted["node_share"], wanted["edge_share"])
        nodes = [int(name) for name in kept.node_id]
        assert nodes == wanted["nodes"]
        ends = zip(kept.edge_source.tolist(), kept.edge_target.tolist(), strict=True)
        edges = {(nodes[a], nodes[b]) for a, b in ends}
        assert edges == {tuple(edge) for edge in wanted["edges"]}


def test_a_threshold_is_the_least_of_the_largest_that_reach_a_share():
    random = np.random.default_rng(0)
    for scale in (1e-30, 1.0, 1e6):
        values = scale * random.pareto(0.7, 5_000)
        for share in (0.0, 0.1, 0.5, 0.8, 0.98, 0.99999):
            assert threshold(values, share) == plain.least(values, share)
    assert threshold(np.zeros(3), 0.5) == 0.0


def test_graphs_without_an_order_are_refused_and_shown_by_size():
    circuit, *_ = graph(0)
    turned = replace(circuit, metadata={"cyclic": True})
    with pytest.raises(InputError, match="cycles"):
        mt.prune_by_influence(turned)
    for shares in ((7, 0.9), (0.8, -1), (float("nan"), 0.9)):
        with pytest.raises(InputError, match="from 0 to 1"):
            mt.prune_by_influence(circuit, *shares)
    nodes, edges = Influences.of(turned).kept(0.5, 0.5)
    size = np.abs(circuit.edge_weight)
    share = size[edges].sum() / size[nodes[circuit.edge_source] & nodes[circuit.edge_target]].sum()
    assert 0 < edges.sum() < circuit.n_edges
    assert share >= 0.5
    blind = replace(circuit, node_kind=("feature",) * circuit.n_nodes)
    with pytest.raises(InputError, match="no output"):
        mt.prune_by_influence(blind)
