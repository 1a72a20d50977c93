"""Completeness and minimality against plain passes, and stability against discovery by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_edges import PlainEdges
from scipy.stats import spearmanr

import microtome as mt
from microtome.circuits.discovery import judging
from microtome.circuits.discovery.comparing import overlap, rank_correlation
from microtome.circuits.discovery.faithful import best
from microtome.errors import Cancelled, InputError
from microtome.jobs import Job
from microtome.records.edges import edges_of, scores_of
from microtome.records.judgement import (
    judgement_analysis,
    judgement_of,
    stability_analysis,
    stability_of,
)

PAIRS = (
    mt.PromptPair((5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)),
    mt.PromptPair((6, 40, 22, 9), (6, 13, 22, 51)),
    mt.PromptPair((30, 2, 44, 19, 8, 7), (12, 2, 58, 3, 8, 41)),
)
METRIC = mt.LogitDifference(4, 9)
SHARE = 0.5


def read(logits):
    return logits[-1, 4] - logits[-1, 9]


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model("gpt2", dtype="float64", n_layer=2, n_head=2)


@pytest.fixture(scope="module")
def circuit(model):
    return mt.discover_circuit(model, PAIRS, METRIC, "eap")


@pytest.fixture(scope="module")
def judged(model, circuit):
    return mt.judge_circuit(model, circuit, PAIRS, METRIC, share=SHARE, draws=3, seed=4)


def kept_edges(circuit, share, *, signed):
    edges = edges_of(circuit)
    mask = best(edges, scores_of(circuit), share, signed=signed)
    rows = zip(*np.nonzero(mask), strict=True)
    return {(edges.writer_names[w], edges.reader_names[r]) for w, r in rows}


def test_every_number_is_that_of_plain_passes(model, circuit, judged):
    """Of each draw: the circuit without it, the model without it, and each node on top."""
    plain = PlainEdges(model.anatomy)
    tasks = [(pair.clean, plain.written(pair.corrupt), read) for pair in PAIRS]

    def worth(kept):
        gone = [edge for edge in plain.edges if edge not in kept]
        with torch.no_grad():
            return np.mean([plain.value([task], gone) for task in tasks])

    whole, none = worth(set(plain.edges)), worth(set())

    def share(kept, *without):
        return (worth({e for e in kept if e[0] not in without}) - none) / (whole - none)

    held = kept_edges(circuit, SHARE, signed=False)
    assert set(judged.nodes) == {writer for writer, _ in held} - {"input"}
    assert not judged.removed[0].any()
    assert judged.removed[1:].any()
    for draw, removed in enumerate(judged.removed):
        gone = [node for node, out in zip(judged.nodes, removed, strict=True) if out]
        assert judged.circuit[draw] == pytest.approx(share(held, *gone), abs=1e-7)
        assert judged.model[draw] == pytest.approx(share(plain.edges, *gone), abs=1e-7)
        for at, node in enumerate(judged.nodes):
            effect = judged.effects[draw, at]
            if removed[at]:
                assert np.isnan(effect)
                continue
            fall = share(held, *gone) - share(held, *gone, node)
            assert effect == pytest.approx(fall, abs=1e-7)
    gaps = [abs(c - m) for c, m in zip(judged.circuit, judged.model, strict=True)]
    assert judged.incompleteness == pytest.approx(np.mean(gaps))
    strongest = [np.nanmax(np.abs(column)) for column in judged.effects.T]
    np.testing.assert_allclose(judged.minimality, strongest)


def test_the_whole_model_is_complete(model, circuit):
    found = mt.judge_circuit(model, circuit, PAIRS, METRIC, share=1.0, draws=2)
    np.testing.assert_allclose(found.circuit, found.model, atol=1e-9)
    assert found.model[0] == pytest.approx(1.0)
    assert len(found.nodes) == 6


def test_a_judgement_is_repeated_by_its_seed_and_kept(model, circuit, judged):
    again = mt.judge_circuit(model, circuit, PAIRS, METRIC, share=SHARE, draws=3, seed=4)
    np.testing.assert_array_equal(again.effects, judged.effects)
    assert again.params["id"] == judged.params["id"]
    other = mt.judge_circuit(model, circuit, PAIRS, METRIC, share=SHARE, draws=3, seed=5)
    assert other.params["id"] != judged.params["id"]
    back = judgement_of(judgement_analysis(judged))
    assert back.nodes == judged.nodes
    np.testing.assert_array_equal(back.removed, judged.removed)
    np.testing.assert_array_equal(back.effects, judged.effects)


def test_a_circuit_that_leads_nowhere_is_refused(model, circuit):
    with pytest.raises(InputError, match="No way leads") as refused:
        mt.judge_circuit(model, circuit, PAIRS, METRIC, share=0.02)
    assert "larger share" in refused.value.way_out


def test_stability_is_discovery_on_both_halves(model):
    found = mt.stability(model, PAIRS, [METRIC] * 3, "eap", share=0.3, splits=2, seed=7)
    draw = np.random.default_rng(7)
    for split in range(2):
        halves = np.array_split(draw.permutation(3), 2)
        both = [
            mt.discover_circuit(model, [PAIRS[row] for row in half], METRIC, "eap")
            for half in halves
        ]
        first, second = (kept_edges(one, 0.3, signed=False) for one in both)
        assert found.overlap[split] == pytest.approx(len(first & second) / len(first | second))
        there = edges_of(both[0]).exists
        expected = spearmanr(*(scores_of(one)[there] for one in both)).statistic
        assert found.correlation[split] == pytest.approx(expected)
    back = stability_of(stability_analysis(found))
    np.testing.assert_array_equal(back.overlap, found.overlap)
    assert back.params["splits"] == 2
    with pytest.raises(InputError, match="cannot be halved"):
        mt.stability(model, PAIRS[:1], METRIC)


def test_ranks_and_overlaps():
    draw = np.random.default_rng(0)
    one, other = draw.integers(0, 9, 60).astype(float), draw.integers(0, 5, 60).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert np.isnan(rank_correlation(one, np.zeros(60)))
    assert overlap(np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)) == 1 / 3
    assert overlap(np.zeros(3, bool), np.zeros(3, bool)) == 1.0


def test_a_stop_reaches_the_next_hook_of_a_search_on_a_half(model, monkeypatch):
    job = Job()

    def search(*_, job: Job, whole: Job = job, **__) -> None:
        job.check()
        whole.cancel()
        assert job.cancelled
        job.check()
        pytest.fail("The search went on.")

    monkeypatch.setattr(judging, "discover_circuit", search)
    with pytest.raises(Cancelled):
        mt.stability(model, PAIRS, METRIC, "eap", job=job)


def test_it_stops_when_asked(model, circuit):
    job = Job(on_progress=lambda told: job.cancel())
    with pytest.raises(Cancelled):
        mt.judge_circuit(model, circuit, PAIRS, METRIC, share=SHARE, job=job)
    job = Job(on_progress=lambda told: job.cancel())
    with pytest.raises(Cancelled):
        mt.stability(model, PAIRS, METRIC, "eap", job=job)
