"""Attribution graphs against automatic differentiation, and what they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from plain_attribution import PlainGraph, random_set

from microtome.circuits.attribution.graph import attribution_graph
from microtome.records.circuit import FEATURE, OUTPUT

IDS = (3, 5, 7, 11, 2, 9)
# A family for each kind of transcoder: serial with learned positions, grouped heads with a gate
# and a skip, norms on branches with a soft cap, parallel branches, norms on the stream.
KINDS = (
    ("gpt2", {}),
    ("llama", {"skip": True, "rule": "gated"}),
    ("gemma2", {"crosses": True, "reads": "resid_mid", "skip": True}),
    ("gpt_neox", {"rule": "relu", "skip": True, "silent": 0}),
    ("opt_post_norm", {"crosses": True, "skip": True}),
)


def dense(circuit: Any) -> np.ndarray:
    """Edges as a matrix [target, source]."""
    matrix = np.zeros((circuit.n_nodes, circuit.n_nodes))
    matrix[circuit.edge_target, circuit.edge_source] = circuit.edge_weight
    return matrix


@pytest.fixture(scope="module", params=KINDS, ids=[name for name, _ in KINDS])
def made(request: pytest.FixtureRequest, tiny_model: Callable) -> tuple:
    """A model, its transcoders and the graph of a prompt."""
    name, settings = request.param
    model = tiny_model(name)
    transcoders = random_set(model, **settings)
    return model, transcoders, attribution_graph(model, transcoders, IDS)


def test_edges_are_derivatives(made: tuple, plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, transcoders, circuit = made
    scale = plain.scale
    monkeypatch.setattr(plain, "scale", lambda x, n: scale(x, n).detach())
    graph, matrix = PlainGraph(plain, model, transcoders, circuit), dense(circuit)
    targets = np.array(sorted(graph.targets))
    kinds = np.array(circuit.node_kind)
    assert (np.isin(kinds, (FEATURE, OUTPUT)).nonzero()[0] == targets).all()
    some = np.concatenate([targets[:: len(targets) // 16], targets[kinds[targets] == OUTPUT]])
    rows = np.array([graph.row(node) for node in some])
    assert np.abs(matrix[some] - rows).max() <= 1e-5 * np.abs(rows).max()
    features = kinds == FEATURE
    np.testing.assert_allclose(circuit.node_score[features], graph.activation[features], rtol=1e-4)


def test_what_comes_in_is_what_a_feature_is(made: tuple) -> None:
    circuit = made[2]
    sums = np.bincount(circuit.edge_target, circuit.edge_weight, circuit.n_nodes)
    kinds = np.array(circuit.node_kind)
    for kind in (FEATURE, OUTPUT):
        own = kinds == kind
        assert own.any()
        assert np.abs(sums + circuit.node_bias - circuit.node_score)[own].max() < 1e-4
        assert np.abs(circuit.node_bias[own]).max() > 1e-2
