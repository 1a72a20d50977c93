"""Values of other prompts, positions and layers; and what goes wrong while a run is edited."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.activations.capture import trace
from microtome.errors import Cancelled, EditError, ModelError, SiteMissing
from microtome.interventions.edits import Ablate, Patch, Steer
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.sites import SITES, Site

IDS = [3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5]
OTHER = [8, 1, 50, 50, 2, 7, 7, 33, 40, 12, 0, 6]
THIRD = [5, 5, 9, 60, 1, 2, 30, 31, 2, 12, 0, 7]


def edited(model, *edits):
    return trace(model, model.lexicon.repeating(IDS), sites=[], edits=edits).logits


def values(model, site, prompt):
    return trace(model, prompt, sites=[Site.of(site)]).activation(site)


def same(one, other):
    np.testing.assert_array_equal(one, other)


OF_A_PAIR = ("cross_k", "cross_pattern", "resid_mid_cross", "enc_scores", "enc_resid_post")


@pytest.mark.parametrize("variant", ["gpt2", "t5"])
def test_a_patch_from_a_prompt_is_the_patch_of_its_values_at_every_site(tiny_model, variant):
    model = tiny_model(variant)
    prompt = model.lexicon.repeating(OTHER)
    run = trace(model, prompt)
    for name in OF_A_PAIR if model.has_encoder else model.ports:
        site = Site(name, 1 if SITES[name].per_layer else None)
        given = run.activation(site)
        found = edited(model, Patch.from_prompt(site, prompt, [3, -2]))
        same(found, edited(model, Patch(site, given, [3, -2])))


def test_rows_may_come_from_other_positions_a_prompt_of_another_length_and_another_layer(
    tiny_model,
):
    model = tiny_model("llama")
    short = OTHER[:7]
    given = values(model, "resid_post.0", short)
    patch = Patch.from_prompt("resid_post.2", short, [3, 9], from_positions=[-1, -1], from_layer=0)
    same(edited(model, patch), edited(model, Patch("resid_post.2", given[[6, 6]], [3, 9])))
    last = Patch.from_prompt("z.1.2", short, [-1])
    same(
        edited(model, last), edited(model, Patch("z.1.2", values(model, "z.1.2", short)[-1], [-1]))
    )
    spread = Patch.from_prompt("mlp_out.1", IDS, from_positions=[4])  # its own, at another place
    same(
        edited(model, spread), edited(model, Patch("mlp_out.1", values(model, "mlp_out.1", IDS)[4]))
    )
    layers = Patch.from_prompt("attn_out", OTHER)
    same(edited(model, layers), edited(model, Patch("attn_out", values(model, "attn_out", OTHER))))
    everywhere = Patch.from_prompt("attn_out", OTHER, from_layer=1)
    single = [Patch(f"attn_out.{at}", values(model, "attn_out.1", OTHER)) for at in range(3)]
    same(edited(model, everywhere), edited(model, *single))


def test_a_position_mean_is_that_of_each_position_by_itself(tiny_model):
    model = tiny_model("mistral")
    over = [IDS, OTHER, THIRD]
    for site in ("z.1.2", "resid_pre.1", "pattern.0", "k"):
        mean = np.mean([values(model, site, prompt).astype(float) for prompt in over], 0)
        found = edited(model, Ablate(site, "position mean", over=over, positions=[2, -1]))
        np.testing.assert_allclose(
            found, edited(model, Patch(site, mean, [2, -1])), rtol=1e-5, atol=1e-5
        )


def test_a_mean_is_over_all_positions_of_prompts_of_any_length(tiny_model):
    model, over = tiny_model("gpt2"), [IDS[:3], OTHER]
    for site, axis in (("resid_pre.1", 0), ("z.1", 0), ("mlp_post.2", 0)):
        rows = np.concatenate([values(model, site, one).astype(float) for one in over])
        found = edited(model, Ablate(site, "mean", over=over))
        mean = edited(model, Patch(site, rows.mean(axis, keepdims=True)))
        np.testing.assert_allclose(found, mean, rtol=1e-5, atol=1e-5)
    first, second = (
        edited(model, Ablate("z.1", "position mean", over=two))
        for two in ([IDS, OTHER], [IDS, THIRD])
    )
    assert (first != second).any()  # nothing that was measured for one is taken for the other


def test_a_resampling_takes_all_of_one_prompt_that_the_seed_draws(tiny_model):
    model = tiny_model("qwen2")
    over = [IDS, OTHER, THIRD]
    whole = [edited(model, Patch("mlp_post", values(model, "mlp_post", one))) for one in over]
    drawn = set()
    for seed in (0, 1, 11, 0):
        found = edited(model, Ablate("mlp_post", "resample", over=over, seed=seed))
        (which,) = [at for at, logits in enumerate(whole) if np.array_equal(logits, found)]
        drawn.add((seed, which))
    assert len(drawn) == 3  # seed 0 drew the same twice
    assert {which for _, which in drawn} == {0, 1, 2}


def test_what_an_edit_reaches_and_what_undoes_it(tiny_model):
    model = tiny_model("gpt2")
    push = Steer("resid_pre.1", np.ones(24))
    back = Steer("resid_pre.1", -np.ones(24))
    np.testing.assert_allclose(edited(model, push, back), trace(model, IDS).logits, atol=1e-5)
    # One place: the later edit sees what the earlier one made.
    value = np.full(24, 0.5)
    run = trace(
        model, IDS, edits=[Patch("mlp_out.1", value), Steer("mlp_out.1", np.ones(24), 0.25)]
    )
    assert (run.activation("mlp_out.1") == 0.75).all()
    # Two places: what lies upstream reaches what lies downstream, whatever the order in the list,
    # and a value that is put in hides what happened before it.
    cut, later = Ablate("z.0"), Patch.from_prompt("resid_post.1", OTHER)
    same(edited(model, cut, later), edited(model, later, cut))
    same(edited(model, cut, later), edited(model, later))
    # A norm's scale divides before its output is put in, so that only the latter counts.
    norm, scale = Patch("norm1.1", 0.5), Patch("norm1_scale.1", 3.0)
    same(edited(model, norm, scale), edited(model, norm))
    run = trace(model, IDS, edits=[scale])
    told = trace(model, IDS, edits=[Patch("norm1.1", run.activation("norm1.1"))])
    same(run.logits, told.logits)


# ---------------------------------------------------------------------- going wrong


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            Patch.from_prompt("resid_pre.1", OTHER[:7]),
            r"\[7, 24\] from .* but \[12, 24\] is needed",
        ),
        (Patch.from_prompt("pattern.1", OTHER[:7], [3]), r"\(head, query, key\)"),
        (
            Patch.from_prompt("resid_pre.1", OTHER, [3], from_positions=[12]),
            "the other prompt has 12",
        ),
        (
            Patch.from_prompt("resid_pre.1", OTHER, [3, 4], from_positions=[1, 2, 3]),
            "one or as many",
        ),
        (
            Ablate("z.1", "position mean", over=[IDS, OTHER[:7]]),
            "position mean of z needs prompts of",
        ),
        (Ablate("z.1", "resample", over=[OTHER[:7]]), "needs prompts of 12 tokens, but '8, 1, 50"),
    ],
)
def test_prompts_that_do_not_fit_are_named(tiny_model, edit, said):
    with pytest.raises(EditError, match=said):
        trace(tiny_model("llama"), IDS, edits=[edit])


def test_a_layer_that_is_not_there_and_one_where_none_can_be(tiny_model):
    with pytest.raises(SiteMissing, match="no layer 7"):
        trace(tiny_model("llama"), IDS, edits=[Patch.from_prompt("z.1", OTHER, from_layer=7)])
    with pytest.raises(SiteMissing, match="no layer 7"):
        trace(tiny_model("llama"), IDS, edits=[Ablate("z.7")])
    with pytest.raises(SiteMissing, match="no site enc_z"):
        trace(tiny_model("llama"), IDS, edits=[Ablate("enc_z.0")])
    with pytest.raises(EditError, match="exists once"):
        Patch.from_prompt("embed", OTHER, from_layer=1)


class Breaks:
    """An edit whose hook fails at one place."""

    def __init__(self, site):
        self.site = site

    def taps(self, *_):
        def tap(_values):
            raise ZeroDivisionError

        return {self.site: tap}


def hooks_on(model: Model) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(each, kind)) for each in model.module.modules() for kind in kinds)


@pytest.mark.parametrize("variant", ["gpt2", "t5", "mixtral", "opt_post_norm"])
def test_a_failure_in_a_hook_of_any_kind_leaves_the_model_as_it_was(tiny_model, variant):
    model = tiny_model(variant)
    before = trace(model, IDS, sites=[]).logits
    weights = {name: weight.clone() for name, weight in model.module.state_dict().items()}
    hooks = hooks_on(model)
    for name in model.ports:
        last = SITES[name].per_layer and model.identity.n_encoder_layers - 1
        layer = (last if name.startswith("enc_") else 2) if SITES[name].per_layer else None
        with pytest.raises(ZeroDivisionError):
            edited(model, Ablate("resid_pre", positions=[0]), Breaks(Site(name, layer)))
        assert hooks_on(model) == hooks, name
    same(trace(model, IDS, sites=[]).logits, before)
    for name, weight in model.module.state_dict().items():
        assert torch.equal(weight, weights[name])


def test_a_cancel_in_the_middle_of_an_edited_run_leaves_the_model_as_it_was(tiny_model):
    model = tiny_model("gpt2")
    before, job = trace(model, IDS).logits, Job()

    class Stops:
        def taps(self, *_):
            return {Site("z", 1): lambda values: (job.cancel(), values)[1]}

    with pytest.raises(Cancelled):
        trace(model, IDS, edits=[Steer("resid_pre.1", np.ones(24)), Stops()], job=job)
    assert not hooks_on(model)
    same(trace(model, IDS).logits, before)


# ---------------------------------------------------------------------- numbers that are none


@pytest.mark.parametrize(
    ("edits", "first"),
    [
        ([Ablate("norm1_scale.1", positions=[4])], "norm1.1 in position 4"),
        ([Steer("resid_mid.2", np.ones(24), 1e39, [5, 7])], "resid_mid.2 in position 5"),
        ([Steer("scores.1.2", np.ones(12), 1e39, [6])], "scores.1 in position 6"),
        ([Patch("mlp_post.0", 1e39, [-1]), Ablate("z.0")], "mlp_post.0 in position 11"),
        ([Steer("final_norm", np.ones(24), 1e39)], "final_norm in position 0"),
    ],
)
def test_an_edit_that_gives_nan_is_told_where_it_began(tiny_model, edits, first):
    model = tiny_model("llama")
    with pytest.raises(EditError, match="The edits give NaN or infinity") as told:
        trace(model, IDS, edits=edits)
    assert f"first at {first} " in str(told.value)
    assert not hooks_on(model)
    assert np.isfinite(trace(model, IDS, sites=[]).logits).all()


def test_an_encoder_that_gives_nan_is_told_by_its_own_positions(tiny_model):
    edit = Steer("enc_resid_post.1", np.ones(24), 1e39, [3])
    with pytest.raises(EditError, match=r"first at enc_resid_post.1 in position 3 \('<4>'\)"):
        trace(tiny_model("t5"), IDS, edits=[edit])


def test_a_model_that_gives_nan_by_itself_is_told_apart(tiny_folder):
    from microtome.models.loading import load_model

    model = load_model(tiny_folder("gpt2"))
    with torch.no_grad():
        model.module.transformer.h[1].mlp.c_proj.bias[0] = torch.nan
    with pytest.raises(
        ModelError, match=r"gives NaN or infinity, first at mlp_out.1 in position 0"
    ):
        trace(model, IDS)


def test_a_word_that_is_never_said_is_no_fault(tiny_model):
    model = tiny_model("gpt2")

    class Never:
        def taps(self, *_):
            return {}

    handle = model.module.lm_head.register_forward_hook(
        lambda _m, _i, made: made.index_fill(-1, torch.tensor([7]), -torch.inf)
    )
    try:
        run = trace(model, IDS, edits=[Never()])
    finally:
        handle.remove()
    assert 7 not in run.top_ids
    assert np.isneginf(run.logits[:, 7]).all()
