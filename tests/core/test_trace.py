"""A trace holds what a plain forward pass computes, at every site, and says what it will cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.activations.budget import plan_capture
from microtome.activations.capture import trace
from microtome.errors import Cancelled, MemoryExceeded, SiteMissing
from microtome.jobs import Job
from microtome.sites import SITES, Site

IDS = [3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5, 44, 2, 2, 19]


def test_every_site_is_what_a_plain_forward_computes(plain, tiny_model, family):
    model = tiny_model(family)
    run = trace(model, IDS)
    _, expected = plain.run(model.anatomy, IDS)
    assert set(run.activations) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(run.activation(name), values, rtol=1e-5, atol=3e-5, err_msg=name)


def test_shapes_are_those_of_the_site_table(tiny_model, family):
    model = tiny_model(family)
    run = trace(model, IDS)
    identity = model.identity
    lengths = {
        "position": 16, "query": 16, "key": 16, "head": 4, "d_model": 24,
        "kv_head": identity.n_kv_heads, "d_head": identity.d_head, "d_mlp": identity.d_mlp,
        "expert": 5,
    }  # fmt: skip
    for name, activation in run.activations.items():
        layers = (3,) if SITES[name].per_layer else ()
        assert activation.values.shape == (*layers, *(lengths[axis] for axis in SITES[name].axes))
        assert activation.values.dtype == np.float32


def test_sites_that_a_model_lacks_are_absent_and_named(tiny_model):
    model = tiny_model("gpt_neox")
    run = trace(model, IDS)
    assert "pos_embed" not in run.activations
    assert "resid_mid" not in run.activations
    with pytest.raises(SiteMissing, match=r"no site resid_mid .*between"):
        trace(model, IDS, sites=["resid_mid"])
    with pytest.raises(SiteMissing, match=r"no layer 3.*0 to 2"):
        trace(model, IDS, sites=["z.3"])


def test_a_traced_run_is_the_plain_run_bit_for_bit(tiny_model, family):
    model = tiny_model(family)
    before = model.forward(torch.tensor([IDS]))[0].numpy()
    np.testing.assert_array_equal(trace(model, IDS).logits, before)
    np.testing.assert_array_equal(model.forward(torch.tensor([IDS]))[0].numpy(), before)


def test_only_the_asked_sites_and_layers_are_held(tiny_model):
    model = tiny_model("llama")
    run = trace(model, IDS, sites=["z.2.1", "blocks.0.attn.hook_z", Site("embed")])
    assert {name: held.layers for name, held in run.activations.items()} == {
        "z": (0, 2),
        "embed": (),
    }
    everything = trace(model, IDS)
    np.testing.assert_array_equal(run.activation("z.2.1"), everything.activation("z")[2, :, 1])
    with pytest.raises(SiteMissing, match="Layer 1 was not captured"):
        run.activation("z.1")


def test_predictions_are_the_sorted_softmax(tiny_model):
    run = trace(tiny_model("gemma2"), IDS, top_k=7)
    logits = run.logits.astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    order = np.argsort(-logits, axis=-1)[:, :7]
    np.testing.assert_array_equal(run.top_ids, order)
    np.testing.assert_allclose(
        run.top_probabilities, np.take_along_axis(probabilities, order, 1), rtol=1e-5
    )
    np.testing.assert_array_equal(run.top_logits, np.take_along_axis(run.logits, order, 1))
    assert run.top_tokens[3][0] == f"<{order[3, 0]}>"


def test_float64_stays_float64(plain, tiny_model):
    model = tiny_model("gpt2", dtype="float64")
    run = trace(model, IDS)
    _, expected = plain.run(model.anatomy, IDS)
    for name, values in expected.items():
        np.testing.assert_allclose(run.activation(name), values.numpy(), atol=1e-12, err_msg=name)


def test_bfloat16_is_kept_as_float32(plain, tiny_model):
    model = tiny_model("llama", dtype="bfloat16")
    run = trace(model, IDS)
    expected = plain.run(model.anatomy, IDS)[1]["resid_post"].numpy()
    found = run.activation("resid_post")
    assert found.dtype == run.logits.dtype == np.float32
    assert 1e-4 < np.abs(found - expected).max() / np.abs(expected).max() < 3e-2


def test_the_budget_is_said_before_the_run(tiny_model):
    model = tiny_model("llama")

    class Untouched(Job):
        def check(self):
            raise AssertionError("the run has begun")

    with pytest.raises(MemoryExceeded, match=r"takes .* kB .*mlp_post.*budget is 5\.0 kB.*fewer"):
        trace(model, IDS, sites=["mlp_post"], budget=5000, job=Untouched())


def test_what_fits_is_captured_in_order_of_usefulness(tiny_model):
    model = tiny_model("llama")
    everything = plan_capture(model, 16)
    run = trace(model, IDS, budget=20_000)
    held = sum(activation.values.nbytes for activation in run.activations.values())
    plan = plan_capture(model, 16, budget=20_000)
    assert plan.n_bytes == held + run.logits.nbytes <= 20_000
    assert set(plan.left_out) == set(everything.layers) - set(run.activations)
    assert "resid_post" in run.activations
    assert "mlp_post" not in run.activations


def test_the_plan_is_what_the_trace_holds(tiny_model, family):
    model = tiny_model(family)
    run = trace(model, IDS)
    held = sum(activation.values.nbytes for activation in run.activations.values())
    assert plan_capture(model, 16).n_bytes == held + run.logits.nbytes


def test_a_cancelled_run_stops_at_the_next_module_and_leaves_no_hook(tiny_model):
    model = tiny_model("gemma2")
    clean = trace(model, IDS).logits

    class Stops(Job):
        def __init__(self, after):
            super().__init__()
            self.left = after

        def check(self):
            self.left -= 1
            if not self.left:
                self.cancel()
            super().check()

    for after in (1, 2, 17, 40):
        job = Stops(after)
        with pytest.raises(Cancelled):
            trace(model, IDS, job=job)
        assert job.left == 0
        assert not _hooks(model)
    np.testing.assert_array_equal(trace(model, IDS).logits, clean)


def _hooks(model):
    return [
        hook
        for module in model.module.modules()
        for table in (module._forward_hooks, module._forward_pre_hooks)
        for hook in table
    ]


def test_traces_of_an_embedded_model_read_as_text(embedded):
    model = embedded("words-4l")
    run = trace(model, "When Mary and John went to the store, John gave a drink to")
    assert run.tokens[:5] == ("<bos>", "When", "Mary", "and", "John")
    assert run.top_tokens[-1][0] == "Mary"
    assert run.live is model
    assert run.model.name == "words-4l"
    unknown = trace(model, "When Zorblax and John went")
    assert unknown.unknown == (2,)
    assert unknown.tokens[2] == "Zorblax"


def test_a_real_llama(plain, stories):
    run = trace(stories, "Once upon a time, there was a little girl named Lily.")
    _, expected = plain.run(stories.anatomy, run.token_ids.tolist())
    assert run.tokens[0] == "<s>"
    for name, values in expected.items():
        bound = 2e-6 * max(1.0, float(values.abs().max()))
        np.testing.assert_allclose(run.activation(name), values, atol=5 * bound, err_msg=name)


def test_memory_that_runs_out_during_a_run_is_said_so(tiny_model):
    class Greedy:
        def taps(self, *_):
            return {Site("mlp_post", 1): lambda values: values.new_empty(2**60)}

    with pytest.raises(MemoryExceeded, match=r"Memory ran out while llama.* ran on 16 tokens"):
        trace(tiny_model("llama"), IDS, edits=[Greedy()])
