"""Steering and the directions for it, against the plain forward pass and plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.activations.budget import shape_of
from microtome.activations.capture import trace
from microtome.errors import AnswerError, EditError
from microtome.interventions.directions import (
    difference_of_means,
    direction_of,
    mean_norm,
    principal_direction,
    unembedding_direction,
    unit,
)
from microtome.interventions.edits import Ablate, Patch, Steer
from microtome.interventions.specs import describe, edits_of
from microtome.records.edits import DirectionSpec, EditSpec
from microtome.sites import SITES, Site

IDS = [3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5]
OTHER = [8, 1, 50, 50, 2, 7, 7, 33, 40, 12, 0, 6]
FAMILIES = ["gemma2", "gpt_neox", "bert"]
ROWS = [3, 10]


def vector_for(model, name: str, seed: int = 0) -> np.ndarray:
    """A random direction of a site: one vector for all heads, a number for a scale."""
    axes = SITES[name].axes
    if len(axes) == 1:
        return np.array(0.3)
    width = shape_of(model, name, len(IDS))[-1]
    return np.random.default_rng(seed).normal(size=width)


def plainly(plain, model, name, layer, act, head=None):
    """The plain forward with ``act`` done to the rows 3 and 10 of a site, maybe of one head."""

    def change(site, at, h, values):
        if site != name or at != layer or (head is not None and h != head):
            return values
        new = values.clone()
        new[ROWS] = act(new[ROWS])
        return new

    return plain.run(model.anatomy, IDS, change)[0].numpy()


@pytest.mark.parametrize("variant", FAMILIES)
def test_adding_a_direction_to_every_site(plain, tiny_model, variant):
    model = tiny_model(variant)
    base = trace(model, IDS, sites=[]).logits
    for name in model.ports:
        layer = 1 if SITES[name].per_layer else None
        direction = vector_for(model, name)
        run = trace(model, IDS, sites=[], edits=[Steer(Site(name, layer), direction, 2.0, [3, -2])])
        added = torch.tensor(2.0 * direction)
        expected = plainly(plain, model, name, layer, lambda part, added=added: part + added)
        np.testing.assert_allclose(run.logits, expected, rtol=1e-5, atol=5e-5, err_msg=name)
        assert np.abs(run.logits - base).max() > 1e-4, name


@pytest.mark.parametrize("variant", FAMILIES[:1])
def test_projecting_a_direction_out_of_every_site(plain, tiny_model, variant):
    model = tiny_model(variant)
    for name in (name for name in model.ports if len(SITES[name].axes) > 1):
        layer = 1 if SITES[name].per_layer else None
        direction = vector_for(model, name)
        steer = Steer(Site(name, layer), direction, 0.5, [3, -2], project_out=True)
        run = trace(model, IDS, sites=[], edits=[steer])
        along = torch.from_numpy(direction)

        def halved(part, along=along):
            return part - 0.5 * (part @ along)[:, None] * along / (along @ along)

        expected = plainly(plain, model, name, layer, halved)
        np.testing.assert_allclose(run.logits, expected, rtol=1e-5, atol=5e-5, err_msg=name)


def test_a_direction_projected_out_is_gone_and_the_rest_stays(tiny_model):
    model = tiny_model("llama")
    direction = vector_for(model, "resid_mid")
    before = trace(model, IDS).activation("resid_mid.1").astype(float)
    steer = Steer("resid_mid.1", 7 * direction, project_out=True)
    after = trace(model, IDS, edits=[steer]).activation("resid_mid.1").astype(float)
    np.testing.assert_allclose(after @ direction, 0, atol=1e-5)
    others = np.linalg.svd(direction[None])[2][1:]  # all that is at right angles to it
    np.testing.assert_allclose(after @ others.T, before @ others.T, atol=1e-5)


def test_one_head_each_head_and_each_layer_have_directions_of_their_own(plain, tiny_model):
    model = tiny_model("llama")
    one = np.random.default_rng(1).normal(size=8)
    run = trace(model, IDS, sites=[], edits=[Steer("z.1.2", one, -1.5, ROWS)])
    added = torch.from_numpy(-1.5 * one)
    expected = plainly(plain, model, "z", 1, lambda part: part + added, head=2)
    np.testing.assert_allclose(run.logits, expected, rtol=1e-5, atol=5e-5)
    heads = np.random.default_rng(2).normal(size=(3, 4, 8))
    together = trace(model, IDS, sites=[], edits=[Steer("z", heads)]).logits
    single = [Steer(Site("z", at, h), heads[at, h]) for at in range(3) for h in range(4)]
    np.testing.assert_allclose(
        together, trace(model, IDS, sites=[], edits=single).logits, rtol=1e-5, atol=1e-5
    )
    same = trace(model, IDS, sites=[], edits=[Steer("z", one)]).logits
    spread = np.broadcast_to(one, (3, 4, 8))
    np.testing.assert_array_equal(
        same, trace(model, IDS, sites=[], edits=[Steer("z", spread)]).logits
    )


def test_patterns_are_steered_along_the_keys_at_chosen_queries(tiny_model):
    model = tiny_model("gpt2")
    keys = np.eye(12)[2]
    before = trace(model, IDS).activation("pattern.1")
    after = trace(model, IDS, edits=[Steer("pattern.1.3", keys, 0.25, [5])]).activation("pattern.1")
    expected = before.copy()
    expected[3, 5, 2] += 0.25
    np.testing.assert_array_equal(after, expected)
    by_head = np.random.default_rng(4).normal(size=(4, 12))
    after = trace(model, IDS, edits=[Steer("pattern.1", by_head)]).activation("pattern.1")
    np.testing.assert_allclose(after, before + by_head[:, None], rtol=1e-5, atol=1e-6)


def test_strength_counts_in_lengths_of_the_direction_as_given(tiny_model):
    model = tiny_model("qwen3")
    direction = vector_for(model, "mlp_out")
    twice = trace(model, IDS, edits=[Steer("mlp_out.0", direction, 2.0)]).logits
    np.testing.assert_array_equal(
        twice, trace(model, IDS, edits=[Steer("mlp_out.0", 2 * direction)]).logits
    )
    steady = trace(model, IDS, edits=[Steer("mlp_out.0", direction, 0.0)]).logits
    np.testing.assert_array_equal(steady, trace(model, IDS).logits)


# ---------------------------------------------------------------------- directions

OVER, OTHERS = [IDS, OTHER[:7], [60, 2]], [[1, 2, 3], [9, 9, 5, 4]]


def rows(model, site, prompts, at=slice(None)):
    return np.concatenate([trace(model, ids).activation(site)[at] for ids in prompts]).astype(float)


def test_a_difference_of_means_is_one(tiny_model):
    model = tiny_model("mistral")
    for site in ("resid_post.1", "z.2.3", "z.2", "final_norm"):
        expected = rows(model, site, OVER).mean(0) - rows(model, site, OTHERS).mean(0)
        found = difference_of_means(model, site, OVER, OTHERS)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    last = slice(-1, None)
    expected = rows(model, "q.0.1", OVER, last).mean(0) - rows(model, "q.0.1", OTHERS, last).mean(0)
    found = difference_of_means(model, "q.0.1", OVER, OTHERS, positions=[-1])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    layers = difference_of_means(model, "z", OVER, OTHERS)
    assert layers.shape == (3, 4, 8)
    np.testing.assert_allclose(layers[2, 3], difference_of_means(model, "z.2.3", OVER, OTHERS))


def test_a_principal_direction_is_that_of_a_singular_value_decomposition(tiny_model):
    model = tiny_model("gpt2")
    held = rows(model, "resid_post.1", OVER)
    axes = np.linalg.svd(held - held.mean(0), full_matrices=False)[2]
    for component in (0, 3):
        found = principal_direction(model, "resid_post.1", OVER, component)
        assert abs(found @ axes[component]) == pytest.approx(1, abs=1e-6)
        assert found[np.abs(found).argmax()] > 0
    assert principal_direction(model, "z.1.2", OVER).shape == (6,)
    assert principal_direction(model, "mlp_out", OVER).shape == (3, 24)


def test_a_row_of_the_unembedding_raises_its_logit(tiny_model):
    model = tiny_model("gpt2")
    head = model.module.get_output_embeddings().weight.double().numpy()
    np.testing.assert_array_equal(unembedding_direction(model, 7), head[7])
    both = unembedding_direction(model, 7, 9)
    np.testing.assert_array_equal(both, head[7] - head[9])
    before = trace(model, IDS).logits
    after = trace(model, IDS, edits=[Steer("final_norm", both)]).logits
    change = (after - before).astype(float)
    np.testing.assert_allclose(change[:, 7] - change[:, 9], both @ both, rtol=1e-4)


def test_a_matrix_before_the_unembedding_is_taken_back_into_the_stream(tiny_model):
    model = tiny_model("opt_post_norm")
    direction = unembedding_direction(model, 7)
    assert direction.shape == (24,)
    before = trace(model, IDS).logits
    after = trace(model, IDS, edits=[Steer("resid_post.2", direction)]).logits
    np.testing.assert_allclose((after - before)[:, 7], direction @ direction, rtol=1e-4)
    with pytest.raises(EditError, match="more than a norm and a matrix"):
        unembedding_direction(tiny_model("bert"), 7)


def test_directions_written_down_are_told_apart_by_what_they_hold(tiny_model):
    model, found = tiny_model("gpt2"), []
    for prompts in ((tuple(IDS),), (tuple(OTHER),)):
        spec = DirectionSpec("difference", prompts, (tuple(IDS[:4]),), unit=False)
        found.append(direction_of(model, "resid_post.1", spec))
        plain = difference_of_means(model, "resid_post.1", prompts, [IDS[:4]])
        np.testing.assert_array_equal(found[-1], plain)
    assert (found[0] != found[1]).any()


def test_the_mean_norm_and_unit_length(tiny_model):
    model = tiny_model("llama")
    lengths = np.linalg.norm(rows(model, "resid_post.1", OVER), axis=-1)
    assert mean_norm(model, "resid_post.1", OVER) == pytest.approx(lengths.mean(), rel=1e-6)
    assert mean_norm(model, "z", OVER).shape == (3, 4)
    np.testing.assert_allclose(np.linalg.norm(unit(np.ones((2, 5))), axis=-1), 1)


# ---------------------------------------------------------------------- as the user wrote them

APART = DirectionSpec("unembedding", token=5, other=6)
AXIS = DirectionSpec("component", prompts=(tuple(IDS),), component=1)
SPECS = [
    EditSpec("z.2.1", "zero", positions=(3,)),
    EditSpec("mlp_out.0", "mean", prompts=(tuple(IDS), tuple(OTHER))),
    EditSpec("v.1", "position mean", prompts=(tuple(IDS), tuple(OTHER))),
    EditSpec("k.1", "resample", prompts=(tuple(IDS), tuple(OTHER)), seed=3),
    EditSpec(
        "resid_pre.2", "patch", (-1,), (tuple(OTHER),), from_positions=(4,), from_layer=1
    ),
    EditSpec("resid_post.2", "add", strength=4, direction=APART),
    EditSpec(
        "attn_out", "project out", strength=0.5,
        direction=DirectionSpec("difference", prompts=(tuple(IDS),), others=(tuple(OTHER),)),
    ),
    EditSpec("mlp_post.1", "add", direction=AXIS),
    EditSpec("q.0.1", "add", direction=DirectionSpec("values", values=(1,) * 8, unit=False)),
    EditSpec("mlp_in.0", "zero", on=False),
]  # fmt: skip


def test_what_was_written_down_becomes_the_same_edits(tiny_model):
    model = tiny_model("llama")
    unembedding = unit(unembedding_direction(model, 5, 6))
    difference = unit(difference_of_means(model, "attn_out", [IDS], [OTHER]))
    component = principal_direction(model, "mlp_post.1", [IDS], 1)
    same = [
        Ablate("z.2.1", positions=[3]),
        Ablate("mlp_out.0", "mean", over=[IDS, OTHER]),
        Ablate("v.1", "position mean", over=[IDS, OTHER]),
        Ablate("k.1", "resample", over=[IDS, OTHER], seed=3),
        Patch.from_prompt("resid_pre.2", OTHER, [-1], from_positions=[4], from_layer=1),
        Steer("resid_post.2", unembedding, 4),
        Steer("attn_out", difference, 0.5, project_out=True),
        Steer("mlp_post.1", component),
        Steer("q.0.1", np.ones(8)),
    ]
    found = edits_of(model, SPECS)
    assert len(found) == len(same)
    run = trace(model, IDS, sites=[], edits=found)
    np.testing.assert_array_equal(run.logits, trace(model, IDS, sites=[], edits=same).logits)
    assert run.edits == tuple(describe(spec, model) for spec in SPECS if spec.on)
    assert (
        run.edits[4]
        == f"patch of resid_pre.2 at -1 from '{', '.join(map(str, OTHER))}' layer 1 at 4"
    )
    assert describe(SPECS[5]) == "steering of resid_post.2 by 4 × unembedding of token 5 − token 6"
    for one in SPECS:
        assert EditSpec.from_json(one.as_json()) == one


def test_words_name_the_directions_of_a_model_that_has_them(embedded):
    model = embedded("words-4l")
    mary, john = (model.answer_token(name) for name in ("Mary", "John"))
    toward = DirectionSpec("unembedding", token=john, other=mary)
    spec = EditSpec("resid_post.3", "add", strength=40.0, direction=toward)
    prompt = "When Mary and John went to the store, John gave a drink to"
    run = trace(model, prompt, edits=edits_of(model, [spec]))
    assert run.edits == ("steering of resid_post.3 by 40 × unembedding of John − Mary",)
    assert run.top_tokens[-1][0].strip() == "John"


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Steer("resid_post.1", np.zeros(24)), "length 0.*points nowhere"),
        (lambda: Steer("resid_post.1", [1.0, np.inf]), "NaN or infinity"),
        (lambda: Steer("resid_post.1", np.ones(24), float("nan")), "strength nan is not finite"),
        (lambda: Steer("resid_post.1", np.ones(23)), r"shape \[23\], but \[24\] \(d_model\)"),
        (lambda: Steer("z.1", np.ones((3, 8))), r"\[8\] \(d_head\) or \[4, 8\] \(head, d_head\)"),
        (lambda: Steer("resid_post", np.ones((2, 24))), r"or \[3, 24\] \(layer, d_model\)"),
        (lambda: Steer("norm1_scale.1", np.ones(24)), r"\[\] \(a number\) is needed"),
        (lambda: Steer("norm1_scale.1", 1.0, project_out=True), "nothing can be projected out"),
        (lambda: Steer("z.0.4", np.ones(8)), "no head 4.*0 to 3"),
        (lambda: Steer("mlp_out.0", np.ones(24), positions=[12]), "position 12, but the prompt"),
        (lambda: Steer("mlp_out.0", None), "direction is None"),
    ],
)  # fmt: skip
def test_a_direction_that_does_not_fit_says_so(tiny_model, make, said):
    with pytest.raises(EditError, match=said):
        trace(tiny_model("llama"), IDS, edits=[make()])


@pytest.mark.parametrize(
    ("find", "said"),
    [
        (lambda m: difference_of_means(m, "resid_post.1", [IDS], [IDS]), "the same mean"),
        (lambda m: difference_of_means(m, "resid_post.1", [], [IDS]), "needs a list"),
        (lambda m: difference_of_means(m, "z.1", [IDS], [[4]], positions=[3]), "position 3, but"),
        (lambda m: principal_direction(m, "resid_post.1", [IDS], 11), "no component 11 of 12"),
        (lambda m: principal_direction(m, "z.1", [IDS]), "Name a head"),
        (lambda m: unembedding_direction(m, 5, 5), "length 0"),
        (lambda m: unit(np.zeros(4)), "length 0"),
        (lambda m: edits_of(m, [EditSpec("z.1", "mean")]), "needs prompts"),
        (lambda m: edits_of(m, [EditSpec("z.1", "patch")]), "needs one prompt"),
        (lambda m: edits_of(m, [EditSpec("z.1", "add")]), "needs a direction"),
        (
            lambda m: edits_of(m, [EditSpec("z.1", "add", direction=DirectionSpec("unembedding"))]),
            "needs a token",
        ),
    ],
)
def test_a_direction_that_cannot_be_found_says_so(tiny_model, find, said):
    with pytest.raises(EditError, match=said):
        find(tiny_model("llama"))


def test_a_token_outside_the_vocabulary_is_refused(tiny_model):
    with pytest.raises(AnswerError, match="outside the vocabulary"):
        unembedding_direction(tiny_model("llama"), 61)
