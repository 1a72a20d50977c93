"""The anatomy of a model says everything about its forward pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

# Longer than every sliding window, shorter than the context.
IDS = [3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17, 5, 44, 2, 2, 19]


def _library(model, ids):
    """Logits of transformers' own eager attention."""
    with model.attending("eager"):
        return model.forward(torch.tensor([ids]))[0]


def test_a_plain_forward_from_the_anatomy_gives_the_models_logits(plain, tiny_model, family):
    model = tiny_model(family)
    expected = _library(model, IDS)
    assert expected.std() > 0.3
    torch.testing.assert_close(
        plain.logits(model.anatomy, IDS), expected.double(), rtol=0, atol=3e-5
    )


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gpt_neox_serial"])
def test_it_agrees_to_float64_where_the_library_computes_in_float64(plain, tiny_model, name):
    model = tiny_model(name, dtype="float64")
    atol = 1e-12 if name == "gpt2" else 3e-7  # NeoX softmax runs in float32 in transformers
    torch.testing.assert_close(
        plain.logits(model.anatomy, IDS), _library(model, IDS), rtol=0, atol=atol
    )
    # Microtome's attention keeps float64 all the way.
    torch.testing.assert_close(
        plain.logits(model.anatomy, IDS), model.forward(torch.tensor([IDS]))[0], rtol=0, atol=1e-11
    )


def test_weights_are_views_of_the_model(tiny_model, family):
    model = tiny_model(family)
    owned = {parameter.untyped_storage().data_ptr() for parameter in model.module.parameters()}
    block = model.anatomy.blocks[1]
    weights = [model.anatomy.embedding, model.anatomy.unembedding]
    weights += [getattr(block.attention, name) for name in ("w_k", "w_v", "w_o")]
    if family != "falcon":  # its queries lie in groups between keys and values
        weights.append(block.attention.w_q)
    names = ("gate_up", "down") if model.anatomy.routed else ("w_in", "w_out")
    weights += [getattr(block.mlp, name) for name in names]
    assert all(weight.untyped_storage().data_ptr() in owned for weight in weights)


@pytest.mark.parametrize("path", ["w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o"])
def test_every_part_of_attention_matters(plain, tiny_model, path):
    model = tiny_model("llama")
    block = model.anatomy.blocks[0]
    part = getattr(block.attention, path)
    broken = replace(block.attention, **{path: torch.zeros_like(part)})
    anatomy = replace(
        model.anatomy, blocks=(replace(block, attention=broken), *model.anatomy.blocks[1:])
    )
    difference = plain.logits(anatomy, IDS) - _library(model, IDS).double()
    assert difference.abs().max() > 1e-3


def test_our_attention_is_the_librarys_bit_for_bit(tiny_model, family):
    model = tiny_model(family)
    ours, theirs = model.forward(torch.tensor([IDS]))[0], _library(model, IDS)
    if model.family.inline is None:
        assert torch.equal(ours, theirs)
    else:  # modules that compute attention themselves do so in an order of their own
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)
