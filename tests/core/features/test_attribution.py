"""Attribution graphs against automatic differentiation, and what they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from plain_attribution import PlainGraph, random_set

from microtome.activations.capture import trace
from microtome.circuits.attribution import explore
from microtome.circuits.attribution.changes import FeatureChange, changes_of
from microtome.circuits.attribution.graph import attribution_graph
from microtome.circuits.attribution.intervening import feature_intervention
from microtome.circuits.attribution.rising import carried_to
from microtome.interventions.edits import Steer
from microtome.records.circuit import FEATURE, OUTPUT
from microtome.sites import Site

IDS = (3, 5, 7, 11, 2, 9)
# A family for each kind of transcoder: serial with learned positions, grouped heads with a gate
# and a skip, norms on branches with a soft cap, parallel branches, norms on the stream, an
# unembedding with a bias.
KINDS = (
    ("gpt2", {}),
    ("llama", {"skip": True, "rule": "gated"}),
    ("gemma2", {"crosses": True, "reads": "resid_mid", "skip": True}),
    ("gpt_neox", {"rule": "relu", "skip": True, "silent": 0}),
    ("opt_post_norm", {"crosses": True, "skip": True}),
    ("phi", {}),
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


def test_interventions_on_the_frozen_model_move_what_the_graph_says(made: tuple) -> None:
    model, transcoders, circuit = made
    kinds, matrix = np.array(circuit.node_kind), dense(circuit)
    features = np.flatnonzero(kinds == FEATURE)
    early = features[circuit.node_layer[features] == 0]
    late = features[circuit.node_layer[features] == 1]
    nodes = [early[0], early[-1], late[-1]]
    changes = changes_of(circuit, [circuit.node_id[node] for node in nodes], "scale", 3.0)
    found = feature_intervention(model, transcoders, IDS, changes)
    wanted = matrix[:, nodes].sum(1) * 2.0  # three times as much: twice its effect more
    at = {key: row for row, key in enumerate(places(found))}
    for node in features:
        row = at[circuit.node_layer[node], circuit.node_position[node], circuit.node_feature[node]]
        moved = found.after[row] - found.before[row]
        expected = 2 * circuit.node_score[node] if node in nodes else wanted[node]
        assert abs(moved - expected) < 1e-4 * max(1, abs(expected))
    assert np.abs(wanted[features]).max() > 0.01
    outputs, cap = np.flatnonzero(kinds == OUTPUT), model.anatomy.soft_cap
    ends = [found.logits_before.astype(float), found.logits_after.astype(float)]
    before, after = (end if cap is None else cap * np.arctanh(end / cap) for end in ends)
    moved = (after - before - (after - before).mean())[circuit.node_feature[outputs]]
    np.testing.assert_allclose(moved, wanted[outputs], atol=1e-4)


def places(found: Any) -> list[tuple[int, int, int]]:
    """Layer, position and number of each feature."""
    return list(
        zip(found.layer.tolist(), found.position.tolist(), found.feature.tolist(), strict=True)
    )


def test_a_free_intervention_is_an_edit_of_the_mlps_outputs(made: tuple) -> None:
    model, transcoders, _ = made
    change = FeatureChange(1, 5, "set", 4.0, positions=(2, -1))
    found = feature_intervention(model, transcoders, IDS, [change], mode="free")
    site = Site.of(transcoders.layers[1].identity.reads)
    codes = transcoders.encode(
        1, torch.from_numpy(trace(model, IDS, sites=[site]).activation(site))
    )
    edits = []
    for to in range(1, 3 if transcoders.crosses else 2):
        direction = transcoders.decoder(1)[5, to - 1].numpy()
        edits += [
            Steer(f"mlp_out.{to}", direction, 4.0 - float(codes[at, 5]), positions=[at])
            for at in (2, 5)
        ]
    logits = trace(model, IDS, edits=edits, sites=[]).logits[-1]
    np.testing.assert_allclose(found.logits_after, logits, atol=1e-4)
    assert np.abs(found.logits_after - found.logits_before).max() > 1e-2
    rows = {key: row for row, key in enumerate(places(found))}
    assert found.after[rows[1, 2, 5]] == pytest.approx(4.0)
    assert abs(sum(p for _, p, _ in found.predictions)) <= 1


def test_the_graph_of_a_changed_run_sums_to_what_its_model_says(made: tuple) -> None:
    model, transcoders, _ = made
    changes = [FeatureChange(0, 5, "set", 2.0), FeatureChange(1, 7, "steer", 1.5, (-1,))]
    circuit = attribution_graph(model, transcoders, IDS, changes=changes)
    free = feature_intervention(model, transcoders, IDS, changes, mode="free")
    sums = np.bincount(circuit.edge_target, circuit.edge_weight, circuit.n_nodes)
    kinds = np.array(circuit.node_kind)
    own = np.isin(kinds, (FEATURE, OUTPUT))
    assert np.abs(sums + circuit.node_bias - circuit.node_score)[own].max() < 1e-4
    rows = {key: row for row, key in enumerate(places(free))}
    columns = (circuit.node_layer, circuit.node_position, circuit.node_feature)
    for node in np.flatnonzero(kinds == FEATURE):
        row = rows[tuple(int(column[node]) for column in columns)]
        assert circuit.node_score[node] == pytest.approx(free.after[row], abs=1e-4)
    given = [node for node in circuit.node_id if node.startswith("0_5_")]
    assert len(given) == len(IDS) - transcoders.silent
    assert not np.isin(circuit.edge_target, [circuit.row(node) for node in given]).any()
    after = softmax(free.logits_after)
    outputs = kinds == OUTPUT
    np.testing.assert_allclose(
        circuit.node_influence[outputs], after[circuit.node_feature[outputs]], rtol=1e-3
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(float) - logits.max())
    return powers / powers.sum()


def test_sources_that_rise_meet_targets_where_they_would_have_come(
    made: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, transcoders, circuit = made
    found = []
    for layer in (1, 2):
        monkeypatch.setattr(explore, "risen", lambda held, *_, at=layer: carried_to(held, at))
        found.append(dense(attribution_graph(model, transcoders, IDS)))
    monkeypatch.setattr(explore, "risen", lambda *_: None)
    plain = dense(attribution_graph(model, transcoders, IDS))
    largest = np.abs(plain).max()
    assert max(np.abs(one - plain).max() for one in (*found, dense(circuit))) <= 1e-5 * largest
