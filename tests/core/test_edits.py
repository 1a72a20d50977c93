"""Edits change exactly what they name, as a plain forward pass with the same change does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.activations.capture import trace
from microtome.errors import EditError
from microtome.interventions.edits import Ablate, Patch
from microtome.sites import SITES, Site

IDS = [3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5]
OTHER = [8, 1, 50, 50, 2, 7, 7, 33, 40, 12, 0, 6]
HEADED = [name for name, row in SITES.items() if {"head", "kv_head"} & set(row.axes)]


def _expect(plain, model, change):
    return plain.run(model.anatomy, IDS, change)[0].numpy()


def _changing(site, layer, value, head=None, rows=slice(None)):
    """A change for the plain forward: ``value`` into rows of a site, maybe of one head."""

    def change(name, at, h, values):
        if name != site or at != layer or (head is not None and h != head):
            return values
        new = values.clone()
        part = value if h is None or head is not None or value.dim() == 0 else value[h]
        new[rows] = part
        return new

    return change


@pytest.mark.parametrize("variant", ["gpt2", "gemma2"])
def test_zero_ablation_of_every_site(plain, tiny_model, variant):
    model = tiny_model(variant)
    base = trace(model, IDS, sites=[]).logits
    for name in model.ports:
        if name.endswith("scale"):
            continue  # a norm cannot divide by zero; patched below
        site = Site(name, 1 if SITES[name].per_layer else None)
        run = trace(model, IDS, sites=[name], edits=[Ablate(site)])
        expected = _expect(
            plain, model, _changing(name, site.layer, torch.zeros((), dtype=torch.float64))
        )
        np.testing.assert_allclose(run.logits, expected, rtol=1e-5, atol=3e-5, err_msg=name)
        assert not run.activation(site).any()
        assert run.edits == (f"zero ablation of {site}",)
        assert np.abs(run.logits - base).max() > 1e-3, name


def test_patching_a_run_with_its_own_values_changes_no_bit(tiny_model, family):
    model = tiny_model(family)
    own = trace(model, IDS)
    edits = [Patch(name, own.activation(name)) for name in model.ports]
    assert len(edits) >= 19
    run = trace(model, IDS, sites=[], edits=edits)
    np.testing.assert_array_equal(run.logits, own.logits)


def test_patching_values_of_another_prompt_into_every_site(plain, tiny_model, family):
    model = tiny_model(family)
    own, other = trace(model, IDS), trace(model, OTHER)
    for name in model.ports:
        site = Site(name, 2 if SITES[name].per_layer else None)
        given = other.activation(site)
        run = trace(model, IDS, sites=[name], edits=[Patch(site, given, [3, -2])])
        value = torch.from_numpy(given).double()
        axis = 1 if name in ("scores", "pattern") else 0
        if name in HEADED:
            value = (value if axis else value.transpose(0, 1))[:, [3, 10]]
        else:
            value = value[[3, 10]]
        expected = _expect(plain, model, _changing(name, site.layer, value, rows=[3, 10]))
        np.testing.assert_allclose(run.logits, expected, rtol=1e-5, atol=3e-5, err_msg=name)
        found, before = run.activation(site), own.activation(site)
        np.testing.assert_array_equal(found.take([3, 10], axis), given.take([3, 10], axis))
        np.testing.assert_array_equal(found.take([0, 1, 2], axis), before.take([0, 1, 2], axis))


def test_one_head_at_one_position(plain, tiny_model, family):
    model = tiny_model(family)
    for name in (name for name in HEADED if name in model.ports):
        shared = "kv_head" in SITES[name].axes and model.identity.n_kv_heads == 1
        head = 0 if shared else 1
        run = trace(model, IDS, sites=[], edits=[Ablate(Site(name, 0, head), positions=[5])])
        change = _changing(name, 0, torch.zeros((), dtype=torch.float64), head=head, rows=[5])
        expected = _expect(plain, model, change)
        np.testing.assert_allclose(run.logits, expected, rtol=1e-5, atol=3e-5, err_msg=name)


def test_mean_ablation_is_the_mean_over_all_positions_of_all_prompts(plain, tiny_model, family):
    model = tiny_model(family)
    over = [IDS, OTHER[:7], [60, 2]]
    runs = [trace(model, prompt) for prompt in over]
    mean = np.concatenate([run.activation("z.1.2") for run in runs]).astype(float).mean(0)
    run = trace(model, IDS, edits=[Ablate("z.1.2", "mean", over=over)])
    change = _changing("z", 1, torch.from_numpy(mean), head=2)
    np.testing.assert_allclose(run.logits, _expect(plain, model, change), rtol=1e-5, atol=3e-5)
    assert run.edits == ("mean ablation over 3 prompts of z.1.2",)


def test_the_mean_of_a_pattern_is_entry_by_entry(tiny_model):
    model = tiny_model("llama")
    patterns = [trace(model, prompt).activation("pattern.0") for prompt in (IDS, OTHER)]
    run = trace(model, IDS, edits=[Ablate("pattern.0", "mean", over=[IDS, OTHER], positions=[4])])
    np.testing.assert_allclose(
        run.activation("pattern.0")[:, 4], np.mean(patterns, 0)[:, 4], atol=1e-7
    )
    with pytest.raises(EditError, match="needs prompts of 12 tokens"):
        trace(model, IDS, edits=[Ablate("pattern.0", "mean", over=[IDS[:5]])])


def test_edits_act_in_the_order_given(tiny_model):
    model = tiny_model("gpt2")
    value = np.full(24, 0.5)
    first = [Patch("attn_out.1", value), Ablate("attn_out.1", positions=[2])]
    run = trace(model, IDS, edits=first)
    assert not run.activation("attn_out.1")[2].any()
    assert (run.activation("attn_out.1")[3] == 0.5).all()
    run = trace(model, IDS, edits=first[::-1])
    assert (run.activation("attn_out.1") == 0.5).all()
    assert run.edits == ("zero ablation of attn_out.1 at 2", "patch of attn_out.1")


def test_edits_of_two_sites_compose(plain, tiny_model, family):
    model = tiny_model(family)
    run = trace(model, IDS, edits=[Ablate("mlp_out.2"), Ablate("v.0.0")])

    def both(name, layer, head, values):
        hit = (name, layer) == ("mlp_out", 2) or (name, layer, head) == ("v", 0, 0)
        return torch.zeros_like(values) if hit else values

    np.testing.assert_allclose(run.logits, _expect(plain, model, both), rtol=1e-5, atol=3e-5)


def test_a_site_without_a_layer_means_every_layer(plain, tiny_model):
    model = tiny_model("qwen3")
    run = trace(model, IDS, edits=[Ablate("attn_out")])

    def all_layers(name, _layer, _head, values):
        return torch.zeros_like(values) if name == "attn_out" else values

    np.testing.assert_allclose(run.logits, _expect(plain, model, all_layers), rtol=1e-5, atol=3e-5)


def test_the_model_is_as_before_after_an_edit_and_after_a_failure(tiny_model, family):
    model = tiny_model(family)
    before = trace(model, IDS).logits
    weights = {name: weight.clone() for name, weight in model.module.state_dict().items()}
    trace(model, IDS, edits=[Ablate("resid_mid" if "resid_mid" in model.ports else "resid_pre")])
    with pytest.raises(EditError):
        trace(model, IDS, edits=[Ablate("z"), Patch("z.1", np.zeros((5, 5)))])

    class Breaks:
        def taps(self, *_):
            def tap(values):
                raise ZeroDivisionError

            return {Site("mlp_out", 2): tap}

    with pytest.raises(ZeroDivisionError):
        trace(model, IDS, edits=[Ablate("pattern"), Breaks()])
    for name, weight in model.module.state_dict().items():
        assert torch.equal(weight, weights[name])
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.module.modules()]
    assert not any(hooks)
    np.testing.assert_array_equal(trace(model, IDS).logits, before)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Ablate("z.0", "median"),
            "no ablation 'median'.*zero, mean, .* resample",
        ),
        (lambda: Ablate("z.0", "mean"), "needs prompts"),
        (lambda: Ablate("z.0.4"), "no head 4.*0 to 3"),
        (lambda: Ablate("v.0.2"), "no head 2.*0 to 1"),
        (lambda: Ablate("z.0", positions=[12]), "position 12, but the prompt has 12 tokens"),
        (lambda: Ablate("z.0", positions=[]), "names no position"),
        (
            lambda: Patch("z.0", np.zeros((3, 4, 8))),
            r"\[3, 4, 8\], but \[12, 4, 8\].*position, head",
        ),
        (lambda: Patch("z.0.1", np.zeros((12, 4, 8))), r"\[12, 8\] is needed \(position, d_head\)"),
        (lambda: Patch("z.0", float("nan")), "NaN or infinity"),
    ],
)
def test_an_edit_that_does_not_fit_says_so(tiny_model, make, said):
    model = tiny_model("llama")
    with pytest.raises(EditError, match=said):
        trace(model, IDS, edits=[make()])
