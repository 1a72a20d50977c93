"""The attention of one head computed again equals what a trace keeps, at every resolution."""

from __future__ import annotations

import numpy as np
import pytest

from microtome.activations.capture import trace
from microtome.activations.pattern import head_pattern
from microtome.errors import Cancelled, SiteMissing
from microtome.examining import examine
from microtome.jobs import Job
from microtome.models.loading import load_model
from microtome.prompts import Question
from microtome.records.pattern import halved, resolutions, thumbnails

IDS = [3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5, 44, 2, 2, 19]


def slow_halved(values):
    n = -(-len(values) // 2)
    blocks = [[values[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] for j in range(n)] for i in range(n)]
    return np.array([[block.max() for block in row] for row in blocks])


@pytest.mark.parametrize("n", [1, 2, 7, 10, 33])
def test_half_the_resolution_keeps_the_largest_of_each_square(n):
    values = np.random.default_rng(n).standard_normal((n, n)).astype(np.float32)
    np.testing.assert_array_equal(halved(values), slow_halved(values))
    stacked = np.stack([values, -values])
    np.testing.assert_array_equal(halved(stacked)[1], slow_halved(-values))


def test_resolutions_end_at_what_a_screen_shows():
    values = np.random.default_rng(0).random((1500, 1500), dtype=np.float32)
    found = resolutions(values)
    assert [len(each) for each in found] == [750, 375]
    assert found[-1].max() == values.max()
    assert resolutions(values[:500, :500]) == ()
    assert thumbnails(values[None]).shape == (1, 94, 94)


def test_the_pattern_is_that_of_the_trace(tiny_model, family):
    model = tiny_model(family)
    kept = trace(model, IDS, sites=["pattern"])
    for layer, head in ((0, 0), (2, 3)):
        found = head_pattern(model, IDS, layer, head)
        np.testing.assert_array_equal(found.values, kept.attention(layer)[head])
        np.testing.assert_array_equal(found.heads, kept.attention(layer))
        assert (found.layer, found.head, found.coarser) == (layer, head, ())


def test_nothing_of_the_look_stays_on_the_model(tiny_model):
    model = tiny_model("llama")
    before = trace(model, IDS).logits
    head_pattern(model, IDS, 1, 0)
    assert not any(module._forward_pre_hooks for module in model.module.modules())
    np.testing.assert_array_equal(trace(model, IDS).logits, before)


def test_a_head_that_is_not_there_is_named(tiny_model):
    with pytest.raises(SiteMissing, match=r"no head 4 in layer 0.*0 to 3"):
        head_pattern(tiny_model("gpt2"), IDS, 0, 4)
    with pytest.raises(SiteMissing, match="no layer 9"):
        head_pattern(tiny_model("gpt2"), IDS, 9, 0)


def test_a_look_can_be_cancelled(tiny_model):
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        head_pattern(tiny_model("gpt2"), IDS, 0, 0, job=job)


def test_a_run_too_long_to_keep_its_patterns_is_examined_all_the_same(monkeypatch):
    model = load_model("words-4l")
    asked = Question("When Mary and John went to the store, John gave a drink to")
    whole = examine(model, asked)
    sizes = {name: a.values.nbytes for name, a in whole.traces[0].activations.items()}
    room = whole.traces[0].logits.nbytes + sizes["resid_post"] + sizes["pattern"] // 2
    monkeypatch.setattr("microtome.activations.budget.DEFAULT_BUDGET", room)
    session = examine(model, asked)
    assert {"resid_post"} <= set(session.traces[0].activations) < set(sizes) - {"pattern"}
    assert "on_prompt" not in session.analyses["head-scores"].arrays
    assert "logit-lens" not in session.analyses  # needs the embeddings
    assert "projection/resid_post.2" in session.analyses
    np.testing.assert_array_equal(session.circuit.edge_weight, whole.circuit.edge_weight)
