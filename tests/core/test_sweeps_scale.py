"""From values to effects, bands and noise: plain formulas, and what the seed decides."""

from __future__ import annotations

import numpy as np
import pytest

from microtome.interventions.sweeping.examples import Noise, noised_examples
from microtome.interventions.sweeping.scale import scaled
from microtome.metrics import LogitOverMean

CLEAN, CORRUPT = np.array([4.0, 2.0, 3.0, 5.0, 1.0, 6.0]), np.array([1.0, -1.0, 0.0, 2.0, 0.5, 1.0])


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(len(CLEAN), 3))


def test_effects_are_the_ratio_of_the_means(values):
    found = scaled(values, CLEAN, CORRUPT, seed=0)
    expected = (values - CORRUPT[:, None]).mean(0) / (CLEAN - CORRUPT).mean()
    np.testing.assert_allclose(found.effects, expected, rtol=1e-6)
    np.testing.assert_allclose(found.raw, values.mean(0))
    assert found.normalised


def test_effects_of_an_ablation_are_changes_of_the_metric(values):
    found = scaled(values, CLEAN, None, seed=0)
    np.testing.assert_allclose(found.effects, (values - CLEAN[:, None]).mean(0), rtol=1e-6)
    assert not found.normalised


def test_the_band_holds_the_effect_and_belongs_to_the_seed(values):
    one, again, other = (scaled(values, CLEAN, CORRUPT, seed).band for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    effects = scaled(values, CLEAN, CORRUPT, 1).effects
    assert (one[0] <= effects).all()
    assert (effects <= one[1]).all()
    assert np.ptp(one[:, 0]) > 0


def test_noise_is_as_large_as_asked_also_where_embeddings_are_scaled(tiny_model):
    model = tiny_model("gemma2")
    anatomy = model.anatomy
    assert anatomy.embedding_scale > 2
    drawn = Noise((1, 3), 2.0, 40, seed=3)
    noises = [
        each.noise for each in noised_examples(model, [3, 1, 4, 1, 5], LogitOverMean(1), drawn)
    ]
    size = 2.0 * float(anatomy.embedding.std()) * anatomy.embedding_scale
    within = np.stack([noise[1:3] for noise in noises])
    assert within.std() == pytest.approx(size, rel=0.05)
    assert all(not noise[0].any() and not noise[3:].any() for noise in noises)
