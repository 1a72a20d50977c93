"""What discovery is asked: refusals by name with the way out, progress, and stopping."""

from __future__ import annotations

from itertools import count, pairwise

import numpy as np
import pytest
import torch
from plain_edges import named_edges

import microtome as mt
from microtome.circuits.discovery.discover import METHODS, expect_possible
from microtome.errors import (
    EditError,
    InputError,
    MetricError,
    PromptError,
    SiteMissing,
    UnknownArchitecture,
    WrongKind,
)
from microtome.jobs import Cancelled, Job

CLEAN, CORRUPT = (5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)
PAIR = mt.PromptPair(CLEAN, CORRUPT)
METRIC = mt.LogitDifference(4, 9)


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model("gpt2", n_layer=2, n_head=2)


@pytest.fixture
def discover(model):
    """The circuit of a request, with a look at whether it left the model as it was."""

    def found(data=PAIR, metric=METRIC, method="eap", **options):
        before = model.run(model.tokenize(CLEAN))
        try:
            return mt.discover_circuit(model, data, metric, method, **options)
        finally:
            assert torch.equal(model.run(model.tokenize(CLEAN)), before)

    return found


def refused(error, *words):
    """Expect an error of a kind whose text has all of the words."""
    return pytest.raises(error, match="".join(f"(?=.*{word})" for word in words) + "(?s:.*)")


# ------------------------------------------------------------------- what is refused


def test_pairs_of_unequal_length_are_refused_without_talk_of_aligning(discover):
    uneven = mt.PromptPair(CLEAN, CORRUPT[:-1])
    for method in METHODS:
        with refused(PromptError, "6 tokens", "of 5", "replace words") as caught:
            discover([PAIR, uneven], METRIC, method)
        assert "align" not in str(caught.value)


def test_a_metric_that_is_flat_at_the_clean_run_is_refused_with_a_way_out(discover):
    with refused(MetricError, "no gradient at the clean runs", "eap-ig", "logit difference"):
        discover(metric=mt.KL())
    for method in ("eap-ig", "eap-ig-activations", "clean-corrupt"):  # these look elsewhere too
        assert np.abs(discover(metric=mt.KL(), method=method).edge_weight).max() > 1e-3


def test_metrics_that_a_method_cannot_use_are_refused(discover):
    for method in ("eap", "eap-ig", "eap-ig-activations", "clean-corrupt"):
        with refused(MetricError, "rank", "no gradient", "logit difference"):
            discover(metric=mt.Rank(4), method=method)
        with refused(MetricError, "reads all", "exact"):
            discover(metric=mt.Loss(), method=method)
    for metric in (mt.Probability(4), mt.KL(), mt.Loss(), mt.Rank(4)):
        with refused(MetricError, "two-point", "logit difference"):
            discover(metric=metric, method="two-point")
    for method in ("exact", "acdc"):
        for metric in (mt.Loss(), mt.Rank(4), mt.Probability(4)):
            assert np.isfinite(discover(metric=metric, method=method).edge_weight).all()
    with refused(MetricError, "2 metrics", "1 prompts"):
        discover(metric=[METRIC, METRIC])
    with refused(MetricError, "position 7", "6 tokens"):
        discover(metric=mt.LogitDifference(4, 9, position=7))


def test_what_is_refused_is_refused_before_the_start_too(model):
    refusing = {
        "two-point": (mt.Probability(4), mt.KL(), mt.Loss(), mt.Rank(4)),
        **{m: (mt.Loss(), mt.Rank(4)) for m in ("eap", "eap-ig", "eap-ig-activations",
                                                "clean-corrupt")},
    }  # fmt: skip
    for method, metrics in refusing.items():
        for metric in metrics:
            with pytest.raises(MetricError):
                expect_possible(model, PAIR, metric, method)
    for method in ("exact", "acdc", "routes"):
        assert expect_possible(model, PAIR, mt.Rank(4), method).examples


def test_ablations_without_what_they_put_in_place_are_refused(discover):
    for method in METHODS:
        for ablation in ("mean", "position mean"):
            with refused(EditError, ablation, "over="):
                discover([CLEAN], METRIC, method, ablation=ablation)
        for data in ([CLEAN], CLEAN, []):
            with refused(InputError, "no pairs were given", "zero, mean or position mean"):
                discover(data, METRIC, method)
        with refused(InputError, "'swap'", "resample, zero, mean, position mean"):
            discover(method=method, ablation="swap")
    with refused(EditError, "6 tokens", "has 4"):
        discover([CLEAN], ablation="position mean", over=[(3, 4, 5, 6)])
    for method in ("two-point", "clean-corrupt"):
        with refused(InputError, method, "between a clean and a corrupt run", "eap-ig"):
            discover([CLEAN], METRIC, method, ablation="zero")


def test_settings_that_are_none_are_refused(discover):
    with refused(InputError, "'magic'", "two-point, eap, eap-ig"):
        discover(method="magic")
    for steps in (0, -2, 2.5, "5"):
        with refused(InputError, "number of steps", "steps=5"):
            discover(method="eap-ig", steps=steps)
    for tau in (0, -0.1, float("nan"), float("inf"), "0.1"):
        with refused(InputError, "τ", "tau=0.01"):
            discover(method="acdc", tau=tau)
    with refused(InputError, "no option 'step'", "steps"):
        discover(method="eap-ig", step=50)
    with refused(WrongKind, "PromptPair"):
        discover([PAIR, CLEAN])
    with refused(InputError, "no prompt"):
        discover([], ablation="zero")


@pytest.mark.parametrize("method", METHODS)
def test_models_without_edges_are_refused_by_name(tiny_model, method):
    with refused(SiteMissing, "router", "expert"):
        mt.discover_circuit(tiny_model("mixtral"), PAIR, METRIC, method)
    pair = mt.PromptPair((5, 17, 3, -1, 0, 4), (5, 8, 3, -1, 0, 4))
    with refused(UnknownArchitecture, "Discovery", "Patch"):
        mt.discover_circuit(tiny_model("t5"), pair, METRIC, method)


# ------------------------------------------------------------------- what is asked


def test_metrics_of_one_answer_prune_by_what_they_lose(discover):
    for metric, loss in (
        (mt.LogitDifference(13, 10), lambda logits: logits[..., 10] - logits[..., 13]),
        (mt.Probability(13), lambda logits: -logits.softmax(-1)[..., 13]),
    ):
        found = discover(metric=metric, method="acdc", tau=0.003)
        other = discover(metric=mt.CustomMetric(loss), method="acdc", tau=0.003)
        assert found.metadata["kept"] == other.metadata["kept"] > 0
        np.testing.assert_allclose(found.edge_weight, other.edge_weight, atol=1e-5)


def test_every_result_says_how_it_came_about(discover, model):
    for name, method in METHODS.items():
        circuit = discover(method=name, steps=3, tau=0.02)
        told = circuit.metadata
        assert (told["method"], told["scale"], told["title"]) == (name, method.scale, method.title)
        assert told["ablation"] == "resample"
        assert told["prompts"] == [list(CLEAN)]
        assert told["corrupt"] == [list(CORRUPT)]
        assert ("clean content raises" in told["sign"]) == method.signed
        assert told.get("steps") == (3 if "ig" in name else None)
        assert told.get("tau") == (0.02 if name == "acdc" else None)
        assert len(named_edges(circuit)) == len(circuit.edge_weight) == 46
        if not method.signed:
            assert circuit.edge_weight.min() >= 0
    over = [CORRUPT, CLEAN[:3]]
    for method in ("eap", "eap-ig"):  # the second goes from the mean of embeddings
        told = discover([CLEAN], METRIC, method, ablation="mean", over=over).metadata
        assert told["over"] == [list(prompt) for prompt in over]
    assert told["metric"] == METRIC.name(model)


# ------------------------------------------------------------------- jobs


def stopping(after):
    """A job that is stopped by what hears its reports, after so many of them; the reports."""
    told = []

    def hear(progress):
        told.append(progress)
        if len(told) >= after:
            job.cancel()

    job = Job(on_progress=hear, clock=count().__next__)
    return job, told


@pytest.mark.parametrize("method", METHODS)
def test_every_method_tells_how_far_it_is_and_stops(discover, method):
    heard = []
    discover([PAIR] * 2, METRIC, method, job=Job(on_progress=heard.append), steps=2)
    last = [each for each in heard if each.title == heard[-1].title]
    assert len(heard) >= 3
    assert last[-1].done == last[-1].total > 0
    assert all(0 <= each.done <= each.total for each in heard)
    for stop in (1, max(2, len(heard) // 2)):
        job, told = stopping(stop)
        with pytest.raises(Cancelled):
            discover([PAIR] * 2, METRIC, method, job=job, steps=2)
        assert len(told) == stop  # nothing goes on behind the stop


def test_testing_circuits_tells_how_far_it_is_and_stops(model):
    circuit = mt.discover_circuit(model, PAIR, METRIC)
    heard = []
    pairs = [PAIR, mt.PromptPair(CLEAN[:4], CORRUPT[:4])]
    mt.faithfulness(model, circuit, pairs, METRIC, job=Job(on_progress=heard.append))
    tested = [each for each in heard if each.title == "Testing circuits"]
    assert tested[-1].done == tested[-1].total > 0

    def cancel(progress):
        if progress.title == "Testing circuits":
            job.cancel()

    job = Job(on_progress=cancel)
    with pytest.raises(Cancelled):
        mt.faithfulness(model, circuit, pairs, METRIC, job=job)


def test_acdc_tells_how_far_it_is_from_its_first_edges_on(discover):
    """By what was done and is likely to come: it never falls, and moves within one reader."""
    heard = []
    job = Job(on_progress=heard.append, clock=count().__next__)
    discover([PAIR] * 2, mt.KL(), "acdc", job=job, tau=1e-6)
    told = [each.fraction for each in heard if each.title == "Taking edges away"]
    readers = 2 * (3 * 2 + 1) + 1
    assert len(told) > 1.5 * readers
    assert told[0] > 0
    assert all(after >= before for before, after in pairwise(told))
    assert told[-1] == 1.0
    middle = told[len(told) // 2]
    assert 0.15 < middle < 0.95
