"""Graphs of features asked for in other ways: budgets, fewer features, files, refusals, a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_attribution import random_set
from plain_pruning import flowed, plain_prune, scaled

import microtome as mt
from microtome.circuits.attribution import explore
from microtome.circuits.attribution.changes import FeatureChange, FeatureEdit, changes_of
from microtome.circuits.attribution.estimate import estimate_attribution
from microtome.circuits.attribution.graph import attribution_graph
from microtome.circuits.attribution.intervening import feature_intervention
from microtome.circuits.attribution.walk import walk
from microtome.errors import (
    Cancelled,
    DictionaryError,
    DictionaryMismatch,
    EditError,
    InputError,
    MemoryExceeded,
    ModelError,
    PromptError,
)
from microtome.features.dictionary import Dictionary
from microtome.features.rules import Settings
from microtome.features.transcoders import Transcoders
from microtome.interventions.generation import generate
from microtome.jobs import Job
from microtome.records.circuit import FEATURE

PROMPT = "the keys to the old cabinet near the door"


@pytest.fixture(scope="module")
def words(embedded: Callable) -> Any:
    return embedded("words-4l")


@pytest.fixture(scope="module")
def sets(words: Any) -> Transcoders:
    return random_set(words, rule="relu", d_sae=16, size=0.3)


@pytest.fixture(scope="module")
def whole(words: Any, sets: Transcoders) -> mt.Circuit:
    return attribution_graph(words, sets, PROMPT)


def matrix_of(circuit: mt.Circuit) -> np.ndarray:
    matrix = np.zeros((circuit.n_nodes, circuit.n_nodes))
    matrix[circuit.edge_target, circuit.edge_source] = circuit.edge_weight
    return matrix


def test_influence_scores_and_pruning_are_the_dense_formulas(whole: mt.Circuit) -> None:
    kinds, share = np.array(whole.node_kind), scaled(matrix_of(whole))
    outputs = np.where(kinds == "output", whole.node_influence, 0.0).astype(float)
    influence = flowed(share, outputs)
    inner = kinds != "output"
    np.testing.assert_allclose(whole.node_influence[inner], influence[inner], rtol=1e-4, atol=1e-8)
    through = share * (influence + outputs)[:, None]
    edges = through[whole.edge_target, whole.edge_source]
    np.testing.assert_allclose(whole.edge_influence, edges, rtol=1e-4, atol=1e-9)
    tokens, errors = influence[kinds == "token"].sum(), influence[kinds == "error"].sum()
    replaced = tokens / (tokens + errors)
    assert whole.metadata["replacement_score"] == pytest.approx(replaced, rel=1e-4)
    weight = influence + outputs
    clean = 1 - share[:, kinds == "error"].sum(1)
    completeness = (clean * weight).sum() / weight.sum()
    assert whole.metadata["completeness_score"] == pytest.approx(completeness, rel=1e-4)
    assert whole.metadata["unexplored"] == 0
    pruned = mt.prune_by_influence(whole, 0.6, 0.9)
    nodes, _ = plain_prune(matrix_of(whole), outputs, whole.node_kind, 0.6, 0.9)
    assert set(pruned.node_id) == {whole.node_id[row] for row in np.flatnonzero(nodes)}
    assert 0 < pruned.n_edges < whole.n_edges


def test_a_small_budget_gives_the_same_graph(
    words: Any, sets: Transcoders, whole: mt.Circuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = estimate_attribution(words, sets, PROMPT)
    assert told.fits
    assert told.active_features == whole.metadata["active_features"]
    assert told.nodes >= whole.n_nodes
    parts: list[int] = []

    def counted(held: Any, some: Any, job: Job, below: Any) -> torch.Tensor:
        parts.append(len(some))
        return walk(held, some, job, below)

    monkeypatch.setattr(explore, "walk", counted)
    small = attribution_graph(words, sets, PROMPT, budget=told.rows + 400_000)
    assert len(parts) > 3
    assert small.node_id == whole.node_id
    assert np.abs(matrix_of(small) - matrix_of(whole)).max() < 1e-5
    assert not estimate_attribution(words, sets, PROMPT, budget=360_000).fits
    with pytest.raises(MemoryExceeded) as refused:
        attribution_graph(words, sets, PROMPT, budget=360_000)
    fitting = int(str(refused.value).split("max_feature_nodes=")[1].split(",")[0])
    assert 0 < fitting < told.active_features
    attribution_graph(words, sets, PROMPT, budget=360_000, max_feature_nodes=fitting)
    with pytest.raises(MemoryExceeded, match=f"max_feature_nodes={fitting},"):
        attribution_graph(words, sets, PROMPT, budget=360_000, max_feature_nodes=fitting + 1)
    with pytest.raises(MemoryExceeded, match="or a shorter prompt") as refused:
        attribution_graph(words, sets, PROMPT, budget=1_000)
    assert "max_feature_nodes" not in str(refused.value)


def test_fewer_features_are_those_with_most_influence(
    words: Any, sets: Transcoders, whole: mt.Circuit
) -> None:
    heard: list[mt.Circuit] = []
    job = Job(on_partial=lambda name, value: heard.append(value))
    some = attribution_graph(words, sets, PROMPT, max_feature_nodes=150, job=job)
    kinds = np.array(some.node_kind)
    assert (kinds == FEATURE).sum() == some.metadata["features"] == 150
    assert 0 < some.metadata["unexplored"] < 1
    assert [part.metadata["features"] for part in heard] == [64, 128]
    assert "active features are nodes" in some.metadata["notes"][1]
    row = {node: at for at, node in enumerate(whole.node_id)}
    kept = [row[node] for node in some.node_id]
    np.testing.assert_allclose(
        matrix_of(some), matrix_of(whole)[np.ix_(kept, kept)], rtol=1e-3, atol=1e-5
    )
    # Influence flows through the nodes that are there, and through no others.
    outputs = np.where(kinds == "output", some.node_influence, 0.0).astype(float)
    influence = flowed(scaled(matrix_of(some)), outputs)
    inner = kinds != "output"
    np.testing.assert_allclose(some.node_influence[inner], influence[inner], rtol=1e-4, atol=1e-7)
    targets = np.isin(kinds, (FEATURE, "output"))
    sums = matrix_of(some).sum(1) + some.node_bias - some.node_score
    assert np.abs(sums[targets]).max() < 1e-4
    # Each round takes the best of those that are left; the first follows from the logits alone.
    top = np.abs(matrix_of(whole)[np.array(whole.node_kind) == "output"])
    p = whole.node_influence[np.array(whole.node_kind) == "output"]
    direct = p @ (top / top.sum(1, keepdims=True))
    features = np.flatnonzero(np.array(whole.node_kind) == FEATURE)
    best = features[np.argsort(-direct[features])[:64]]
    assert {whole.node_id[at] for at in best} <= set(heard[0].node_id)


def test_a_graph_is_a_file_of_circuit_tracer(whole: mt.Circuit, tmp_path: Path) -> None:
    pruned = mt.prune_by_influence(whole, 0.7, 0.6)
    mt.write_graph(tmp_path / "graph.json", pruned)
    read = mt.read_graph(tmp_path / "graph.json")
    assert read.node_id == pruned.node_id
    assert read.node_kind == pruned.node_kind
    np.testing.assert_array_equal(read.node_feature[read.node_layer >= 0],
                                  pruned.node_feature[pruned.node_layer >= 0])  # fmt: skip
    np.testing.assert_allclose(read.edge_weight, pruned.edge_weight, rtol=1e-6)
    np.testing.assert_allclose(read.node_score, pruned.node_score)
    np.testing.assert_allclose(read.node_influence, pruned.node_influence, rtol=1e-5)
    assert read.metadata["replacement_score"] == whole.metadata["replacement_score"]
    held = json.loads((tmp_path / "graph.json").read_text())
    feature = next(n for n in held["nodes"] if n["feature_type"] == "cross layer transcoder")
    row = pruned.row(feature["node_id"])
    assert feature["activation"] == pytest.approx(float(pruned.node_score[row]))
    logits = [node for node in held["nodes"] if node["feature_type"] == "logit"]
    total = sum(node["token_prob"] for node in logits)
    assert len(logits) == 10 or total >= 0.95
    assert all(f"(p={node['token_prob']:.3f})" in node["clerp"] for node in logits)
    assert logits[0]["node_id"].startswith("5_")


def test_generated_text_follows_a_changed_feature(words: Any, sets: Transcoders) -> None:
    edit = FeatureEdit(sets, (FeatureChange(3, 7, "set", 400.0),))
    before = generate(words, PROMPT, 4)
    after = generate(words, PROMPT, 4, edits=[edit])
    assert before.text != after.text
    assert after.edits == ("set 400 L3 F7",)


def test_a_stop_ends_the_walk(words: Any, sets: Transcoders) -> None:
    seen: list[str] = []

    def stop(progress: Any) -> None:
        seen.append(progress.title)
        if progress.title == "Tracing features back":
            job.cancel()

    job = Job(on_progress=stop)
    with pytest.raises(Cancelled):
        attribution_graph(words, sets, PROMPT, job=job)
    assert seen[0] == "Running the model"


def named(one: Dictionary, **changes: Any) -> Dictionary:
    return one.named(replace(one.identity, **changes))


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda s: s.layers[:3], DictionaryMismatch, "has 3 layers, but words-4l has 4"),
        (lambda s: (named(s.layers[0], model_fingerprint="00", model="gpt2"), *s.layers[1:]),
         DictionaryMismatch, "trained on gpt2"),
        (lambda s: (s.layers[1], *s.layers[1:]), DictionaryMismatch, "layer 0 reads mlp_in.1"),
        (lambda s: (named(s.layers[0], reads="z.0"), *s.layers[1:]), DictionaryMismatch,
         "reads one of"),
        (lambda s: (Dictionary(s.layers[0].weights, Settings("relu", centred=False,
         normalise="layer_norm"), s.layers[0].identity), *s.layers[1:]), DictionaryError,
         "rescaled"),
    ],
)  # fmt: skip
def test_transcoders_that_do_not_fit_are_refused(
    words: Any, sets: Transcoders, change: Callable, error: type, told: str
) -> None:
    with pytest.raises(error, match=told):
        attribution_graph(words, Transcoders(change(sets)), PROMPT)


def test_what_cannot_be_asked_is_refused(
    words: Any, sets: Transcoders, whole: mt.Circuit, tiny_model: Callable
) -> None:
    with pytest.raises(PromptError, match="tokens"):
        attribution_graph(words, sets, PROMPT * 60)
    with pytest.raises(InputError, match="no graph"):
        attribution_graph(words, sets, PROMPT, probability=1.5)
    with pytest.raises(ModelError, match="both directions"):
        attribution_graph(tiny_model("bert"), sets, (2, 3))
    with pytest.raises(InputError, match="no mode 'half'"):
        feature_intervention(words, sets, PROMPT, [], mode="half")
    with pytest.raises(InputError, match="top_k is -1"):
        feature_intervention(words, sets, PROMPT, [], top_k=-1)
    with pytest.raises(EditError, match="no feature 16"):
        feature_intervention(words, sets, PROMPT, [FeatureChange(0, 16)])
    with pytest.raises(EditError, match="position 99"):
        feature_intervention(words, sets, PROMPT, [FeatureChange(0, 1, positions=(99,))])
    with pytest.raises(EditError, match="changes twice"):
        feature_intervention(words, sets, PROMPT, [FeatureChange(0, 1), FeatureChange(0, 1)])
    last = FeatureChange(0, 1, "set", 6.0, positions=(-1,))
    length = len(whole.metadata["tokens"])
    for other in (FeatureChange(0, 1), replace(last, positions=(length - 1,))):
        for mode in ("frozen", "free"):
            with pytest.raises(EditError, match="changes twice"):
                feature_intervention(words, sets, PROMPT, [other, last], mode=mode)
    for wrong, told in (({"max_logits": 0}, "no graph"), ({"max_feature_nodes": -1}, "of -1 feat")):
        with pytest.raises(InputError, match=told):
            estimate_attribution(words, sets, PROMPT, **wrong)
    with pytest.raises(InputError, match="no feature of the graph"):
        changes_of(whole, [whole.node_id[0]])
    with pytest.raises(EditError, match="'double'"):
        FeatureChange(0, 1, "double")


def test_a_model_in_half_precision_is_computed_in_float32(tiny_model: Callable) -> None:
    model = tiny_model("llama", dtype="bfloat16")
    circuit = attribution_graph(model, random_set(model), (3, 5, 7, 11))
    sums = np.bincount(circuit.edge_target, circuit.edge_weight, circuit.n_nodes)
    own = np.isin(np.array(circuit.node_kind), (FEATURE, "output"))
    assert np.abs(sums + circuit.node_bias - circuit.node_score)[own].max() < 1e-4
    assert estimate_attribution(model, random_set(model), (3, 5)).copies > 0
