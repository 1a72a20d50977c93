"""The logit lens against models that really stop after a layer."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from microtome.activations.capture import trace
from microtome.analysis import lens, readout
from microtome.analysis.lens import lens_analysis, logit_lens
from microtome.errors import SiteMissing

IDS = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3)


def stopped_after(model, layers: int) -> np.ndarray:
    """Logits of the same model with its later layers taken out."""
    module = copy.deepcopy(model.module)
    path, _, name = model.family.blocks.rpartition(".")
    owner = module.get_submodule(path)
    setattr(owner, name, nn.ModuleList(list(getattr(owner, name))[:layers]))
    module.config.num_hidden_layers = layers
    with torch.no_grad():
        return module(input_ids=torch.tensor([IDS]), use_cache=False).logits[0].numpy()


def test_each_layer_reads_as_if_the_model_stopped_there(tiny_model, family):
    model = tiny_model(family)
    found = logit_lens(trace(model, IDS), normalise=False)
    assert found.shape == (3, len(IDS), model.identity.vocabulary)
    for layer in range(3):
        np.testing.assert_allclose(found[layer], stopped_after(model, layer + 1), atol=3e-5)


def test_log_probabilities_are_normalised(tiny_model):
    run = trace(tiny_model("gpt2"), IDS)
    found = logit_lens(run)
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-5)
    logits = logit_lens(run, normalise=False)
    np.testing.assert_allclose(np.diff(found, axis=-1), np.diff(logits, axis=-1), atol=1e-4)


@pytest.mark.parametrize("answer", [0, 37, 60])
@pytest.mark.parametrize("family_name", ["llama", "gemma2"])
def test_the_answer_is_read_the_same_in_small_chunks(tiny_model, monkeypatch, family_name, answer):
    monkeypatch.setattr(readout, "_CELLS", 70)  # ten words at a time
    monkeypatch.setattr(lens, "_ROWS", 7)
    model = tiny_model(family_name)
    run = trace(model, IDS)
    found = lens_analysis(run, answer, "logit(w) − mean logit")
    stages = np.stack([stopped_after(model, 0), *logit_lens(run, normalise=False)])
    shifted = np.exp(stages - stages.max(-1, keepdims=True))
    probabilities = shifted / shifted.sum(-1, keepdims=True)
    np.testing.assert_allclose(found.array("logit"), stages[..., answer], atol=3e-5)
    np.testing.assert_allclose(found.array("probability"), probabilities[..., answer], rtol=1e-4)
    np.testing.assert_allclose(found.array("top_probability"), probabilities.max(-1), rtol=1e-4)
    higher = (stages > stages[..., answer : answer + 1]).sum(-1)
    np.testing.assert_array_equal(found.array("rank"), higher)
    texts = [model.token_text(int(token)) for token in stages.argmax(-1).flat]
    assert found.array("top_token").ravel().tolist() == texts
    assert found.array("rank").shape == (4, len(IDS))
    assert found.params["answer"] == answer


def test_a_trace_from_a_file_names_the_model_to_load(tiny_model):
    run = replace(trace(tiny_model("gpt2"), IDS), live=None)
    with pytest.raises(SiteMissing, match="attach it"):
        logit_lens(run)
    with pytest.raises(SiteMissing, match="attach it"):
        lens_analysis(run, 3, "m")
