"""Direct attribution: sums that must come out, and the definition applied part by part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from microtome.activations.capture import trace
from microtome.analysis.direct import direct_analysis, direct_logit_attribution
from microtome.errors import MetricError, SiteMissing
from microtome.metrics import LogitDifference, LogitOverMean
from microtome.sites import Site

IDS = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5)
METRICS = (LogitDifference(5, 9), LogitOverMean(12), LogitDifference(40, 2, position=6))


def numbers(tensor) -> np.ndarray:
    return tensor.double().numpy()


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_all_parts_sum_to_the_metric(tiny_model, family, metric):
    run = trace(tiny_model(family), IDS)
    parts = direct_logit_attribution(run, metric)
    expected = float(metric(run.logits[metric.position].astype(np.float64)))
    assert parts.metric_value == pytest.approx(expected, abs=1e-12)
    assert parts.total == pytest.approx(expected, abs=1e-5 * max(1.0, abs(expected)))


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gemma2"])
def test_the_sum_is_exact_in_float64(tiny_model, name):
    run = trace(tiny_model(name, dtype="float64"), IDS)
    parts = direct_logit_attribution(run, METRICS[0])
    # Gemma's norms run in float32 whatever the weights are.
    assert parts.total == pytest.approx(parts.metric_value, abs=1e-5 if name == "gemma2" else 1e-11)


def test_heads_and_neurons_sum_to_their_layers(tiny_model, family):
    model = tiny_model(family)
    parts = direct_logit_attribution(trace(model, IDS), METRICS[0], top_neurons=10**6)
    np.testing.assert_allclose(parts.heads.sum(-1), parts.attention_layers, atol=1e-5)
    neurons = np.zeros((3, model.identity.d_mlp))
    neurons[parts.neurons.layer, parts.neurons.index] = parts.neurons.value
    blocks = model.anatomy.blocks
    if "mlp_post" not in model.ports:
        assert not len(parts.neurons.value)  # a mixture of experts shows no neurons
    elif all(block.mlp.b_out is None and block.mlp_norm is None for block in blocks):
        np.testing.assert_allclose(neurons.sum(-1), parts.mlp_layers, atol=1e-5)
    strengths = np.abs(parts.neurons.value)
    assert (np.diff(strengths) <= 0).all()


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "qwen3"])
def test_a_part_contributes_what_its_removal_changes_under_a_frozen_norm(tiny_model, name):
    model = tiny_model(name)
    run = trace(model, IDS)
    metric = METRICS[0]
    parts = direct_logit_attribution(run, metric, top_neurons=5)
    anatomy, weights = model.anatomy, metric.coefficients(model.identity.vocabulary)
    final = run.activation(Site("resid_post", 2))[-1].astype(np.float64)
    norm = anatomy.final_norm

    def centred(vector):
        return vector - vector.mean() if norm.centred else vector

    root = np.sqrt((centred(final) ** 2).mean() + norm.eps)

    def value(residual):
        """The metric of a residual stream, divided by the root of the whole one."""
        normed = centred(residual) / root * numbers(norm.weight)
        return weights @ (numbers(anatomy.unembedding) @ normed)

    def contribution(part):
        return value(final) - value(final - part)

    for layer, block in enumerate(anatomy.blocks):
        z = run.activation(Site("z", layer))[-1].astype(np.float64)
        for head in range(model.identity.n_heads):
            written = numbers(block.attention.w_o[head]) @ z[head]
            assert parts.heads[layer, head] == pytest.approx(contribution(written), abs=1e-5)
        mlp = run.activation(Site("mlp_out", layer))[-1].astype(np.float64)
        assert parts.mlp_layers[layer] == pytest.approx(contribution(mlp), abs=1e-5)
    for layer, index, found in zip(
        parts.neurons.layer, parts.neurons.index, parts.neurons.value, strict=True
    ):
        post = run.activation(Site("mlp_post", int(layer)))[-1, index]
        written = numbers(anatomy.blocks[layer].mlp.w_out[:, index]) * float(post)
        assert found == pytest.approx(contribution(written), abs=1e-5)
    embedded = run.activation("embed")[-1].astype(np.float64)
    assert parts.embedding == pytest.approx(contribution(embedded), abs=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "gemma2"])
def test_maps_read_every_position_with_its_own_scale(tiny_model, name):
    run = trace(tiny_model(name), IDS)
    parts = direct_logit_attribution(run, METRICS[0])
    np.testing.assert_array_equal(parts.attention[:, parts.position], parts.attention_layers)
    np.testing.assert_array_equal(parts.mlp[:, parts.position], parts.mlp_layers)
    for position in (0, 4):
        there = direct_logit_attribution(run, replace_position(METRICS[0], position))
        np.testing.assert_allclose(parts.attention[:, position], there.attention_layers, atol=1e-6)
        np.testing.assert_allclose(parts.mlp[:, position], there.mlp_layers, atol=1e-6)


def replace_position(metric: LogitDifference, position: int) -> LogitDifference:
    return LogitDifference(metric.answer, metric.wrong, position)


def test_a_metric_over_the_whole_vocabulary_is_read_in_chunks(tiny_model, monkeypatch):
    from microtome.analysis import direct, readout

    run = trace(tiny_model("gemma2"), IDS)
    whole = direct_logit_attribution(run, METRICS[1])
    monkeypatch.setattr(readout, "_CELLS", 7 * len(IDS))
    monkeypatch.setattr(direct, "_FEW", 10)
    chunked = direct_logit_attribution(run, METRICS[1])
    assert chunked.total == pytest.approx(whole.total, abs=1e-5)
    np.testing.assert_allclose(chunked.heads, whole.heads, atol=1e-6)


def test_without_neurons_in_the_trace_the_rest_is_given(tiny_model):
    sites = ("embed", "pos_embed", "z", "attn_out", "mlp_out", "resid_post")
    parts = direct_logit_attribution(trace(tiny_model("gpt2"), IDS, sites=sites), METRICS[0])
    assert len(parts.neurons.value) == 0
    assert parts.total == pytest.approx(parts.metric_value, abs=1e-5)


def test_what_has_no_attribution_is_refused_by_name(tiny_model):
    run = trace(tiny_model("gpt2"), IDS)
    with pytest.raises(MetricError, match="outside the 12 tokens"):
        direct_logit_attribution(run, LogitDifference(5, 9, position=12))
    with pytest.raises(SiteMissing, match="attach it"):
        direct_logit_attribution(replace(run, live=None), METRICS[0])
    few = trace(tiny_model("gpt2"), IDS, sites=("resid_post",))
    with pytest.raises(SiteMissing):
        direct_logit_attribution(few, METRICS[0])


def test_the_record_names_metric_value_and_axes(tiny_model):
    parts = direct_logit_attribution(trace(tiny_model("gpt2"), IDS), METRICS[0])
    record = direct_analysis(parts)
    assert record.id == record.kind == "direct-attribution"
    assert record.params["metric"] == parts.metric
    assert record.params["position"] == len(IDS) - 1
    names = ("attention_layers", "mlp_layers", "embedding", "position_embedding", "bias")
    total = sum(record.array(name).sum() for name in names)
    assert total == pytest.approx(record.params["metric_value"], abs=1e-5)
    assert record.arrays["heads"].dims == ("layer", "head")
    assert record.arrays["attention"].dims == ("layer", "position")
