"""What a search will take is said before it is started."""

from __future__ import annotations

import itertools

import pytest
from tensor_memory import peak

import microtome as mt
from microtome.circuits.discovery import estimate as estimating
from microtome.circuits.discovery import faithful
from microtome.circuits.discovery.methods import METHODS
from microtome.errors import EditError, InputError, PromptError

CLEAN, CORRUPT = (5, 17, 3, 29, 17, 11), (5, 8, 3, 33, 17, 2)
PAIR, METRIC = mt.PromptPair(CLEAN, CORRUPT), mt.LogitDifference(4, 9)


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model("gpt2", n_layer=2, n_head=2)


def test_passes_are_those_of_the_method(model, monkeypatch):
    # As fast as a clock that ticks evenly says: a busy machine makes no difference.
    ticks = itertools.count()
    monkeypatch.setattr(estimating.time, "perf_counter", lambda: next(ticks) * 1e-3)
    monkeypatch.setattr(estimating, "product_rate", lambda _model: 1e9)
    wanted = {
        "two-point": 3, "eap": 3, "eap-ig": 2 + 2 * 3, "eap-ig-activations": 2 + 2 * 3 * 5,
        "clean-corrupt": 4, "routes": 1,
    }  # fmt: skip
    for method in METHODS:
        found = [
            mt.estimate_discovery(model, [PAIR] * count, METRIC, method, steps=3)
            for count in (1, 4)
        ]
        one, four = found
        assert (one.method, one.edges, one.examples, four.examples) == (method, 46, 1, 4)
        assert four.passes == pytest.approx(4 * one.passes)
        assert one.passes == pytest.approx(wanted.get(method, one.passes))
        assert 0 < one.seconds < four.seconds
        assert one.bytes > 0
        if method != "acdc":
            assert (one.most_passes, one.most_seconds) == (one.passes, one.seconds)
    alone = mt.estimate_discovery(model, [CLEAN], METRIC, ablation="zero", method="eap")
    assert alone.passes == 2
    exact = mt.estimate_discovery(model, PAIR, METRIC, "exact")
    # Readers of the last layer take half of the passes that those of the first do.
    assert 2 < exact.passes < 2 + exact.edges


def test_the_curve_behind_a_search_is_counted(model, monkeypatch):
    """Both orders of every size, the whole model and no edge: a run of every example each."""
    found = mt.estimate_discovery(model, [PAIR] * 4, METRIC, budget=400_000)
    calls, measured = [], faithful.measure
    monkeypatch.setattr(
        faithful,
        "measure",
        lambda batch, *given: calls.append(len(batch)) or measured(batch, *given),
    )
    circuit = mt.discover_circuit(model, [PAIR] * 4, METRIC)
    mt.faithfulness(model, circuit, [PAIR] * 4, METRIC)
    assert found.curve_passes == sum(calls) + 2 * 4  # and the clean and corrupt run of each
    assert found.curve_seconds > 0
    monkeypatch.undo()
    taken = peak(lambda: mt.faithfulness(model, circuit, [PAIR] * 4, METRIC, budget=400_000))
    assert 0.4 < found.curve_bytes / taken < 2.5


def test_a_search_that_may_be_long_says_how_long(model):
    found = mt.estimate_discovery(model, [PAIR] * 3, mt.KL(), "acdc")
    assert found.most_passes > 2 * found.passes
    assert found.most_seconds > 2 * found.seconds


@pytest.mark.parametrize("method", ["two-point", "eap-ig", "exact"])
def test_bytes_are_about_what_is_taken(model, method):
    pairs = [PAIR] * 8
    said = mt.estimate_discovery(model, pairs, METRIC, method, budget=400_000).bytes
    taken = peak(lambda: mt.discover_circuit(model, pairs, METRIC, method, budget=400_000))
    assert 0.5 < said / taken < 2.5


def test_what_cannot_be_asked_is_refused_before_anything_is_run(model, monkeypatch):
    monkeypatch.setattr(type(model), "run", None)
    with pytest.raises(PromptError, match="of 5"):
        mt.estimate_discovery(model, mt.PromptPair(CLEAN, CORRUPT[:5]), METRIC)
    with pytest.raises(EditError, match="over="):
        mt.estimate_discovery(model, [CLEAN], METRIC, "eap", ablation="mean")
    with pytest.raises(InputError, match="between a clean and a corrupt run"):
        mt.estimate_discovery(model, [CLEAN], METRIC, "two-point", ablation="zero")
