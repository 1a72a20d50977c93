"""Every family agrees with transformers' own eager run, and is said so in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch

from microtome.activations.capture import trace
from microtome.circuits.component import component_graph
from microtome.errors import PromptError, UnknownArchitecture
from microtome.examining import examine
from microtome.interventions.edits import Patch
from microtome.models.families import FAMILIES
from microtome.models.loading import load_model
from microtome.prompts import PromptPair, Question
from microtome.session.reader import open_session
from microtome.session.writer import save_session

IDS = [3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5, 44, 2, 2, 19]
DOCS = Path(__file__).parents[2] / "docs" / "families.md"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """``library(name)``: what transformers itself computes with eager attention, in float32."""

    def run(name, **changes):
        module = tiny_models.build(name, **changes)
        with torch.inference_mode():
            return module(
                input_ids=torch.tensor([IDS]),
                use_cache=False,
                output_hidden_states=True,
                output_attentions=True,
            )

    return run


def test_logits_hidden_states_and_patterns_are_the_library_s(library, tiny_model, family):
    theirs, run = library(family), trace(tiny_model(family), IDS)
    np.testing.assert_allclose(run.logits, theirs.logits[0], rtol=0, atol=1e-4)
    states = torch.cat(theirs.hidden_states[:3]).numpy()
    np.testing.assert_allclose(run.activation("resid_pre"), states, rtol=0, atol=1e-4)
    np.testing.assert_allclose(run.activation("resid_post")[:2], states[1:3], rtol=0, atol=1e-4)
    # Behind the last layer transformers gives what the unembedding reads.
    last = "final_norm" if "final_norm" in run.activations else "resid_post.2"
    found, narrow = run.activation(last), tiny_model(family).anatomy.transform
    if narrow is not None and narrow.activation is None:  # OPT-350M: behind its last matrix
        found = found @ narrow.weight.numpy().T
    np.testing.assert_allclose(found, theirs.hidden_states[3][0], rtol=0, atol=1e-4)
    patterns = torch.cat(theirs.attentions).numpy()
    np.testing.assert_allclose(run.activation("pattern"), patterns, rtol=0, atol=1e-4)
    assert patterns.std() > 0.03


@pytest.mark.parametrize("name", ["bloom", "mpt"])
def test_the_bias_of_six_heads_is_not_that_of_eight(library, tiny_model, name):
    heads = {"bloom": {"n_head": 6}, "mpt": {"n_heads": 6}}[name]
    theirs, run = library(name, **heads), trace(tiny_model(name, **heads), IDS)
    np.testing.assert_allclose(run.logits, theirs.logits[0], rtol=0, atol=1e-4)
    bias = tiny_model(name, **heads).anatomy.blocks[0].attention.bias.at(5)
    assert bias.shape == (6, 5, 5)
    assert not bias.diagonal(dim1=1, dim2=2).any()
    slopes = bias[:, 1, 1] - bias[:, 1, 0]
    assert len(set(slopes.tolist())) == 6


def test_every_row_has_a_tiny_model():
    names = (*tiny_models.FAMILIES, *tiny_models.ENCODER_DECODERS)
    built = {tiny_models.build(name).config.model_type for name in names}
    assert built == set(FAMILIES)


def test_the_documentation_lists_exactly_the_rows():
    cells = re.findall(r"^\| (.+?) \(`(\w+)`\) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    assert cells == [(row.title, row.model_type) for row in FAMILIES.values()]


REFUSED = {
    "Qwen-MoE with plain layers": (
        "qwen3_moe",
        {"mlp_only_layers": [1]},
        "layers without experts: sites and neurons would differ",
    ),
    "Gemma 3 that looks ahead": (
        "gemma3",
        {"use_bidirectional_attention": True},
        "use_bidirectional_attention: its queries see what comes later",
    ),
    "Falcon with ALiBi": (
        "falcon_serial",
        {"alibi": True},
        "alibi: transformers adds its bias twice",
    ),
    "BLOOM that adds to what a norm gave": (
        "bloom",
        {"apply_residual_connection_post_layernorm": True},
        "no one residual stream",
    ),
    "MPT that clips": ("mpt", {"attn_config": {"clip_qkv": 6.0}}, "clip_qkv = 6.0: queries"),
    "MPT without ALiBi": ("mpt", {"attn_config": {"alibi": False}}, "alibi = False: transformers"),
    "MPT with norms of queries": ("mpt", {"attn_config": {"qk_ln": True}}, "qk_ln = True"),
    "MPT with a prefix": ("mpt", {"attn_config": {"prefix_lm": True}}, "prefix_lm = True"),
    "MPT with scaled logits": ("mpt", {"logit_scale": 0.5}, "logit_scale: transformers leaves it"),
    "BERT as a decoder": ("bert", {"is_decoder": True}, "is_decoder: only its use as an encoder"),
    "DistilBERT in chunks": (
        "distilbert",
        {"chunk_size_feed_forward": 4},
        "chunk_size_feed_forward = 4: its MLPs see a prompt piece by piece",
    ),
    "ModernBERT that leaves out logits": (
        "modernbert",
        {"sparse_prediction": True},
        "sparse_prediction: it gives logits only beside labels",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_variant_that_cannot_be_served_says_which_setting_and_why(tmp_path, name):
    family, settings, message = REFUSED[name]
    folder = tiny_models.save(family, tmp_path / "model", **settings)
    with pytest.raises(UnknownArchitecture, match=message):
        load_model(folder)


def test_a_session_keeps_the_choices_of_routers(tiny_model, tmp_path):
    session = examine(tiny_model("mixtral"), Question(tuple(IDS)))
    kept = open_session(save_session(tmp_path / "choices.h5", session))
    found = np.asarray(kept.clean.activation("router"))
    np.testing.assert_array_equal(found, session.clean.activation("router"))


@pytest.mark.parametrize("name", tiny_models.ROUTED)
def test_the_router_site_is_what_the_experts_are_weighed_by(tiny_model, name):
    model = tiny_model(name)
    run = trace(model, IDS)
    weights = run.activation("router")
    assert weights.shape == (3, len(IDS), 5)
    assert ((weights > 0).sum(-1) == 2).all()
    with torch.inference_mode():
        module = tiny_models.build(name)  # transformers leaves hooks on what it asks for these
        logits = module(torch.tensor([IDS]), output_router_logits=True).router_logits
    for layer in range(3):
        # The model library gives what the router's softmax reads.
        row = torch.softmax(logits[layer].reshape(len(IDS), 5), -1)
        best = row.topk(2)
        whole = best.values.sum(-1, keepdim=True) if name != "qwen2_moe" else 1.0
        expected = torch.zeros(len(IDS), 5).scatter(-1, best.indices, best.values / whole)
        np.testing.assert_allclose(weights[layer], expected, atol=1e-5)
    assert len({tuple(row) for row in (weights[0] > 0).tolist()}) > 2


def test_all_experts_can_be_asked_at_once(plain, tiny_model):
    model = tiny_model("mixtral")
    even = np.full((len(IDS), 5), 0.2)
    run = trace(model, IDS, edits=[Patch("router.1", even)])

    def change(name, layer, _head, values):
        hit = (name, layer) == ("router", 1)
        return torch.full_like(values, 0.2) if hit else values

    expected, _ = plain.run(model.anatomy, IDS, change)
    np.testing.assert_allclose(run.logits, expected, rtol=1e-5, atol=3e-5)
    assert np.abs(run.logits - trace(model, IDS).logits).max() > 1e-2


def test_a_pair_through_experts_is_refused_and_its_first_prompt_explained(tiny_model):
    model = tiny_model("qwen2_moe")
    pair = PromptPair(tuple(IDS), (*IDS[:-3], 7, *IDS[-2:]))
    with pytest.raises(PromptError, match="may choose other experts in each prompt"):
        component_graph(model, pair)
    session = examine(model, Question(pair.clean, pair.corrupt))
    assert session.circuit.metadata["corrupt"] is None
    assert any("first prompt alone" in note for note in session.circuit.metadata["notes"])
