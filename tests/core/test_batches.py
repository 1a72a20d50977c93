"""Batched activations equal those of one prompt at a time, also where prompts differ in length."""

from __future__ import annotations

import numpy as np

from microtome.activations.batches import batched_activations
from microtome.activations.capture import trace
from microtome.sites import Site

PROMPTS = ((1, 2, 3), (7, 5, 3, 2, 1, 8, 9), (4,), (9, 9, 1, 2), (3, 1, 4, 1, 5))


def test_a_batch_gives_what_single_runs_give(tiny_model, family):
    model = tiny_model(family)
    last = "router" if "router" in model.ports else "mlp_post"
    sites = [Site("resid_post", 1), Site("z", 0), Site(last, 1)]
    tokens = [model.tokenize(prompt) for prompt in PROMPTS]
    found = list(batched_activations(model, tokens, sites, rows=3))
    assert [read.prompt for read, _ in found] == [read.prompt for read in tokens]
    for prompt, (_, values) in zip(PROMPTS, found, strict=True):
        alone = trace(model, prompt, sites=sites)
        for site in sites:
            expected = alone.activation(site)
            assert values[site].shape == expected.shape
            assert np.abs(values[site] - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
