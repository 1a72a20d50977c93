"""Toy models of superposition: the textbook's geometry, and measures against plain sums."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import microtome as mt
from microtome.errors import Cancelled, InputError
from microtome.jobs import Job
from microtome.records.superposition import (
    PhaseDiagram,
    geometry,
    phase_analysis,
    toy_analysis,
    toys_of,
)


@pytest.fixture(scope="module")
def toys() -> mt.ToyModels:
    """As they come: what a newcomer sees."""
    return mt.train_toy(mt.ToyPlan())


def test_dense_features_have_a_dimension_each(toys: mt.ToyModels) -> None:
    dense = toys.geometry(0)
    assert dense.represented == 2
    assert (dense.norm[:2] > 0.9).all()
    assert (dense.norm[2:] < 0.2).all()
    assert dense.dimensionality[:2] == pytest.approx([1, 1], abs=0.05)
    assert dense.dimensions_per_feature == pytest.approx(1, abs=0.1)
    assert dense.share > 0.9


def test_features_that_are_less_sparse_form_antipodal_pairs(toys: mt.ToyModels) -> None:
    pairs = toys.geometry(1)
    assert pairs.represented == 4
    assert pairs.share == pytest.approx(0.5, abs=0.03)
    kept = toys.weights[1][:, pairs.norm > 0.5]
    angles = np.sort(np.degrees(np.arctan2(*kept)))
    assert np.diff(angles) == pytest.approx([90] * 3, abs=6)
    assert sorted(pairs.dimensionality)[1:] == pytest.approx([0.5] * 4, abs=0.03)


def test_sparse_features_form_a_pentagon(toys: mt.ToyModels) -> None:
    sparse = toys.geometry(2)
    assert sparse.represented == 5
    assert sparse.share == pytest.approx(0.4, abs=0.03)
    angles = np.sort(np.degrees(np.arctan2(*toys.weights[2])))
    apart = np.diff([*angles, angles[0] + 360])
    assert apart == pytest.approx([72] * 5, abs=6)
    assert sparse.dimensionality == pytest.approx([0.4] * 5, abs=0.03)
    assert toys.loss[-1, 2] < toys.loss[0, 2]


def test_measures_are_those_of_plain_sums() -> None:
    directions = np.random.default_rng(0).normal(size=(7, 3)) * np.arange(1, 8)[:, None]
    directions[3] = 0
    got = geometry(directions)
    for i, own in enumerate(directions):
        norm = float(np.sqrt(sum(each**2 for each in own)))
        if not norm:
            assert (got.norm[i], got.dimensionality[i], got.interference[i]) == (0, 0, 0)
            continue
        products = [sum(a * b for a, b in zip(own, other, strict=True)) / norm
                    for other in directions]  # fmt: skip
        squares = [each**2 for each in products]
        assert got.dimensionality[i] == pytest.approx(norm**2 / sum(squares))
        assert got.interference[i] == pytest.approx(sum(squares) - squares[i])


def test_a_real_layer_has_the_same_measures(embedded: Callable) -> None:
    neurons = mt.Neurons(embedded("words-4l"), 2)
    found = mt.superposition(neurons)
    plain = mt.superposition(neurons.directions.numpy())
    assert np.array_equal(found.dimensionality, plain.dimensionality)
    assert (len(found.norm), found.width) == (512, 128)
    with pytest.raises(InputError, match="1 axes"):
        mt.superposition(np.ones(3))


def test_a_feature_is_lost_shared_or_alone_by_density_and_importance() -> None:
    seen: list[PhaseDiagram] = []
    job = Job(on_partial=lambda _name, value: seen.append(value))
    phases = mt.phase_diagram(squares=3, steps=600, repeats=3, job=job)
    dense, weak, strong = 0, 0, -1
    assert phases.norm[weak, dense] < 0.2
    assert phases.norm[strong, dense] > 0.9
    assert phases.interference[strong, dense] < 0.1
    middle = phases.norm[1, 1], phases.interference[1, 1]
    assert middle[0] > 0.6
    assert middle[1] > 0.2
    assert phase_analysis(phases).array("norm").shape == (3, 3)
    assert seen[0].done < phases.done == 600  # as it forms
    assert not np.array_equal(seen[0].norm, phases.norm)


def test_a_toy_comes_back_from_its_analysis(toys: mt.ToyModels) -> None:
    again = toys_of(toy_analysis(toys))
    assert again.plan == toys.plan
    assert np.array_equal(again.weights, toys.weights)


def test_training_repeats_with_its_seed_shows_itself_and_stops() -> None:
    seen: list[mt.ToyModels] = []
    job = Job(on_partial=lambda _name, value: seen.append(value))
    plan = mt.ToyPlan(steps=50, batch=8)
    whole = mt.train_toy(plan, job=job)
    assert np.array_equal(mt.train_toy(plan).weights, whole.weights)
    assert np.array_equal(seen[-1].weights, whole.weights)
    assert not np.array_equal(seen[0].weights, whole.weights)
    stopped = Job(on_partial=lambda _name, _value: stopped.cancel())
    with pytest.raises(Cancelled):
        mt.train_toy(plan, job=stopped)


@pytest.mark.parametrize(
    "plan",
    [
        mt.ToyPlan(features=0),
        mt.ToyPlan(sparsity=()),
        mt.ToyPlan(sparsity=(1.0,)),
        mt.ToyPlan(importance=0.0),
        mt.ToyPlan(dimensions=5_000),
    ],
)
def test_plans_that_cannot_be_trained_are_refused(plan: mt.ToyPlan) -> None:
    with pytest.raises(InputError):
        mt.train_toy(plan)
