"""Dictionaries of every rule against loops in float64, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from plain_dictionary import D_IN, D_SAE, made, plain_codes

from microtome.errors import DictionaryError, DictionaryMismatch
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_fit
from microtome.features.rules import RULES, Settings, Weights
from microtome.features.transcoders import Transcoders
from microtome.records.dictionary import DictionaryIdentity


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(7, D_IN, generator=torch.Generator().manual_seed(1)) * 2


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("by_norm", [False, True])
def test_codes_are_those_of_a_plain_formula(rule: str, by_norm: bool, rows: torch.Tensor) -> None:
    one = made(rule, by_decoder_norm=by_norm, residual_threshold=0.3)
    codes = one.encode(rows).numpy()
    plain = plain_codes(one, rows.double().numpy())
    assert np.abs(codes - plain).max() < 1e-5
    assert 0 < (codes > 0).mean() < 1
    held = one.weights
    written = plain @ held.w_dec.double().numpy() + held.b_dec.double().numpy()
    assert np.abs(one.reconstruct(rows).numpy() - written).max() < 1e-5


@pytest.mark.parametrize("normalise", ["constant_norm_rescale", "layer_norm"])
def test_a_normalised_row_comes_back_in_the_units_of_the_model(
    normalise: str, rows: torch.Tensor
) -> None:
    one = made("relu", normalise=normalise)
    written = one.reconstruct(rows).numpy()
    for row, got in zip(rows.double().numpy(), written, strict=True):
        if normalise == "layer_norm":
            shift, scale, guard = row.mean(), row.std(ddof=1), 1e-5
        else:
            shift, scale, guard = 0.0, np.linalg.norm(row) / np.sqrt(D_IN), 0.0
        codes = plain_codes(one, ((row - shift) / (scale + guard))[None])[0]
        decoded = codes @ one.weights.w_dec.double().numpy() + one.weights.b_dec.double().numpy()
        assert np.abs(got - (decoded * scale + shift)).max() < 1e-5


def test_a_skip_is_added_to_what_a_transcoder_writes(rows: torch.Tensor) -> None:
    one = made("topk", d_out=4, skip=True)
    x = rows.double().numpy()
    held = {name: tensor.double().numpy() for name, tensor in one.weights.tensors().items()}
    wanted = plain_codes(one, x) @ held["w_dec"] + held["b_dec"] + x @ held["w_skip"].T
    assert np.abs(one.reconstruct(rows).numpy() - wanted).max() < 1e-5
    assert one.architecture == "topk skip transcoder"


def test_what_is_kept_of_a_dictionary_tells_it_from_another(rows: torch.Tensor) -> None:
    first, same, other = made("relu"), made("relu"), made("relu", seed=5)
    assert first.identity.fingerprint == same.identity.fingerprint
    assert first.identity.fingerprint != other.identity.fingerprint
    assert (first.identity.d_in, first.identity.d_sae) == (D_IN, D_SAE)
    assert torch.equal(first.encode(rows[None])[0], first.encode(rows))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"b_enc": None}, "b_enc"),
        ({"b_enc": torch.zeros(3)}, "b_enc has shape"),
        ({"w_dec": torch.full((D_SAE, D_IN), torch.nan)}, "NaN"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(changed: dict, told: str) -> None:
    tensors = made("relu").weights.tensors() | changed
    with pytest.raises(DictionaryError, match=told):
        Dictionary(Weights(**tensors), Settings("relu"))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings("magic"), "no rule named 'magic'"),
        (Settings("topk"), "needs k"),
        (Settings("relu", normalise="twice"), "no normalise named 'twice'"),
    ],
)
def test_settings_that_nobody_knows_are_refused(settings: Settings, told: str) -> None:
    with pytest.raises(DictionaryError, match=told):
        Dictionary(made("relu").weights, settings)


def test_activations_of_another_width_are_refused() -> None:
    with pytest.raises(DictionaryError, match="reads 6 numbers, but was given 5"):
        made("relu").encode(torch.zeros(2, 5))


def test_layers_that_write_onward_add_up(rows: torch.Tensor) -> None:
    layers = tuple(made("relu", seed=seed, centred=False) for seed in range(3))
    onward = tuple(torch.randn(D_SAE, 2 - layer, D_IN) for layer in range(3))
    across = Transcoders(layers, onward, silent=1)
    codes = [across.encode(layer, rows) for layer in range(3)]
    assert all((held[0] == 0).all() for held in codes)
    got = across.outputs([rows] * 3, codes)
    for target in range(3):
        wanted = layers[target].weights.b_dec + torch.zeros_like(rows)
        for layer in range(target + 1):
            wanted = wanted + codes[layer] @ across.decoder(layer)[:, target - layer]
        assert torch.allclose(got[target], wanted, atol=1e-5)


def test_sets_whose_layers_do_not_fit_are_refused() -> None:
    with pytest.raises(DictionaryError, match="several widths"):
        Transcoders((made("relu"), made("relu", d_out=4)))
    with pytest.raises(DictionaryError, match="at least one layer"):
        Transcoders(())
    with pytest.raises(DictionaryError, match="onward"):
        Transcoders((made("relu"),), (torch.zeros(2, 2, 2),))


@pytest.mark.parametrize(
    ("reads", "width", "told"),
    [
        ("resid_post.2", 128, ""),
        ("z.1", 128, ""),
        ("z.1.3", 32, ""),
        ("mlp_post.0", 512, ""),
        ("resid_post.2", 64, "is for 64 numbers at resid_post.2, but words-4l has 128"),
        ("resid_post.9", 128, "does not have"),
        ("z.1.4", 32, "no head 4"),
        ("pattern.1", 128, "not of one position"),
        ("", 128, "does not tell which site"),
    ],
)
def test_a_dictionary_meets_a_model(embedded: Callable, reads: str, width: int, told: str) -> None:
    identity = DictionaryIdentity("mine", "relu sae", width, 9, width, reads, reads)
    if not told:
        return expect_fit(identity, embedded("words-4l"))
    with pytest.raises(DictionaryMismatch, match=told):
        expect_fit(identity, embedded("words-4l"))
    return None


def test_a_dictionary_of_another_model_is_refused_by_name(embedded: Callable) -> None:
    identity = DictionaryIdentity(
        "mine", "", 128, 9, 128, "embed", "embed", model="gpt2", model_fingerprint="00"
    )
    with pytest.raises(DictionaryMismatch, match="trained on gpt2, but the model is words-4l"):
        expect_fit(identity, embedded("words-4l"))
