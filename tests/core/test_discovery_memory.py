"""What discovery takes of memory does not grow with the data, and the budget bounds it."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_memory import peak

import microtome as mt
from microtome.errors import InputError

METRIC, LENGTH = mt.LogitDifference(5, 44), 12
# Enough for a few examples of the model below at a time.
BUDGET = 500_000
COUNTS = {"two-point": (8, 24), "eap-ig": (8, 24), "acdc": (18, 30), "exact": (12, 24)}


def pairs(count):
    ids = np.random.default_rng(7).integers(2, 60, (count, 2, LENGTH)).tolist()
    return [mt.PromptPair(tuple(clean), tuple(corrupt)) for clean, corrupt in ids]


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model("gpt2", n_layer=1, n_head=2, n_embd=32)


@pytest.mark.parametrize("method", COUNTS)
def test_more_examples_take_no_more_memory(model, method):
    metric = mt.KL() if method == "acdc" else METRIC

    def taken(count):
        return peak(
            lambda: mt.discover_circuit(
                model, pairs(count), metric, method, steps=2, tau=5.0, budget=BUDGET
            )
        )

    few, many = (taken(count) for count in COUNTS[method])
    assert 0.4 * BUDGET < many <= BUDGET
    assert many <= 1.02 * few


def test_testing_circuits_takes_no_more_memory_for_more_examples(model):
    circuit = mt.discover_circuit(model, pairs(1), METRIC)

    def taken(count):
        return peak(
            lambda: mt.faithfulness(
                model, circuit, pairs(count), METRIC, sizes=(1.0,), budget=BUDGET
            )
        )

    few, many = taken(12), taken(24)
    assert 0.4 * BUDGET < many <= BUDGET
    assert many <= 1.02 * few


def test_a_budget_that_is_none_is_refused(model):
    circuit = mt.discover_circuit(model, pairs(1), METRIC, budget=1)  # one example at least
    for budget, error in ((0, InputError), (-1, InputError)):
        with pytest.raises(error, match="budget"):
            mt.discover_circuit(model, pairs(1), METRIC, budget=budget)
        with pytest.raises(error, match="budget"):
            mt.faithfulness(model, circuit, pairs(1), METRIC, budget=budget)
