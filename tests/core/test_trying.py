"""Trying edits on a run: predictions first, then the rest; a fault in one leaves the others."""

from dataclasses import replace

import numpy as np
import pytest

import microtome as mt
from microtome.jobs import Job
from microtome.records.edits import DirectionSpec, EditSpec
from microtome.trying import try_edits

PROMPT = "When Mary and John went to the store, John gave a drink to"
CUT = EditSpec("z.0.3", "zero")
PUSH = EditSpec(
    "resid_post.1", "add", strength=3.0, direction=DirectionSpec("values", values=(1, -1) * 64)
)


@pytest.fixture(scope="module")
def model():
    return mt.load_model("words-4l")


@pytest.fixture(scope="module")
def run(model):
    return mt.trace(model, PROMPT)


@pytest.fixture(scope="module")
def metric(model):
    return mt.LogitDifference("Mary", "John").resolve(model)


def test_the_run_is_that_of_the_edits_and_its_predictions_come_first(model, run, metric):
    parts = []
    job = Job(on_partial=lambda name, value: parts.append((name, value)))
    tried = try_edits(model, run, (CUT, replace(CUT, on=False), PUSH), metric, job=job)
    direction = np.tile([1.0, -1.0], 64) / np.sqrt(128)
    edits = [mt.Ablate("z.0.3"), mt.Steer("resid_post.1", direction, 3.0)]
    expected = mt.trace(model, PROMPT, edits=edits)
    ((name, first),) = parts
    assert name == "tried"
    assert first.edited.activations == {}
    for found in (first.edited, tried.edited):
        np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
        assert len(found.edits) == 2
    for site in ("resid_post", "pattern"):
        np.testing.assert_allclose(
            tried.edited.activation(site), expected.activation(site), atol=1e-5
        )
    values = tried.analyses["edited-metric"].array("value")
    np.testing.assert_allclose(values, [metric(t.logits[-1]) for t in (run, expected)], rtol=1e-5)
    direct = tried.analyses["edited-direct-attribution"].params
    assert abs(direct["by_the_edits"]) > 0.1  # the steering itself is of no head and no MLP
    norm = np.linalg.norm(run.activation("resid_post.1"), axis=-1).mean()
    assert tried.norms["resid_post.1"] == pytest.approx(norm, rel=1e-5)


def test_one_neuron_is_edited_and_the_others_keep_their_values(model, run, metric):
    spec = EditSpec("mlp_post.1", "zero", positions=(3,), neuron=7)
    found = try_edits(model, run, (spec,), metric).edited.activation("mlp_post.1")
    expected = run.activation("mlp_post.1").copy()
    assert expected[3, 7] != 0
    expected[3, 7] = 0
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_cannot_be_is_told_by_row_and_the_model_stays_as_it_was(model, run, metric):
    endless = replace(PUSH, strength=1e38)
    wrong = (EditSpec("z.9.0", "zero"), CUT, EditSpec("z.1.0", "mean"), endless)
    tried = try_edits(model, run, wrong, metric)
    assert sorted(tried.problems) == [0, 2, 3]
    assert "layer 9" in tried.problems[0]
    assert "NaN" in tried.problems[3]
    assert tried.edited.edits == ("zero ablation of z.0.3",)
    np.testing.assert_array_equal(mt.trace(model, PROMPT).logits, run.logits)
    nothing = try_edits(model, run, (endless,), metric)
    assert nothing.edited is None
    assert list(nothing.problems) == [0]


def test_a_run_without_logits_has_its_metric_measured_again(model, run, metric):
    tried = try_edits(model, replace(run, logits=None), (CUT,), metric)
    before = tried.analyses["edited-metric"].array("value")[0]
    assert before == pytest.approx(float(metric(run.logits[-1])), rel=1e-5)
