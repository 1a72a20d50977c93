"""What the corrupt prompt changes in the predictions, against the two runs' own logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from microtome.activations.capture import trace
from microtome.analysis.change import logit_change
from microtome.errors import SiteMissing


@pytest.fixture
def runs(embedded):
    prompts = ("Mary gave a drink to", "John gave a drink to")
    return tuple(trace(embedded("words-4l"), prompt, sites=()) for prompt in prompts)


def test_every_shown_word_has_its_change(runs):
    clean, corrupt = runs
    change = logit_change(clean, corrupt).array("difference")
    assert change.shape == clean.top_ids.shape
    for position, ids in enumerate(clean.top_ids):
        for k, token in enumerate(ids):
            expected = clean.logits[position, token] - corrupt.logits[position, token]
            assert change[position, k] == pytest.approx(expected, abs=1e-5)
    assert np.ptp(change) > 1


def test_a_run_without_its_logits_says_so(runs):
    clean, corrupt = runs
    with pytest.raises(SiteMissing, match="without all its logits"):
        logit_change(clean, replace(corrupt, logits=None))
