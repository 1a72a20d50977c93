"""T5 and its kin: an encoder, a decoder that looks at it, and the sites of both."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import tiny_models
import torch

import microtome as mt
from microtome.activations.batches import batched_activations
from microtome.errors import EditError, PromptError, SiteMissing, UnknownArchitecture
from microtome.models.hooks import layers_of
from microtome.records.checks import Verdict
from microtome.selfcheck import editing
from microtome.session.writer import save_session
from microtome.sites import SITES

SOURCE = [3, 17, 4, 4, 60, 22, 9, 31, 8, 44]
TARGET = [5, 44, 2, 2, 19, 17]
PROMPT = (*SOURCE, -1, *TARGET)
OTHER = (*SOURCE[::-1], -1, *TARGET[::-1])
NAMES = tuple(tiny_models.ENCODER_DECODERS)


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def library():
    """What transformers itself computes with eager attention."""

    def run(name, dtype=torch.float32, change=None):
        module = tiny_models.build(name).to(dtype)
        if change is not None:
            change(module)
        with torch.inference_mode():
            return module(
                input_ids=torch.tensor([SOURCE]),
                decoder_input_ids=torch.tensor([[0, *TARGET]]),
                use_cache=False,
                output_hidden_states=True,
                output_attentions=True,
            )

    return run


def _stacked(parts):
    return torch.cat(parts).float().numpy()


def test_logits_hidden_states_and_patterns_are_the_library_s(library, tiny_model, name):
    theirs, run = library(name), mt.trace(tiny_model(name), PROMPT)
    assert run.tokens == tuple(f"<{token}>" for token in (0, *TARGET))
    assert run.source.token_ids.tolist() == SOURCE
    for site, expected in (
        ("pattern", theirs.decoder_attentions),
        ("cross_pattern", theirs.cross_attentions),
        ("enc_pattern", theirs.encoder_attentions),
    ):
        np.testing.assert_allclose(run.activation(site), _stacked(expected), rtol=0, atol=1e-4)
        assert run.activation(site).std() > 0.03, site
    for prefix, states in (
        ("", theirs.decoder_hidden_states),
        ("enc_", theirs.encoder_hidden_states),
    ):
        expected = _stacked(states)
        layers = len(expected) - 1
        before, after = (run.activation(f"{prefix}resid_{at}") for at in ("pre", "post"))
        np.testing.assert_allclose(before, expected[:layers], rtol=0, atol=1e-4)
        np.testing.assert_allclose(after[:-1], expected[1:layers], rtol=0, atol=1e-4)
        last = run.activation(f"{prefix}final_norm")
        np.testing.assert_allclose(last, expected[layers], rtol=0, atol=1e-4)
    np.testing.assert_allclose(run.logits, theirs.logits[0], rtol=0, atol=1e-4)
    lens = mt.logit_lens(run, normalise=False)
    np.testing.assert_allclose(lens[-1], theirs.logits[0], rtol=0, atol=1e-4)


def test_in_bfloat16_it_agrees_to_its_rounding(library, tiny_model, name):
    theirs = library(name, torch.bfloat16)
    run = mt.trace(tiny_model(name, dtype="bfloat16"), PROMPT)
    off = run.logits - theirs.logits[0].float().numpy()
    assert np.sqrt(np.square(off).mean()) < 0.1
    looks = run.activation("cross_pattern") - _stacked(theirs.cross_attentions)
    assert np.sqrt(np.square(looks).mean()) < 0.02


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_self_checks_pass_and_say_what_does_not_apply(tiny_model, monkeypatch, name, dtype):
    monkeypatch.setattr(editing, "_STOPPING_SECONDS", 0.0)
    report = mt.self_check(tiny_model(name, dtype=dtype))
    skipped = [result for result in report.results if result.verdict is Verdict.SKIPPED]
    assert [result.number for result in skipped] == [2, 11, 15]
    assert "cross-attention" in skipped[0].reason
    assert report.passed, [(each.number, each.reason) for each in report.failures]


def test_the_residual_stream_is_the_sum_of_what_is_written_to_it(tiny_model, name):
    run = mt.trace(tiny_model(name), PROMPT)

    def same(found, *parts):
        np.testing.assert_allclose(
            run.activation(found), sum(run.activation(part) for part in parts), atol=1e-5
        )

    same("resid_mid", "resid_pre", "attn_out")
    same("resid_mid_cross", "resid_mid", "cross_out")
    same("resid_post", "resid_mid_cross", "mlp_out")
    same("enc_resid_mid", "enc_resid_pre", "enc_attn_out")
    same("enc_resid_post", "enc_resid_mid", "enc_mlp_out")
    z = np.einsum("lhqs,lshd->lqhd", run.activation("cross_pattern"), run.activation("cross_v"))
    np.testing.assert_allclose(run.activation("cross_z"), z, atol=1e-5)


def test_patching_a_run_with_its_own_values_changes_no_bit(tiny_model, name):
    model = tiny_model(name)
    own = mt.trace(model, PROMPT)
    edits = [mt.Patch(site, own.activation(site)) for site in model.ports]
    assert len(edits) > 45
    np.testing.assert_array_equal(mt.trace(model, PROMPT, sites=[], edits=edits).logits, own.logits)


def test_every_site_can_be_changed_and_what_is_changed_arrives(tiny_model):
    model = tiny_model("t5")
    own, other = mt.trace(model, PROMPT), mt.trace(model, OTHER)
    for site in model.ports:
        layers = layers_of(model, mt.Site(site))
        place = mt.Site(site, layers[0])
        given = other.activation(place)
        run = mt.trace(model, PROMPT, sites=[site], edits=[mt.Patch(place, given)])
        np.testing.assert_array_equal(run.activation(place), given, err_msg=site)
        assert np.abs(run.logits - own.logits).max() > 1e-4, site


def _zeroed(module, path, columns=slice(None)):
    """Set what a matrix reads to zero, by taking the matrix away."""
    with torch.no_grad():
        module.get_submodule(path).weight[:, columns] = 0


ABLATIONS = {
    "cross_out.1": lambda m: _zeroed(m, "decoder.block.1.layer.1.EncDecAttention.o"),
    "cross_z.2.1": lambda m: _zeroed(m, "decoder.block.2.layer.1.EncDecAttention.o", slice(8, 16)),
    "z.0.3": lambda m: _zeroed(m, "decoder.block.0.layer.0.SelfAttention.o", slice(24, 32)),
    "mlp_post.1": lambda m: _zeroed(m, "decoder.block.1.layer.2.DenseReluDense.wo"),
    "enc_attn_out.1": lambda m: _zeroed(m, "encoder.block.1.layer.0.SelfAttention.o"),
    "enc_z.0.2": lambda m: _zeroed(m, "encoder.block.0.layer.0.SelfAttention.o", slice(16, 24)),
    "enc_mlp_out.0": lambda m: _zeroed(m, "encoder.block.0.layer.1.DenseReluDense.wo"),
}


def test_zero_ablation_is_what_the_model_does_without_that_matrix(library, tiny_model, name):
    model = tiny_model(name)
    for site, change in ABLATIONS.items():
        theirs = library(name, change=change)
        run = mt.trace(model, PROMPT, sites=[], edits=[mt.Ablate(site)])
        np.testing.assert_allclose(run.logits, theirs.logits[0], rtol=0, atol=1e-5, err_msg=site)


def test_an_encoder_s_last_stream_from_another_text_is_that_text_to_the_decoder(tiny_model):
    model = tiny_model("umt5")
    mixed = (*SOURCE[::-1], -1, *TARGET)
    other = mt.trace(model, OTHER).activation("enc_resid_post.1")
    swapped = mt.trace(model, PROMPT, edits=[mt.Patch("enc_resid_post.1", other)])
    np.testing.assert_allclose(swapped.logits, mt.trace(model, mixed).logits, atol=1e-6)


def test_positions_of_an_edit_are_those_of_the_site_s_own_text(tiny_model):
    model = tiny_model("t5")
    run = mt.trace(model, PROMPT, edits=[mt.Ablate("enc_resid_post.0", positions=[9])])
    held = run.activation("enc_resid_post.0")
    assert not held[9].any()
    assert held[:9].all()
    rows = mt.trace(model, PROMPT, edits=[mt.Ablate("cross_pattern.1.2", positions=[-1])])
    assert not rows.activation("cross_pattern.1.2")[6].any()
    with pytest.raises(EditError, match="position 7, but the prompt has 7 tokens"):
        mt.trace(model, PROMPT, edits=[mt.Ablate("cross_q.0", positions=[7])])
    over = [PROMPT, OTHER]
    mean = mt.trace(model, PROMPT, edits=[mt.Ablate("enc_z.1.2", "mean", over=over)])
    expected = np.concatenate([mt.trace(model, one).activation("enc_z.1.2") for one in over])
    np.testing.assert_allclose(mean.activation("enc_z.1.2")[3], expected.mean(0), atol=1e-6)


def test_layers_of_the_encoder_are_counted_apart(tiny_model):
    model = tiny_model("t5")
    assert (model.identity.n_layers, model.identity.n_encoder_layers) == (3, 2)
    with pytest.raises(SiteMissing, match="no layer 2"):
        mt.trace(model, PROMPT, sites=["enc_z.2"])
    assert mt.Site.parse("decoder.2.cross_attn.hook_pattern") == mt.Site("cross_pattern", 2)
    assert mt.Site.parse("decoder.2.hook_resid_pre") == mt.Site("resid_pre", 2)
    assert mt.Site.parse("encoder.1.attn.hook_z") == mt.Site("enc_z", 1)
    assert SITES["enc_pattern"].axes == ("head", "source_query", "source")


def test_text_before_the_bar_is_the_encoder_s_and_behind_it_the_decoder_s(tmp_path):
    folder = tiny_models.save("t5", tmp_path / "words")
    tiny_models.save_tokenizer(folder, ("</s>", "say", "good", "gut", "Das", "ist"))
    model = mt.load_model(folder)
    run = mt.trace(model, "say good zz ||| Das ist")
    assert run.source.tokens == ("say", "good", "zz")
    assert run.source.unknown == (2,)
    assert run.tokens == ("<unk>", "Das", "ist")
    assert run.prompt == "say good zz ||| Das ist"
    assert mt.trace(model, "say good").tokens == ("<unk>",)
    assert mt.trace(model, run.prompt).logits.tobytes() == run.logits.tobytes()
    with pytest.raises(PromptError, match=r"Nothing stands before \|\|\|"):
        mt.trace(model, "||| Das")
    with pytest.raises(PromptError, match="token id 61 is outside"):
        mt.trace(model, (3, -1, 61))


def test_what_needs_all_weights_is_refused_by_name_with_the_way_out(tiny_model):
    model = tiny_model("t5")
    with pytest.raises(
        UnknownArchitecture, match=r"circuit of T5 .*cross-attention\. Read its sites"
    ):
        mt.component_graph(model, PROMPT)
    with pytest.raises(UnknownArchitecture, match="Direct logit attribution of T5"):
        mt.direct_logit_attribution(mt.trace(model, PROMPT), mt.LogitDifference(3, 4))
    lacking = [row.name for row in mt.coverage(model).analyses if not row.there]
    assert lacking == ["direct", "circuit", "pair"]


def test_a_session_keeps_both_sides_and_says_what_it_leaves_out(tiny_model, tmp_path):
    model = tiny_model("t5_gated")
    longer = (*SOURCE, 7, -1, *TARGET)
    with pytest.raises(PromptError, match="10 tokens for the encoder and the corrupt prompt 11"):
        mt.examine(model, mt.Question(PROMPT, longer))
    session = mt.examine(model, mt.Question(PROMPT, OTHER))
    assert session.circuit is None
    assert "cross-attention" in session.analyses["coverage"].params["lacks"]["circuit"]
    assert session.analyses["head-scores"].array("score").shape == (3, 3, 4)
    place = save_session(tmp_path / "both.h5", session, include=["enc_z", "cross_k"])
    found = mt.open_session(place)
    assert (found.model, found.question) == (session.model, session.question)
    for run, kept in zip(session.traces, found.traces, strict=True):
        assert kept.source.tokens == run.source.tokens
        np.testing.assert_array_equal(kept.source.token_ids, run.source.token_ids)
        for site in ("enc_z", "enc_pattern", "cross_pattern", "cross_k", "resid_mid_cross"):
            np.testing.assert_array_equal(kept.activation(site), run.activation(site), site)
    assert found.clean.activations["enc_z"].layers == (0, 1)
    assert not mt.verify_session(place).damaged


def test_head_types_are_found_on_what_the_decoder_reads(tiny_model):
    model = copy.copy(tiny_model("t5"))
    scores = mt.head_scores(model, length=5, batch=1)
    assert scores.array("score").max() > 0.05
    assert scores.params["measured_on"] == "random tokens said twice"


def test_activations_of_many_prompts_are_those_of_each(tiny_model):
    model, sites = tiny_model("t5"), [mt.Site("resid_post", 1), mt.Site("enc_resid_post", 0)]
    prompts = [PROMPT, (3, 4, -1, 5), (9, 9, 8)]
    found = batched_activations(model, [model.tokenize(prompt) for prompt in prompts], sites)
    for prompt, (_, held) in zip(prompts, found, strict=True):
        run = mt.trace(model, prompt)
        for site in sites:
            np.testing.assert_allclose(held[site], run.activation(site), atol=1e-6)
