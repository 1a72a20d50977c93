"""What discovery and faithfulness hand out while they work."""

from __future__ import annotations

import numpy as np
import pytest

import microtome as mt
from microtome.circuits.discovery import partial
from microtome.circuits.discovery.discover import METHODS
from microtome.jobs import Job
from microtome.records.discovery import discovery_analysis
from microtome.records.faithfulness import faithfulness_analysis, faithfulness_of

CLEAN, CORRUPT = (5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)
PAIRS = [
    mt.PromptPair(CLEAN, CORRUPT),
    mt.PromptPair((9, 2, 31, 7, 7, 20), (9, 4, 31, 7, 12, 20)),
    mt.PromptPair(CLEAN[:4], CORRUPT[:4]),
]
METRIC = mt.LogitDifference(4, 9)


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model("gpt2", n_layer=2, n_head=2)


@pytest.fixture
def every(monkeypatch):
    """Partial results are handed out as they come, however soon after one another."""
    monkeypatch.setattr(partial, "_EVERY", 0.0)


def hearing():
    """A job, and what it hands out."""
    heard = []
    return Job(on_partial=lambda name, value: heard.append((name, value))), heard


@pytest.mark.parametrize("method", METHODS)
def test_every_method_hands_out_what_it_knows(model, every, method):
    job, heard = hearing()
    whole = mt.discover_circuit(model, PAIRS, METRIC, method, steps=2, tau=0.003, job=job)
    assert {name for name, _ in heard} == {"discovery"}
    told = [circuit.metadata for _, circuit in heard]
    assert all(each["partial"] is True for each in told)
    assert "partial" not in whole.metadata
    assert {discovery_analysis(circuit).id for _, circuit in heard} == {
        discovery_analysis(whole).id
    }
    unit = "edges" if method in ("exact", "acdc") else "examples"
    done = [each[f"{unit} done"] for each in told]
    assert done == sorted(done)
    assert done[0] > 0
    assert told[-1][unit] == (whole.n_edges if unit == "edges" else len(PAIRS))
    for _, circuit in heard:
        assert np.isfinite(circuit.node_score).all()
        untried = int(np.isnan(circuit.edge_weight).sum())
        assert untried == (whole.n_edges - circuit.metadata["edges done"] if unit == "edges" else 0)


def test_partial_scores_are_means_over_the_examples_done(model, every):
    for method in ("two-point", "routes"):
        job, heard = hearing()
        mt.discover_circuit(model, PAIRS, METRIC, method, budget=1, job=job)
        for _, circuit in heard:
            some = PAIRS[: circuit.metadata["examples done"]]
            alone = mt.discover_circuit(model, some, METRIC, method)
            np.testing.assert_allclose(circuit.edge_weight, alone.edge_weight, atol=1e-6)


def test_what_a_search_has_taken_away_scores_nothing(model, every):
    job, heard = hearing()
    whole = mt.discover_circuit(model, PAIRS, METRIC, "acdc", tau=0.003, job=job)
    for _, circuit in heard:
        tried = np.isfinite(circuit.edge_weight)
        np.testing.assert_array_equal(circuit.edge_weight[tried], whole.edge_weight[tried])
    assert (whole.edge_weight == 0).any()


def test_the_curve_fills_size_by_size_and_then_over_the_examples(model, every):
    circuit = mt.discover_circuit(model, PAIRS, METRIC)
    job, heard = hearing()
    curve = mt.faithfulness(model, circuit, PAIRS, METRIC, job=job, sizes=(0.2, 0.5, 1.0))
    far = [(held.params["sizes done"], held.params["examples done"]) for _, held in heard]
    assert far == [(1, 0), (2, 0), (3, 2), (3, 2), (3, 2)]  # of the pairs of one length, the rest
    assert {name for name, _ in heard} == {"faithfulness"}
    for _, held in heard:
        there = np.isfinite(held.faithfulness)
        assert there.sum() == held.params["sizes done"]
        assert (there == np.isfinite(held.by_magnitude)).all()
        assert held.params["id"] == curve.params["id"]
        back = faithfulness_of(faithfulness_analysis(held))
        np.testing.assert_array_equal(back.values, held.values)
    first = heard[2][1]
    alone = mt.faithfulness(model, circuit, PAIRS[:2], METRIC, sizes=(0.2, 0.5, 1.0))
    np.testing.assert_allclose(first.faithfulness, alone.faithfulness, atol=1e-6)
    assert first.cpr == pytest.approx(alone.cpr, abs=1e-6)
    assert np.isfinite(curve.values).all()
    assert "partial" not in curve.params


def test_nothing_is_made_sooner_than_it_is_due(model):
    job, heard = hearing()
    mt.discover_circuit(model, PAIRS * 3, METRIC, "eap", job=job)
    assert len(heard) < 8  # about five a second
