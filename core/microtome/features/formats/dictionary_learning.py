"""Folders of dictionary_learning: ``ae.pt`` and ``config.json``, one row for each class.

``ae.pt`` is a pickle, read by the machine of ``microtome.pickles`` and never run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from microtome.errors import DictionaryError
from microtome.features.formats.place import Place, table, whole
from microtome.features.formats.recipe import Recipe, Stored, gathered, stored, told
from microtome.features.rules import Settings, Weights

NAME, TITLE = "dictionary_learning", "dictionary_learning"
_CFG, _PICKLE = "config.json", "ae.pt"
_LINEAR = {
    "w_enc": stored("encoder.weight"),
    "b_enc": stored("encoder.bias"),
    "w_dec": stored("decoder.weight", turned=True),
}
_PLAIN = {
    "w_enc": stored("W_enc", turned=True),
    "b_enc": stored("b_enc"),
    "w_dec": stored("W_dec"),
    "b_dec": stored("b_dec"),
}


@dataclass(frozen=True, slots=True)
class _Class:
    """A class: its rule, its tensors, and whether it subtracts its bias from what it reads."""

    rule: str
    rows: Mapping[str, Stored]
    centred: bool = True
    # Trained over batches: it has a threshold, which -1 leaves unset.
    one_threshold: bool = False


_GATED = {
    "w_enc": stored("encoder.weight"), "w_dec": stored("decoder.weight", turned=True),
    "b_dec": stored("decoder_bias"), "r_mag": stored("r_mag"), "b_gate": stored("gate_bias"),
    "b_mag": stored("mag_bias"),
}  # fmt: skip
_CLASSES = {
    "AutoEncoder": _Class("relu", _LINEAR | {"b_dec": stored("bias")}),
    "AutoEncoderNew": _Class("relu", _LINEAR | {"b_dec": stored("decoder.bias")}, centred=False),
    "GatedAutoEncoder": _Class("gated", _GATED),
    "JumpReluAutoEncoder": _Class(
        "jumprelu", _PLAIN | {"threshold": stored("threshold")}, centred=False
    ),
    "AutoEncoderTopK": _Class("topk", _LINEAR | {"b_dec": stored("b_dec")}),
    "BatchTopKSAE": _Class("topk", _LINEAR | {"b_dec": stored("b_dec")}, one_threshold=True),
    "MatryoshkaBatchTopKSAE": _Class("topk", _PLAIN, one_threshold=True),
}
_PLACES = {
    "resid_post": "resid_post", "resid": "resid_post", "mlp_out": "mlp_out", "mlp": "mlp_out",
    "attn_out": "attn_out", "attention_out": "attn_out", "attn": "attn_out",
}  # fmt: skip
_MAYBE = "Codes are above its threshold; where that was never set, the k largest of each position."


def fits(place: Place) -> bool:
    """Whether a place is such a folder."""
    return place.has(_CFG, _PICKLE) and place.chosen in {"", _PICKLE, _CFG}


def recipe(place: Place) -> Recipe:
    """What the folder is. Raises DictionaryError for settings that make no sense."""
    trainer = table(place.json(_CFG), "trainer", _CFG)
    name = str(trainer.get("dict_class", ""))
    row = _CLASSES.get(name)
    d_in, reads = whole(trainer, "activation_dim", _CFG), _site(trainer)
    rule = "jumprelu" if row and row.one_threshold else row.rule if row else name
    said = told(
        place, (NAME, TITLE), (_CFG, _PICKLE), architecture=f"{rule} sae",
        sizes=(d_in, whole(trainer, "dict_size", _CFG), d_in), sites=(reads, reads),
        model=str(trainer.get("lm_name") or ""), source={"trainer": trainer},
        problem="" if row else f"The class {name!r} is not supported, only {', '.join(_CLASSES)}.",
        notes=(_MAYBE,) if row and row.one_threshold else (),
    )  # fmt: skip
    made = row or _CLASSES["AutoEncoder"]
    return Recipe(said, lambda: _loaded(place, made, trainer))


def _loaded(place: Place, row: _Class, trainer: Mapping[str, Any]) -> tuple[Weights, Settings]:
    held = place.pickled(_PICKLE)
    made, rule = gathered(held, row.rows, _PICKLE), row.rule
    height = _single(held, "threshold") if row.one_threshold else None
    if height is not None and height >= 0:
        made["threshold"] = torch.full((len(made["w_dec"]),), height)
        rule = "jumprelu"
    k = whole(trainer, "k", _CFG) if rule == "topk" else None
    kept = _single(held, "k") if rule == "topk" else None
    if kept not in {None, k}:
        raise DictionaryError(
            f"{_CFG} says k = {k}, but {_PICKLE} holds {kept:g}.",
            "Take both files from the same place.",
        )
    return Weights(**made), Settings(rule, k=k, centred=row.centred)


def _single(held: Mapping[str, Tensor], name: str) -> float | None:
    """A number among the tensors, None without it. Raises DictionaryError for several."""
    found = held.get(name)
    if found is not None and found.numel() != 1:
        raise DictionaryError(f"{_PICKLE}: {name} holds {found.numel()} numbers, but one belongs.")
    return None if found is None else float(found)


def _site(trainer: Mapping[str, Any]) -> str:
    """The site by the submodule's name, which most files leave out: the residual stream then."""
    layer = trainer.get("layer")
    if not isinstance(layer, int) or isinstance(layer, bool) or layer < 0:
        return ""
    named = str(trainer.get("submodule_name") or "resid_post")
    plain = re.sub(r"_layer_\d+$", "", named)
    return f"{_PLACES[plain]}.{layer}" if plain in _PLACES else ""
