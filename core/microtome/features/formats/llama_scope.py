"""Llama Scope: ``hyperparams.json`` and ``checkpoints/final.safetensors``.

One threshold for all features, activations scaled to an average norm that the settings tell. Both
are put into the weights, so that codes are in the units of the model, as its authors' own reader
does (``lm_saes/sae.py``, December 2024). He et al., "Llama Scope" (2024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from microtome.errors import DictionaryError
from microtome.features.formats.hooks import site_of
from microtome.features.formats.place import Place, number, table, whole
from microtome.features.formats.recipe import Recipe, gathered, names_of, stored, told, unit_decoder
from microtome.features.rules import Settings, Weights

NAME, TITLE = "llama-scope", "Llama Scope"
_CFG = "hyperparams.json"
_FILES = (
    "checkpoints/final.safetensors", "checkpoints/pruned.safetensors", "final.safetensors",
    "sae_weights.safetensors",
)  # fmt: skip
_ROWS = {
    "w_enc": stored("encoder.weight"),
    "b_enc": stored("encoder.bias"),
    "w_dec": stored("decoder.weight", turned=True),
    "b_dec": stored("decoder.bias", may_lack=True),
}
_NORMS = {"dataset-wise": "none", "token-wise": "constant_norm_rescale", "inference": "none",
          "none": "none"}  # fmt: skip


def fits(place: Place) -> bool:
    """Whether a place is such a folder."""
    return place.has(_CFG) and any(place.has(name) for name in _FILES)


def recipe(place: Place) -> Recipe:
    """What the folder is. Raises DictionaryError for settings that make no sense."""
    cfg = place.json(_CFG)
    file = next(name for name in _FILES if place.has(name))
    reads = site_of(cfg.get("hook_point_in"))
    across = (cfg.get("hook_point_out") or cfg.get("hook_point_in")) != cfg.get("hook_point_in")
    writes = site_of(cfg.get("hook_point_out")) or "mlp_out" if across else reads
    d_in, problem, rule = whole(cfg, "d_model", _CFG), _problem(cfg), _rule(cfg)
    said = told(
        place, (NAME, TITLE), (_CFG, file),
        architecture=f"{rule} {'transcoder' if across else 'sae'}",
        sizes=(d_in, whole(cfg, "d_sae", _CFG), d_in), sites=(reads, writes),
        model=str(cfg.get("model_name") or _model(place)), source={"settings": cfg},
        dtype=next((entry.dtype for entry in place.header(file).values()), "float32"),
        problem=problem,
    )  # fmt: skip
    return Recipe(said, lambda: (_weights(place, file, cfg), _settings(cfg, across)))


def _settings(cfg: Mapping[str, Any], across: bool) -> Settings:
    rule, bias = _rule(cfg), cfg.get("use_decoder_bias", True)
    return Settings(
        rule,
        k=whole(cfg, "top_k", _CFG) if rule == "topk" else None,
        centred=bool(bias and cfg.get("apply_decoder_bias_to_pre_encoder")) and not across,
        normalise=_NORMS[_norm(cfg)],
    )


def _norm(cfg: Mapping[str, Any]) -> str:
    return str(cfg.get("norm_activation", "dataset-wise"))


def _rule(cfg: Mapping[str, Any]) -> str:
    rule = str(cfg.get("act_fn", "jumprelu")).lower()
    # What was trained as topk is read with a threshold, once it has one.
    return "jumprelu" if rule == "topk" and cfg.get("jump_relu_threshold") else rule


def _problem(cfg: Mapping[str, Any]) -> str:
    if _norm(cfg) not in _NORMS:
        return f"The normalisation {_norm(cfg)!r} is not supported, only {', '.join(_NORMS)}."
    if _rule(cfg) not in {"relu", "topk", "jumprelu"}:
        return f"The activation function {_rule(cfg)!r} is not supported."
    if cfg.get("use_glu_encoder"):
        return "Encoders with a gate of their own (use_glu_encoder) are not supported."
    return ""


def _model(place: Place) -> str:
    named = any("Llama3_1-8B" in part for part in (*place.trail, place.name))
    return "meta-llama/Llama-3.1-8B" if named else ""


def _factors(cfg: Mapping[str, Any]) -> tuple[float, float]:
    """What activations are multiplied by, and what the output was."""
    if _norm(cfg) != "dataset-wise":
        return 1.0, 1.0
    norms = table(cfg, "dataset_average_activation_norm", _CFG)
    into = number(norms, "in", _CFG)
    out = number(norms, "out", _CFG, into)
    if into <= 0 or out <= 0:
        raise DictionaryError(f"{_CFG} says average norms of {into} and {out}; both are positive.")
    root = math.sqrt(whole(cfg, "d_model", _CFG))
    return root / into, root / out


def _weights(place: Place, file: str, cfg: Mapping[str, Any]) -> Weights:
    held = place.tensors(file, names_of(place.header(file), _ROWS))
    made = gathered(held, _ROWS, file)
    made.setdefault("b_dec", torch.zeros(made["w_dec"].shape[1]))
    into, out = _factors(cfg)
    weights = Weights(
        made["w_dec"] * (into / out), made["b_dec"] / out, made["w_enc"], made["b_enc"] / into
    )
    if cfg.get("sparsity_include_decoder_norm", True):
        weights = unit_decoder(weights)
    if _rule(cfg) != "jumprelu":
        return weights
    height = number(cfg, "jump_relu_threshold", _CFG)
    threshold = torch.full((len(made["w_enc"]),), height)
    return Weights(**weights.tensors() | {"threshold": threshold})
