"""Decoders of no known family: what running them shows, and what is refused with the reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_models
import torch

import microtome as mt
from microtome.cli import main
from microtome.errors import SiteMissing, UnknownArchitecture
from microtome.models.loading import load_model

IDS = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5, 44, 2, 2, 19)
OTHER = (*IDS[:3], 9, *IDS[4:])
# What each has: attention patterns, what attention and MLP write.
PATTERNS = ("cohere", "starcoder2", "granite", "glm4", "nanochat", "deepseek_v3")
BRANCHES = ("cohere", "starcoder2", "codegen", "glm4", "nanochat", "deepseek_v3", "gpt_oss")
# transformers keeps what a layer gave, not what it was given.
AFTER_THE_LAYER = ("mamba", "mamba2")


@pytest.fixture(scope="module", params=tiny_models.OTHERS)
def other(request, tiny_model):
    """The name of each other decoder, and the model."""
    return request.param, tiny_model(request.param)


@pytest.fixture(scope="module")
def session(other):
    """A pair put to it."""
    return mt.examine(other[1], mt.Question(IDS, corrupt=OTHER, answer=5, wrong=7))


def test_logits_states_and_patterns_are_the_library_s(other, session):
    name, model = other
    with torch.inference_mode():
        theirs = tiny_models.build(name)(
            input_ids=torch.tensor([IDS]),
            use_cache=False,
            output_hidden_states=True,
            **({"output_attentions": True} if name in PATTERNS else {}),
        )
    run = session.clean
    np.testing.assert_allclose(run.logits, theirs.logits[0], rtol=0, atol=1e-4)
    states = torch.cat(theirs.hidden_states).numpy()
    site = "resid_post" if name in AFTER_THE_LAYER else "resid_pre"
    np.testing.assert_allclose(run.activation(site), states[:3], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(run.activation("resid_post.0"), run.activation("resid_pre.1"))
    assert ("pattern" in model.ports) is (name in PATTERNS)
    if name in PATTERNS:
        patterns = torch.cat(theirs.attentions).numpy()
        np.testing.assert_allclose(run.activation("pattern"), patterns, rtol=0, atol=1e-4)
        assert patterns.std() > 0.05


def test_branches_are_what_a_layer_adds(other, session):
    name, model = other
    assert ("attn_out" in model.ports) is ("mlp_out" in model.ports) is (name in BRANCHES)
    if name not in BRANCHES:
        assert "sum to what it adds" in mt.coverage(model).reason("mlp_out")
        return
    run = session.clean
    added = run.activation("attn_out") + run.activation("mlp_out")
    written = run.activation("resid_post") - run.activation("resid_pre")
    np.testing.assert_allclose(added, written, atol=1e-4 * np.abs(written).max())
    # Attention's part of the first position depends on that token alone, that of others not.
    cut = mt.trace(model, IDS, edits=[mt.Ablate("attn_out"), mt.Ablate("mlp_out")])
    np.testing.assert_allclose(
        cut.activation("resid_post.2"), cut.activation("resid_pre.0"), atol=1e-6
    )


def test_the_lens_ends_at_the_logits(other, session):
    lens = mt.logit_lens(session.clean, normalise=False)
    np.testing.assert_allclose(lens[-1], session.clean.logits, rtol=0, atol=1e-4)
    assert np.abs(lens[0] - lens[-1]).max() > 0.1
    stages = session.analyses["logit-lens"].arrays["logit"].values
    np.testing.assert_allclose(stages[-1], np.asarray(session.clean.logits)[:, 5], atol=1e-4)


@pytest.mark.parametrize("name", ["starcoder2", "codegen", "deepseek_v3", "mamba"])
def test_the_checks_that_apply_pass_and_the_others_say_why(tiny_model, name):
    report = mt.self_check(tiny_model(name))
    assert report.passed, report.failures
    skipped = {row.number: row.reason for row in report.results if row.verdict == "does not apply"}
    expected = {1, 2, 3, 7, 9, 11} | (set() if name in PATTERNS else {6, 8})
    assert set(skipped) == expected
    assert "keeps its heads" in skipped[1]
    assert all(skipped.values())


def test_a_patch_of_the_stream_carries_the_answer_over(other, session):
    _, model = other
    clean = session.clean.activation("resid_post.1")
    patched = mt.trace(model, OTHER, edits=[mt.Patch("resid_post.1", clean)])
    np.testing.assert_allclose(patched.logits, session.clean.logits, rtol=0, atol=1e-4)
    assert np.abs(np.asarray(session.corrupt.logits) - session.clean.logits).max() > 1e-2


def test_what_needs_every_weight_is_refused_by_name(other, session):
    _, model = other
    title = model.family.title
    refused = (
        lambda: mt.component_graph(model, IDS),
        lambda: mt.direct_logit_attribution(session.clean, mt.LogitOverMean(5)),
        lambda: model.anatomy,
    )
    for ask in refused:
        with pytest.raises(UnknownArchitecture, match=f"where {title} keeps its heads") as caught:
            ask()
        assert "coverage" in caught.value.way_out


def test_a_session_says_what_is_missing_and_why(other, session, tmp_path):
    name, model = other
    held = mt.coverage(model)
    assert not held.known
    assert session.circuit is None
    assert "direct-attribution" not in session.analyses
    assert ("head-scores" in session.analyses) is (name in PATTERNS)
    mt.save_session(tmp_path / "s.h5", session)
    kept = mt.open_session(tmp_path / "s.h5").analyses["coverage"].params
    assert kept["summary"] == held.summary
    assert f"where {model.family.title} keeps its heads: shown are tokens" in kept["summary"]
    assert "circuit of a prompt" not in kept["summary"]
    assert kept["lacks"]["circuit"] == held.reason("circuit") != ""
    sites = {row.name for row in held.sites if row.there}
    assert sites == set(model.ports)
    assert not sites & set(kept["lacks"])


def test_the_command_line_runs_one_and_says_why_it_has_no_circuit(tiny_folder, tmp_path, capsys):
    folder, file = str(tiny_folder("mamba")), tmp_path / "s.h5"
    given = ["run", "--model", folder, "--prompt", "3,17,4", "--ids", "--out", str(file)]
    assert main(given) == 0
    assert "circuit: none, where Mamba keeps its heads" in capsys.readouterr().out
    assert file.exists()
    assert main([*given, "--json"]) == 0
    assert "where Mamba" in json.loads(capsys.readouterr().out)["why_no_circuit"]


def test_what_is_done_to_the_logits_is_said(tiny_model):
    assert mt.coverage(tiny_model("cohere")).notes == ("its logits are multiplied by 0.3",)
    assert mt.coverage(tiny_model("nanochat")).notes == ("its logits are capped at 3",)


def test_attention_that_does_more_than_our_function_is_left_to_the_model(tiny_model):
    # Each of its heads has a sink that takes part of the attention.
    model = tiny_model("gpt_oss")
    assert "does more than a function can show" in mt.coverage(model).reason("pattern")
    with pytest.raises(SiteMissing, match="no site pattern"):
        mt.trace(model, IDS, sites=["pattern"])


def test_half_precision_shows_the_same_places(tiny_model):
    full, half = tiny_model("starcoder2"), tiny_model("starcoder2", dtype="bfloat16")
    assert set(half.ports) == set(full.ports)
    assert mt.self_check(half).passed


def test_a_model_that_looks_ahead_is_no_decoder(tmp_path):
    import transformers

    config = transformers.ElectraConfig(
        vocab_size=61, embedding_size=24, hidden_size=24, num_hidden_layers=3,
        num_attention_heads=4, intermediate_size=40,
    )  # fmt: skip
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(UnknownArchitecture, match=r"see what comes later.*families.md"):
        load_model(tmp_path)


def test_a_known_family_lacks_only_its_exceptions(tiny_model):
    held = mt.coverage(tiny_model("llama"))
    assert held.known
    assert held.summary == "All panels work on this model."
    lacking = {row.name for row in held.sites if not row.there}
    assert lacking == {"pos_embed", "router"}
    routed = mt.coverage(tiny_model("mixtral"))
    assert "experts" in routed.reason("neurons")
    assert "other experts" in routed.reason("pair")
    assert "but for: neurons, circuit of a pair" in routed.summary
