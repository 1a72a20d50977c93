"""Generated text against transformers' own, and edits against hooks written for the purpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from microtome.activations.capture import trace
from microtome.errors import Cancelled, EditError, InputError
from microtome.interventions.edits import Ablate, Patch, Steer
from microtome.interventions.generation import generate
from microtome.interventions.sampling import Sampling
from microtome.jobs import Job
from microtome.records.generation import generation_analysis, generations_of
from microtome.records.session import Session
from microtome.session.reader import open_session
from microtome.session.writer import save_session

IDS = [3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5]
OTHER = [8, 1, 50, 50, 2, 7, 7, 33, 40, 12, 0, 6]
NAMES = "When Mary and John went to the store, John gave a drink to"


def of_transformers(model, ids, n_tokens, **given):
    """What transformers' greedy search writes, the prompt left out."""
    with torch.inference_mode():
        whole = model.module.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=n_tokens,
            do_sample=False,
            pad_token_id=0,
            **given,
        )
    return whole[0].tolist()


@pytest.mark.parametrize("variant", ["gpt2", "mistral", "gemma2", "bloom"])
def test_greedy_text_is_that_of_transformers(tiny_model, variant):
    model = tiny_model(variant)
    expected = of_transformers(model, IDS, 12)[len(IDS) :]
    found = generate(model, IDS, 12)
    assert found.ids.tolist() == expected
    assert found.stopped == ("end" if expected[-1] in model.ends else "length")


def test_greedy_text_of_a_decoder_beside_an_encoder_is_that_of_transformers(tiny_model):
    model = tiny_model("t5")
    expected = of_transformers(model, IDS, 8, use_cache=False, eos_token_id=None)
    found = generate(model, IDS, 8)
    assert found.tokens == ("<0>",)
    assert len(found.source) == len(IDS)
    cut = expected[1 : 1 + len(found.ids)]
    assert found.ids.tolist() == cut
    assert found.stopped == "length" or cut[-1] in model.ends


def test_an_embedded_model_writes_and_ends_as_transformers_does(embedded):
    model = embedded("words-4l")
    ids = model.tokenize(NAMES).ids.tolist()
    expected = of_transformers(model, ids, 40)[len(ids) :]
    found = generate(model, NAMES, 40)
    assert found.ids.tolist() == expected
    assert found.texts[0].strip() == "Mary"
    assert found.text.startswith("Mary")
    assert found.stopped == "end"
    best = trace(model, NAMES).top_probabilities[-1, 0]
    assert found.probabilities[0] == pytest.approx(best, rel=1e-5)
    assert found.prompt == model.tokenize(NAMES).prompt


def test_it_stops_where_the_model_reads_no_more(tiny_model):
    model = tiny_model("gpt2", eos_token_id=None)
    ids = [7] * 45
    found = generate(model, ids, 10)
    assert len(found.ids) == 4  # the last one is written behind all that can be read
    assert found.stopped == "context"


def test_sampling_draws_from_the_distribution_of_transformers():
    random = np.random.default_rng(0)
    for temperature, top_k, top_p in [
        (0.7, None, None),
        (1.3, 5, None),
        (1.0, None, 0.6),
        (2.0, 9, 0.8),
    ]:
        logits = random.normal(scale=3, size=40)
        scores = TemperatureLogitsWarper(temperature)(None, torch.tensor(logits)[None])
        scores = scores if top_k is None else TopKLogitsWarper(top_k)(None, scores)
        scores = scores if top_p is None else TopPLogitsWarper(top_p)(None, scores)
        expected = torch.softmax(scores, -1)[0].numpy()
        sampling = Sampling(temperature, top_k, top_p)
        np.testing.assert_allclose(sampling.probabilities(logits), expected, atol=1e-12)
        drawn = [sampling.choose(logits, at) for at in (np.arange(500) + 0.5) / 500]
        counts = np.bincount(drawn, minlength=40) / 500
        np.testing.assert_allclose(counts, expected, atol=1 / 250)


def test_a_seed_repeats_a_text_and_another_one_gives_another(tiny_model):
    model = tiny_model("llama", eos_token_id=None)
    first, again, other = (
        generate(model, IDS, 12, temperature=1.5, seed=seed).ids.tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    idle = Steer("resid_post.1", np.ones(24), 0.0)  # changes nothing, and so no draw
    assert generate(model, IDS, 12, temperature=1.5, seed=1, edits=[idle]).ids.tolist() == first
    assert (
        generate(model, IDS, 12, temperature=5.0, top_k=1).ids.tolist()
        == generate(model, IDS, 12).ids.tolist()
    )


# ---------------------------------------------------------------------- with edits


def hooked(model, ids, n_tokens, module, change):
    """Greedy text under a hook of torch's own, one whole pass a token."""
    handle = module.register_forward_hook(lambda _m, _i, output: change(output))
    try:
        written = list(ids)
        with torch.inference_mode():
            for _ in range(n_tokens):
                logits = model.module(torch.tensor([written]), use_cache=False).logits
                written.append(int(logits[0, -1].argmax()))
        return written[len(ids) :]
    finally:
        handle.remove()


def test_an_edit_without_positions_acts_on_every_token_of_the_growing_text(tiny_model):
    model = tiny_model("gpt2", eos_token_id=None)
    mlp = model.module.transformer.h[1].mlp
    expected = hooked(model, IDS, 10, mlp, torch.zeros_like)
    assert generate(model, IDS, 10, edits=[Ablate("mlp_out.1")]).ids.tolist() == expected
    direction = np.random.default_rng(3).normal(size=24)
    pushed = hooked(model, IDS, 10, mlp, lambda made: made + torch.tensor(3 * direction).float())
    found = generate(model, IDS, 10, edits=[Steer("mlp_out.1", direction, 3.0)])
    assert found.ids.tolist() == pushed
    assert expected != pushed != generate(model, IDS, 10).ids.tolist()
    assert found.edits == ("steering of mlp_out.1 by 3 × a direction",)


def test_an_edit_with_positions_stays_at_them_while_the_text_grows(tiny_model):
    model = tiny_model("gpt2", eos_token_id=None)
    mlp = model.module.transformer.h[1].mlp
    direction = torch.tensor(np.random.default_rng(4).normal(size=24) * 30).float()

    def at_the_end_of_the_prompt(made):
        made = made.clone()
        made[:, len(IDS) - 1] += direction
        return made

    expected = hooked(model, IDS, 10, mlp, at_the_end_of_the_prompt)
    steer = Steer("mlp_out.1", direction, positions=[-1])
    assert generate(model, IDS, 10, edits=[steer]).ids.tolist() == expected
    assert expected != generate(model, IDS, 10, edits=[Steer("mlp_out.1", direction)]).ids.tolist()


@pytest.mark.parametrize(
    "site", ["resid_pre.1", "z.1.2", "pattern.1", "scores.0.3", "k.2", "norm2_scale.1"]
)
def test_values_of_a_prompt_stay_in_the_prompt_while_the_text_grows(tiny_model, site):
    model = tiny_model("llama", eos_token_id=None)
    value = trace(model, OTHER).activation(site)
    texts = [
        generate(model, IDS, 6, edits=[edit])
        for edit in (
            Patch(site, value),
            Patch.from_prompt(site, OTHER),
            Ablate(site, "resample", over=[OTHER]),
            Ablate(site, "position mean", over=[OTHER, OTHER]),
        )
    ]
    assert len({tuple(text.ids.tolist()) for text in texts}) == 1
    # With the whole text at hand one run of it must predict every token that was written.
    whole = [*IDS, *texts[0].ids.tolist()]
    longer = trace(model, whole).activation(site).copy()
    longer[tuple(slice(length) for length in value.shape)] = value
    run = trace(model, whole, edits=[Patch(site, longer)])
    assert run.top_ids[len(IDS) - 1 : -1, 0].tolist() == texts[0].ids.tolist()


def test_edits_of_an_encoder_act_while_its_decoder_writes(tiny_model):
    model = tiny_model("t5", eos_token_id=None)
    plain = generate(model, IDS, 6)
    found = generate(model, IDS, 6, edits=[Patch.from_prompt("enc_resid_post.1", OTHER)])
    assert found.ids.tolist() == generate(model, OTHER, 6).ids.tolist() != plain.ids.tolist()


def test_text_comes_as_it_is_written_and_stops_when_it_is_told_to(tiny_model):
    model = tiny_model("gpt2", eos_token_id=None)
    seen = []

    def stop_after_three(name, value):
        seen.append((name, value.ids.tolist(), value.stopped))
        if len(seen) == 3:
            job.cancel()

    job = Job(on_partial=stop_after_three)
    with pytest.raises(Cancelled):
        generate(model, IDS, 10, edits=[Ablate("mlp_out.1")], job=job)
    whole = generate(model, IDS, 10, edits=[Ablate("mlp_out.1")]).ids.tolist()
    assert seen == [("generation", whole[:n], "") for n in (1, 2, 3)]


def test_two_texts_are_read_back_from_their_analysis_and_from_a_file(tiny_model, tmp_path):
    model = tiny_model("gpt2")
    before = generate(model, IDS, 5, temperature=0.5, seed=3)
    after = generate(model, IDS, 7, edits=[Ablate("mlp_out.1")])
    analysis = generation_analysis(before, after)
    assert (analysis.id, analysis.kind) == ("generation", "generation")
    run = trace(model, IDS, sites=["resid_post"])
    session = Session(model=model, traces=[run], analyses={analysis.id: analysis})
    reopened = open_session(save_session(tmp_path / "text.h5", session)).analyses["generation"]
    read = [*generations_of(analysis), *generations_of(reopened)]
    for found, given in zip(read, (before, after, before, after), strict=True):
        np.testing.assert_array_equal(found.ids, given.ids)
        np.testing.assert_array_equal(found.probabilities, given.probabilities)
        for name in ("texts", "tokens", "prompt", "text", "edits", "settings", "stopped", "model"):
            assert getattr(found, name) == getattr(given, name)
    assert generations_of(generation_analysis(before))[1] is None
    assert before.settings == {
        "n_tokens": 5, "temperature": 0.5, "top_k": None, "top_p": None, "seed": 3,
    }  # fmt: skip


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_tokens": 0}, "0 tokens"),
        ({"temperature": -1.0}, "temperature -1.0"),
        ({"temperature": float("inf")}, "temperature inf"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tiny_model, settings, said):
    with pytest.raises(InputError, match=said):
        generate(tiny_model("gpt2"), IDS, **settings)


def test_a_model_that_fills_in_does_not_write(tiny_model):
    with pytest.raises(InputError, match="does not go on"):
        generate(tiny_model("bert"), IDS)


def test_an_edit_that_does_not_fit_ends_it_before_the_first_token(tiny_model):
    with pytest.raises(EditError, match="position 12, but the prompt has 12 tokens"):
        generate(tiny_model("gpt2"), IDS, edits=[Ablate("z.0", positions=[12])])
