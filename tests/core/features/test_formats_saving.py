"""What is saved: opened again it gives the same numbers, for one dictionary and for sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_dictionary import D_IN, D_SAE, K, made
from plain_files import Held, jump, relu, top
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import microtome as mt
from microtome.errors import DictionaryError, InputError, StorageError
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_file_fits
from microtome.features.formats import saving
from microtome.features.formats.save_offers import Open, save_offers
from microtome.features.rules import RULES
from microtome.features.transcoders import Transcoders

ROWS = torch.randn(7, D_IN, generator=torch.Generator().manual_seed(1)) * 2
LAYERS = 3


def _one(rule: str, layer: int = 1, **more: object) -> Dictionary:
    one = made(rule, seed=layer, **more)
    across = "mlp_out" if one.identity.is_transcoder else "mlp_in"
    identity = replace(
        one.identity, reads=f"mlp_in.{layer}", writes=f"{across}.{layer}", model="words-4l",
        model_fingerprint="ab" * 32,
    )  # fmt: skip
    return one.named(identity)


def _across(rule: str, layer: int, skip: bool = False) -> Dictionary:
    one = made(rule, seed=layer, skip=skip, centred=False)
    return one.named(
        replace(one.identity, reads=f"mlp_in.{layer}", writes=f"mlp_out.{layer}", model="words-4l")
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("more", [{}, {"normalise": "layer_norm", "centred": False}])
def test_a_saved_dictionary_comes_back_as_it_was(rule: str, more: dict, tmp_path: Path) -> None:
    one = _one(rule, residual_threshold=0.3, **more)
    if rule == "matching_pursuit":
        more = {}  # what is added back there is what was subtracted
        one = _one(rule, residual_threshold=0.3)
    mt.save_dictionary(one, tmp_path / "saved")
    again = mt.load_dictionary(tmp_path / "saved")
    assert torch.equal(again.encode(ROWS), one.encode(ROWS))
    assert torch.equal(again.reconstruct(ROWS), one.reconstruct(ROWS))
    for name in ("architecture", "reads", "writes", "model", "model_fingerprint", "fingerprint"):
        assert getattr(again.identity, name) == getattr(one.identity, name), name


def test_features_compared_by_decoder_norm_are_saved_in_units_of_what_they_write(
    tmp_path: Path,
) -> None:
    one = _one("topk", by_decoder_norm=True)
    mt.save_dictionary(one, tmp_path / "saved")
    again = mt.load_dictionary(tmp_path / "saved")
    norms = one.weights.w_dec.norm(dim=1)
    assert torch.allclose(again.encode(ROWS), one.encode(ROWS) * norms, atol=1e-5)
    assert torch.allclose(again.reconstruct(ROWS), one.reconstruct(ROWS), atol=1e-5)


def test_a_head_and_all_heads_have_the_names_of_the_tool(tmp_path: Path) -> None:
    for site, head, shaped in (("z.1", None, "hook_z"), ("z.1.2", 2, "none")):
        one = _one("relu")
        one = one.named(replace(one.identity, reads=site, writes=site))
        mt.save_dictionary(one, tmp_path / site)
        cfg = json.loads((tmp_path / site / "cfg.json").read_text())
        assert cfg["metadata"]["hook_name"] == "blocks.1.attn.hook_z"
        assert (cfg["metadata"]["hook_head_index"], cfg["reshape_activations"]) == (head, shaped)
        assert mt.load_dictionary(tmp_path / site).identity.reads == site


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("rule", ["relu", "jumprelu", "topk"])
def test_a_set_comes_back_and_is_what_the_format_says(
    rule: str, skip: bool, tmp_path: Path
) -> None:
    layers = tuple(_across(rule, layer, skip) for layer in range(LAYERS))
    mt.save_transcoders(Transcoders(layers), tmp_path / "set")
    told = mt.inspect_dictionary(tmp_path / "set")
    assert (told.kind, told.n_layers, told.identity.reads) == ("transcoder set", LAYERS, "mlp_in")
    again = mt.load_transcoders(tmp_path / "set")
    x = ROWS.double().numpy()
    for layer, one in enumerate(layers):
        assert torch.equal(again.layers[layer].reconstruct(ROWS), one.reconstruct(ROWS))
        assert again.layers[layer].identity.reads == f"mlp_in.{layer}"
        held = load_file(tmp_path / "set" / f"layer_{layer}.safetensors")
        w = {name: tensor.double().numpy() for name, tensor in held.items()}
        pre = x @ w["W_enc"].T + w["b_enc"]
        cut = w.get("activation_function.threshold")
        codes = jump(pre, cut) if cut is not None else top(pre, K) if rule == "topk" else relu(pre)
        codes[0] = 0  # the first position is silent
        got = again.encode(layer, ROWS)
        assert np.abs(got.numpy() - codes).max() < 1e-5
        out = codes @ w["W_dec"] + w["b_dec"] + (x @ w["W_skip"].T if skip else 0)
        written = again.outputs([ROWS] * LAYERS, [got] * LAYERS)[layer].numpy()
        assert np.abs(written - out).max() < 1e-5
    alone = mt.load_dictionary(tmp_path / "set", layer=1)
    assert torch.equal(alone.encode(ROWS), layers[1].encode(ROWS))
    file = tmp_path / "set" / "layer_1.safetensors"
    assert torch.equal(mt.load_dictionary(file).encode(ROWS), layers[1].encode(ROWS))


def _crossing(rule: str) -> Transcoders:
    layers = tuple(_across(rule, layer) for layer in range(LAYERS))
    onward = tuple(torch.randn(D_SAE, LAYERS - 1 - layer, D_IN) for layer in range(LAYERS))
    return Transcoders(layers, onward)


@pytest.mark.parametrize("rule", ["relu", "jumprelu"])
def test_a_cross_layer_transcoder_comes_back(rule: str, tmp_path: Path) -> None:
    across = _crossing(rule)
    mt.save_transcoders(across, tmp_path / "clt")
    told = mt.inspect_dictionary(tmp_path / "clt")
    assert (told.kind, told.n_layers) == ("cross-layer transcoder", LAYERS)
    again = mt.load_transcoders(tmp_path / "clt")
    codes = [across.encode(layer, ROWS) for layer in range(LAYERS)]
    assert all(torch.equal(again.encode(layer, ROWS), codes[layer]) for layer in range(LAYERS))
    for got, wanted in zip(
        again.outputs([ROWS] * LAYERS, codes), across.outputs([ROWS] * LAYERS, codes), strict=True
    ):
        assert torch.equal(got, wanted)
    _expect_formula(tmp_path / "clt", again)
    with pytest.raises(DictionaryError, match="cross-layer transcoder: its features write several"):
        mt.load_dictionary(tmp_path / "clt", layer=0)


def _expect_formula(folder: Path, across: Transcoders) -> None:
    """Slot j of a layer's decoder writes j layers behind it; the first position is silent."""
    x, out = ROWS.double().numpy(), [0.0] * LAYERS
    for layer in range(LAYERS):
        files = (load_file(folder / f"W_{side}_{layer}.safetensors") for side in ("enc", "dec"))
        held = {name: each.double().numpy() for file in files for name, each in file.items()}
        pre = x @ held[f"W_enc_{layer}"].T + held[f"b_enc_{layer}"]
        codes = jump(pre, held.get(f"threshold_{layer}", 0.0))
        codes[0] = 0
        assert np.abs(across.encode(layer, ROWS).numpy() - codes).max() < 1e-5
        out[layer] = out[layer] + held[f"b_dec_{layer}"]
        for slot in range(LAYERS - layer):
            out[layer + slot] = out[layer + slot] + codes @ held[f"W_dec_{layer}"][:, slot]
    codes = [across.encode(layer, ROWS) for layer in range(LAYERS)]
    for got, wanted in zip(across.outputs([ROWS] * LAYERS, codes), out, strict=True):
        assert np.abs(got.numpy() - wanted).max() < 1e-5


def test_all_layers_of_gemma_scope_2_across_layers_are_read(tmp_path: Path) -> None:
    """One file a layer; a known reader of these leaves out the last layer."""
    held = [
        Held(seed, w_enc=(D_IN, D_SAE), w_dec=(D_SAE, LAYERS, D_IN), b_enc=(D_SAE,), b_dec=(D_IN,),
             threshold=(D_SAE,), affine_skip_connection=(D_IN, D_IN))
        for seed in range(LAYERS)
    ]  # fmt: skip
    for layer, each in enumerate(held):
        each["threshold"] = each["threshold"].abs()
        save_file(dict(each), tmp_path / f"params_layer_{layer}.safetensors")
    assert mt.inspect_dictionary(tmp_path).kind == "cross-layer transcoder"
    again, x = mt.load_transcoders(tmp_path), ROWS.double().numpy()
    codes = [jump(x @ each.w_enc + each.b_enc, each.threshold) for each in held]
    for each in codes:
        each[0] = 0
    got = [again.encode(layer, ROWS) for layer in range(LAYERS)]
    written = again.outputs([ROWS] * LAYERS, got)
    for layer, each in enumerate(held):
        out = each.b_dec + x @ each.affine_skip_connection
        out = out + sum(codes[i] @ held[i].w_dec[:, layer] for i in range(layer + 1))
        assert np.abs(got[layer].numpy() - codes[layer]).max() < 1e-5
        assert np.abs(written[layer].numpy() - out).max() < 1e-5


def test_a_bias_that_is_subtracted_first_goes_into_the_encoder(tmp_path: Path) -> None:
    one = _across("relu", 0)
    centred = Dictionary(one.weights, replace(one.settings, centred=True), one.identity)
    mt.save_transcoders(Transcoders((centred,)), tmp_path / "set")
    again = mt.load_dictionary(tmp_path / "set" / "layer_0.safetensors")
    assert torch.allclose(again.reconstruct(ROWS), centred.reconstruct(ROWS), atol=1e-5)


def test_what_a_format_has_no_place_for_is_refused_by_name(tmp_path: Path) -> None:
    one = _across("topk", 0)
    for save, told in (
        (lambda: mt.save_dictionary(one, tmp_path / "a"), "no architecture for a topk transcoder"),
        (lambda: mt.save_transcoders(Transcoders((one, _across("relu", 1))), tmp_path / "a"),
         "one rule for all layers"),
        (lambda: mt.save_transcoders(Transcoders((_one("gated"),)), tmp_path / "a"), "gated"),
        (lambda: mt.save_transcoders(
            Transcoders((_one("relu", normalise="layer_norm"),)), tmp_path / "a"), "layer_norm"),
    ):  # fmt: skip
        with pytest.raises(DictionaryError, match=told):
            save()
    with pytest.raises(InputError, match="no format 'keras'"):
        mt.save_dictionary(_one("relu"), tmp_path / "a", "keras")
    assert not (tmp_path / "a").exists()


def test_a_folder_is_replaced_whole_and_only_when_it_holds_a_dictionary(tmp_path: Path) -> None:
    mt.save_dictionary(_one("relu", 1), tmp_path / "mine")
    mt.save_dictionary(_one("relu", 2), tmp_path / "mine")
    assert torch.equal(
        mt.load_dictionary(tmp_path / "mine").encode(ROWS), _one("relu", 2).encode(ROWS)
    )
    assert [path.name for path in tmp_path.iterdir() if path.name != "settings"] == ["mine"]
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match=r"holds thesis\.txt"):
        mt.save_dictionary(_one("relu", 1), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(StorageError, match="no folder"):
        mt.save_dictionary(_one("relu", 1), tmp_path / "no" / "mine")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mt.save_dictionary(_one("relu", 1), tmp_path / "mine")

    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(saving, "save_file", full)
    with pytest.raises(StorageError, match=r"mine could not be saved\. The disk is full"):
        mt.save_dictionary(_one("relu", 2), tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir() if path.name != "settings"] == ["mine"]
    assert torch.equal(
        mt.load_dictionary(tmp_path / "mine").encode(ROWS), _one("relu", 1).encode(ROWS)
    )


def test_each_format_says_why_it_has_no_place_for_something() -> None:
    alone, across = Open(_one("relu")), Open(_across("topk", 1))
    saelens, tracer = save_offers(alone)
    assert (saelens.problem, saelens.nbytes > 0) == ("", True)
    assert "is no transcoder" in tracer.problem
    assert "no architecture for a topk" in save_offers(across)[0].problem
    assert "Open the set" in save_offers(across)[1].problem
    crossing = _crossing("relu")
    offers = save_offers(Open(crossing.coder(0), crossing))
    assert "more than one layer" in offers[0].problem
    assert (offers[1].problem, offers[1].of_set) == ("", True)


def test_a_file_meets_a_model_before_it_is_loaded(embedded: Callable, tmp_path: Path) -> None:
    mt.save_transcoders(
        Transcoders(tuple(_across("relu", layer) for layer in range(2))), tmp_path / "set"
    )
    with pytest.raises(DictionaryError, match="for 2 layers, but words-4l has 4"):
        expect_file_fits(mt.inspect_dictionary(tmp_path / "set"), embedded("words-4l"))
    mt.save_dictionary(_one("relu"), tmp_path / "one")
    with pytest.raises(DictionaryError, match="trained on words-4l, but the model is words-4l"):
        expect_file_fits(mt.inspect_dictionary(tmp_path / "one"), embedded("words-4l"))
