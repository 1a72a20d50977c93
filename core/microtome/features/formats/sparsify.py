"""Folders of sparsify (EleutherAI): ``cfg.json`` and ``sae.safetensors``; always the k largest.

The site is the name of the folder: ``layers.5`` is what the layer writes, ``layers.5.mlp`` what
its MLP writes; one that transcodes reads what the MLP reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from microtome.features.formats.hooks import site_of
from microtome.features.formats.place import Place, whole
from microtome.features.formats.recipe import Recipe, gathered, names_of, stored, told
from microtome.features.rules import Settings, Weights

NAME, TITLE = "sparsify", "sparsify"
_CFG, _WEIGHTS = "cfg.json", "sae.safetensors"
_ROWS = {
    "w_enc": stored("encoder.weight"),
    "b_enc": stored("encoder.bias", "b_enc", may_lack=True),
    "w_dec": stored("W_dec"),
    "b_dec": stored("b_dec", "decoder.bias", may_lack=True),
    "w_skip": stored("W_skip", may_lack=True),
}
# Names of other versions, under which a matrix lies turned.
_TURNED = {
    "w_enc": stored("W_enc", turned=True),
    "w_dec": stored("decoder.weight", turned=True),
}


def fits(place: Place) -> bool:
    """Whether a place is such a folder."""
    return place.has(_CFG, _WEIGHTS)


def recipe(place: Place) -> Recipe:
    """What the folder is. Raises DictionaryError for settings that make no sense."""
    cfg = place.json(_CFG)
    d_in, header = whole(cfg, "d_in", _CFG), place.header(_WEIGHTS)
    d_sae = cfg.get("num_latents") or d_in * whole(cfg, "expansion_factor", _CFG)
    across = bool(cfg.get("transcode"))
    reads, writes = _sites(place, across)
    skip = "skip " if "W_skip" in header else ""
    said = told(
        place, (NAME, TITLE), (_CFG, _WEIGHTS),
        architecture=f"topk {skip}{'transcoder' if across else 'sae'}",
        sizes=(d_in, whole({"num_latents": d_sae}, "num_latents", _CFG), d_in),
        sites=(reads, writes), source={"settings": cfg}, problem=_problem(cfg),
        dtype=next((entry.dtype for entry in header.values()), "float32"),
    )  # fmt: skip
    return Recipe(
        said,
        lambda: (
            _weights(place),
            Settings("topk", k=whole(cfg, "k", _CFG), centred=not across),
        ),
    )


def _problem(cfg: Mapping[str, Any]) -> str:
    activation = cfg.get("activation", "topk")
    if activation != "topk":
        return f"The activation function {activation!r} is not supported, only topk."
    if cfg.get("signed"):
        return "Codes of both signs (signed) are not supported."
    return ""


def _sites(place: Place, across: bool) -> tuple[str, str]:
    written = site_of(place.trail[-1] if place.trail else place.folder.name)
    if not across:
        return written, written
    if not written.startswith("mlp_out"):
        return "", "mlp_out"
    return written.replace("mlp_out", "mlp_in"), written


def _weights(place: Place) -> Weights:
    header = place.header(_WEIGHTS)
    rows = {
        name: row if row.may_lack or set(row.names) & set(header) else _TURNED[name]
        for name, row in _ROWS.items()
    }
    made = gathered(place.tensors(_WEIGHTS, names_of(header, rows)), rows, _WEIGHTS)
    made.setdefault("b_enc", torch.zeros(len(made["w_dec"])))
    made.setdefault("b_dec", torch.zeros(made["w_dec"].shape[1]))
    return Weights(**made)
