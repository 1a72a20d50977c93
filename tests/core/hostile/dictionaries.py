"""Dictionaries that are broken, mislead or would harm: how to make each, and the reason."""

from __future__ import annotations

import builtins
import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from plain_files import D_IN, D_SAE, Held, K, sae_shapes, write_pair, write_saelens
from plain_other_files import write_learned
from safetensors.torch import save_file

WEIGHTS = "sae_weights.safetensors"
LINEAR = {"encoder.weight": (D_SAE, D_IN), "encoder.bias": (D_SAE,),
          "decoder.weight": (D_IN, D_SAE), "bias": (D_IN,)}  # fmt: skip


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, *called: object) -> None:
        self.called = called

    def __reduce__(self) -> tuple:
        return self.called[0], self.called[1:]


def saelens(architecture: str = "standard", held: dict | None = None, **cfg: object) -> Callable:
    def make(folder: Path) -> None:
        write_saelens(folder, held or Held(**sae_shapes()), architecture, **cfg)

    return make


def _with(**changed: torch.Tensor | None) -> dict[str, torch.Tensor]:
    held = {**Held(**sae_shapes()), **changed}
    return {name: tensor for name, tensor in held.items() if tensor is not None}


def _header(text: bytes) -> Callable:
    def make(folder: Path) -> None:
        saelens()(folder)
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text)

    return make


def _cut(folder: Path) -> None:
    saelens()(folder)
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:-8])


def _text(name: str, text: str) -> Callable:
    def make(folder: Path) -> None:
        saelens()(folder)
        (folder / name).write_text(text)

    return make


def link(folder: Path) -> None:
    saelens()(folder)
    outside = folder.parent / "outside.safetensors"
    (folder / WEIGHTS).rename(outside)
    (folder / WEIGHTS).symlink_to(outside)


def npz_of(**arrays: object) -> Callable:
    def make(folder: Path) -> None:
        held = {name: each.numpy() for name, each in Held(**sae_shapes(threshold=(D_SAE,))).items()}
        np.savez(folder / "params.npz", **held | arrays)

    return make


def _npz_member(name: str) -> Callable:
    def make(folder: Path) -> None:
        npz_of()(folder)
        with zipfile.ZipFile(folder / "params.npz", "a") as file:
            file.writestr(name, b"x")

    return make


def _npz_bomb(folder: Path) -> None:
    """68 MB of zeros in 66 kB."""
    told = {"descr": "<f4", "fortran_order": False, "shape": (17 << 20,)}
    with (
        zipfile.ZipFile(folder / "params.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("W_enc.npy", "w") as part,
    ):
        npy.write_array_header_1_0(part, told)
        for _ in range(17):
            part.write(bytes(4 << 20))


def _npz_short(folder: Path) -> None:
    whole = io.BytesIO()
    np.save(whole, np.zeros((D_IN, D_SAE), np.float32))
    with zipfile.ZipFile(folder / "params.npz", "w") as file:
        file.writestr("W_enc.npy", whole.getvalue()[:-4])


def _learned(name: str = "AutoEncoder", held: dict | None = None, **trainer: object) -> Callable:
    return lambda folder: write_learned(folder, name, held or dict(Held(**LINEAR)), **trainer)


def _sparsify(**cfg: object) -> Callable:
    held = Held(**{"encoder.weight": (D_SAE, D_IN), "encoder.bias": (D_SAE,),
                   "W_dec": (D_SAE, D_IN), "b_dec": (D_IN,)})  # fmt: skip
    whole = {"d_in": D_IN, "num_latents": D_SAE, "k": K} | cfg
    return lambda folder: write_pair(folder, "cfg.json", whole, "sae.safetensors", held)


def _set(layers: tuple[int, ...] = (0, 1), config: str = "", width: int = D_SAE) -> Callable:
    def make(folder: Path) -> None:
        (folder / "config.yaml").write_text(config or "model_kind: transcoder_set\n")
        for layer in layers:
            sizes = width if layer else D_SAE
            held = Held(W_enc=(sizes, D_IN), W_dec=(sizes, D_IN), b_enc=(sizes,), b_dec=(D_IN,))
            save_file(dict(held), folder / f"layer_{layer}.safetensors")

    return make


def _crossing(folder: Path) -> None:
    for layer in range(2):
        held = {f"W_enc_{layer}": torch.ones(D_SAE, D_IN), f"b_enc_{layer}": torch.ones(D_SAE),
                f"b_dec_{layer}": torch.ones(D_IN)}  # fmt: skip
        save_file(held, folder / f"W_enc_{layer}.safetensors")
        written = {f"W_dec_{layer}": torch.ones(D_SAE, 2, D_IN)}
        save_file(written, folder / f"W_dec_{layer}.safetensors")


def _huge_layer(folder: Path) -> None:
    for layer in ("0", "9" * 20):
        save_file({"W_enc": torch.ones(1, 1)}, folder / f"layer_{layer}.safetensors")


def _half(folder: Path) -> None:
    save_file({"w_enc": torch.ones(D_IN, D_SAE)}, folder / "params.safetensors")


NAN = torch.full((D_SAE, D_IN), torch.nan)
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nmodel_kind: *b\n"
CASES: dict[str, tuple[Callable, str]] = {
    "no files": (lambda folder: None, "holds no dictionary of a known format"),
    "temporal": (saelens("temporal"), "architecture 'temporal' is not supported"),
    "phases": (saelens("phase_multiplexed"), "architecture 'phase_multiplexed' is not supported"),
    "an unknown norm": (saelens(normalize_activations="twice"), "normalisation 'twice' is not"),
    "an unknown function": (saelens(activation_fn="tanh-relu"), "'tanh-relu' is not supported"),
    "a centred transcoder": (
        saelens("transcoder", d_out=D_IN, apply_b_dec_to_input=True), "apply_b_dec_to_input"
    ),
    "a part that lacks": (saelens(held=_with(b_enc=None)), "lacks b_enc; it holds W_dec, W_enc"),
    "another shape": (saelens(held=_with(b_enc=torch.ones(3))), r"b_enc has shape \[3\]"),
    "another width": (saelens(d_in=7), "6 → 20 features → 6, but its settings say 7"),
    "NaN": (saelens(held=_with(W_dec=NAN)), "w_dec holds 120 values that are NaN"),
    "rescaled codes": (
        saelens(held=_with(scaling_factor=torch.full((D_SAE,), 2.0))), "scaling_factor that is not"
    ),
    "a list for a word": (saelens(activation_fn=["relu"]), "is not supported, only relu"),
    "a layer without end": (_huge_layer, "holds no dictionary of a known format"),
    "half of Gemma Scope 2": (_half, "lacks W_dec or w_dec; it holds w_enc"),
    "many thresholds": (
        _learned("BatchTopKSAE", {**Held(**LINEAR), "b_dec": torch.ones(D_IN),
                                  "threshold": torch.ones(3)}), "threshold holds 3 numbers"
    ),
    "no k": (saelens("topk"), "cfg.json says k = None"),
    "whole numbers that are none": (saelens(d_in=True), "d_in = True; a positive whole number"),
    "no JSON": (_text("cfg.json", "{"), "cfg.json is not readable as JSON"),
    "JSON of another kind": (_text("cfg.json", "[]"), "cfg.json holds list"),
    "a header cut short": (_cut, "not whole"),
    "a header that is none": (_header(b"{]"), "header of sae_weights.safetensors is damaged"),
    "a header of other types": (
        _header(b'{"W_enc":{"dtype":"F8_E4M3","shape":[0],"data_offsets":[0,0]}}'), "as F8_E4M3"
    ),
    "an object array": (npz_of(b_enc=np.array([print], object)), "holds object, but numbers"),
    "an array elsewhere": (_npz_member("../../b.npy"), "no plain array"),
    "an array that grows": (_npz_bomb, "cannot hold"),
    "an array cut short": (_npz_short, "announces 120 numbers, but has 476 bytes"),
    "a pickle that runs": (
        _learned(held={"bias": Calls(os.system, "true")}), "only tensors, plain containers"
    ),
    "a pickle of something else": (
        _learned(held={"bias": Calls(builtins.print, "x")}), "builtin.*print"
    ),
    "a class of another kind": (_learned("IdentityDict"), "class 'IdentityDict' is not supported"),
    "another k": (
        _learned("AutoEncoderTopK", {**Held(**LINEAR), "b_dec": torch.ones(D_IN),
                                     "k": torch.tensor(9)}), "k = 3, but ae.pt holds 9"
    ),
    "codes of both signs": (_sparsify(signed=True), "both signs"),
    "groups": (_sparsify(activation="groupmax"), "'groupmax' is not supported"),
    "a layer that lacks": (_set((0, 2)), "Layers are missing: 1 of 3"),
    "layers of two sizes": (_set(width=9), "Layer 1 has 9 features of 6 numbers, but layer 0 has"),
    "an unknown kind": (_set(config="model_kind: molt\n"), "model_kind = 'molt'"),
    "files elsewhere": (
        _set(config="model_kind: transcoder_set\ntranscoders: ['../layer_0.safetensors']\n"),
        "from other places",
    ),
    "references": (_set(config=BOMB), "refers to its own parts"),
    "a tag": (
        _set(config="model_kind: !!python/object/apply:os.system ['true']\n"),
        "not readable as YAML.*python/object",
    ),
    "decoders of another length": (_crossing, r"W_dec_1 has shape .*\[20, 1, width\] was expected"),
}  # fmt: skip
UNSAFE = {"an object array", "an array elsewhere", "an array that grows", "a pickle that runs",
          "a pickle of something else", "references"}  # fmt: skip
