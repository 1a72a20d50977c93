"""Folders of SAELens: ``cfg.json`` and ``sae_weights.safetensors``.

Facts: SAELens 6 (``saes/``, ``loading/pretrained_sae_loaders.py``). An architecture is a row: the
rule that it is here, and whether it writes elsewhere than it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from microtome.errors import DictionaryError
from microtome.features.formats.hooks import site_of
from microtome.features.formats.place import Entry, Place, number, table, whole
from microtome.features.formats.recipe import (
    Recipe,
    Stored,
    gathered,
    names_of,
    stored,
    told,
    unit_decoder,
)
from microtome.features.formats.saelens_flat import is_flat, unfolded
from microtome.features.rules import Settings, Weights

NAME, TITLE = "saelens", "SAELens"
CFG, WEIGHTS = "cfg.json", "sae_weights.safetensors"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A row: the rule that an architecture is, and how its tensors are stored."""

    rule: str
    across: bool = False
    skip: bool = False
    # Saved while it was trained: one threshold for all features, where the norm belongs to codes.
    one_threshold: bool = False

    @property
    def rows(self) -> dict[str, Stored]:
        """Its tensors."""
        rows = {"w_dec": stored("W_dec"), "b_dec": stored("b_dec")}
        if self.rule != "matching_pursuit":
            rows["w_enc"] = stored("W_enc", turned=True)
        for name in _VECTORS[self.rule]:
            rows[name] = stored(name)
        if self.one_threshold:
            rows["threshold"] = stored("topk_threshold")
        if self.skip:
            rows["w_skip"] = stored("W_skip")
        return rows


_VECTORS = {
    "relu": ("b_enc",), "topk": ("b_enc",), "jumprelu": ("b_enc", "threshold"),
    "gated": ("b_gate", "b_mag", "r_mag"), "matching_pursuit": (),
}  # fmt: skip
ARCHITECTURES: Mapping[str, Architecture] = {
    "standard": Architecture("relu"),
    "topk": Architecture("topk"),
    "jumprelu": Architecture("jumprelu"),
    "gated": Architecture("gated"),
    "matching_pursuit": Architecture("matching_pursuit"),
    "batchtopk": Architecture("jumprelu", one_threshold=True),
    "matryoshka_batchtopk": Architecture("jumprelu", one_threshold=True),
    "transcoder": Architecture("relu", across=True),
    "skip_transcoder": Architecture("relu", across=True, skip=True),
    "jumprelu_transcoder": Architecture("jumprelu", across=True),
    "jumprelu_skip_transcoder": Architecture("jumprelu", across=True, skip=True),
}
_NORMALISATIONS = ("none", "constant_norm_rescale", "layer_norm")
_AVERAGE = "expected_average_only_in"
_FOLDED = (
    "Activations are to be scaled to an average norm; the factor is taken to be in the weights. "
    "If it is not, name it as scale."
)


def fits(place: Place) -> bool:
    """Whether a place is such a folder."""
    return place.has(CFG, WEIGHTS)


def recipe(place: Place) -> Recipe:
    """What the folder is. Raises DictionaryError for settings that make no sense."""
    cfg = place.json(CFG)
    cfg = unfolded(cfg) if is_flat(cfg) else cfg
    name = str(cfg.get("architecture", "standard"))
    header = place.header(WEIGHTS)
    row, problem = ARCHITECTURES.get(name), _problem(name, cfg, header)
    meta = table(cfg, "metadata", CFG)
    d_in, d_sae = whole(cfg, "d_in", CFG), whole(cfg, "d_sae", CFG)
    d_out = whole(cfg, "d_out", CFG) if row and row.across else d_in
    said = told(
        place, (NAME, TITLE), (CFG, WEIGHTS),
        architecture=_words(name, row), sizes=(d_in, d_sae, d_out), sites=_sites(meta, row),
        model=str(meta.get("model_name") or ""), dtype=_stored_as(header),
        model_fingerprint=str(table(meta, "microtome", CFG).get("model_fingerprint") or ""),
        source={"architecture": name, "metadata": meta}, problem=problem, notes=_notes(cfg),
    )  # fmt: skip
    made = row or ARCHITECTURES["standard"]
    return Recipe(said, lambda: (_weights(place, made, cfg), _settings(made, cfg)))


def _words(name: str, row: Architecture | None) -> str:
    if row is None:
        return name
    return f"{row.rule} {'skip ' if row.skip else ''}{'transcoder' if row.across else 'sae'}"


def _stored_as(header: Mapping[str, Entry]) -> str:
    largest = max(header.values(), key=lambda entry: entry.count, default=None)
    return largest.dtype if largest else "float32"


def _sites(meta: Mapping[str, Any], row: Architecture | None) -> tuple[str, str]:
    own = table(meta, "microtome", CFG)
    reads = site_of(own.get("reads")) or site_of(meta.get("hook_name"), meta.get("hook_head_index"))
    if row is None or not row.across:
        return reads, reads
    out = site_of(meta.get("hook_name_out"), meta.get("hook_head_index_out"))
    return reads, site_of(own.get("writes")) or out or "mlp_out"


def _problem(name: str, cfg: Mapping[str, Any], header: Mapping[str, Entry]) -> str:
    """Why the folder cannot be loaded, empty when it can."""
    row = ARCHITECTURES.get(name)
    if row is None:
        known = ", ".join(ARCHITECTURES)
        return f"The architecture {name!r} is not supported. Supported are {known}."
    normalise = str(cfg.get("normalize_activations") or "none")
    if normalise not in (*_NORMALISATIONS, _AVERAGE):
        known = ", ".join((*_NORMALISATIONS, _AVERAGE))
        return f"The normalisation {normalise!r} is not supported. Supported are {known}."
    activation = str(cfg.get("activation_fn", "relu"))
    if activation not in {"relu", "topk"}:
        return f"The activation function {activation!r} is not supported, only relu and topk."
    if row.across and cfg.get("apply_b_dec_to_input"):
        return f"A {name} cannot subtract b_dec from what it reads (apply_b_dec_to_input)."
    if "finetuning_scaling_factor" in header:
        return "Its codes were rescaled after training (finetuning_scaling_factor): not supported."
    return ""


def _notes(cfg: Mapping[str, Any]) -> tuple[str, ...]:
    hook = table(cfg, "metadata", CFG).get("hook_name")
    notes: tuple[str, ...] = (_FOLDED,) if cfg.get("normalize_activations") == _AVERAGE else ()
    if hook and not site_of(hook):
        notes += (f"No site is named {str(hook)[:80]!r}.",)
    return notes


def _settings(row: Architecture, cfg: Mapping[str, Any]) -> Settings:
    normalise = str(cfg.get("normalize_activations") or "none")
    settings = Settings(
        row.rule,
        k=whole(cfg, "k", CFG) if row.rule == "topk" else None,
        centred=bool(cfg.get("apply_b_dec_to_input", True)) and not row.across,
        normalise="none" if normalise == _AVERAGE else normalise,
    )
    if row.rule != "matching_pursuit":
        return settings
    rounds = cfg.get("max_iterations")
    return replace(
        settings,
        residual_threshold=number(cfg, "residual_threshold", CFG, 1e-2),
        rounds=whole(cfg, "d_in" if rounds is None else "max_iterations", CFG),
        until_repeated=bool(cfg.get("stop_on_duplicate_support", True)),
    )


def _weights(place: Place, row: Architecture, cfg: Mapping[str, Any]) -> Weights:
    header = place.header(WEIGHTS)
    rows = row.rows
    if "topk_threshold" not in header and "threshold" in header:
        rows |= {"threshold": stored("threshold")}
    held = place.tensors(WEIGHTS, [*names_of(header, rows), *_scaling(header)])
    _expect_no_scaling(held)
    made = gathered(held, rows, WEIGHTS)
    if "threshold" in made and made["threshold"].ndim == 0:
        made["threshold"] = made["threshold"].expand(len(made["w_dec"])).clone()
    if row.rule == "matching_pursuit" and not cfg.get("apply_b_dec_to_input", True):
        # It adds what it subtracted, and nothing where it subtracts nothing.
        made["b_dec"] = torch.zeros_like(made["b_dec"])
    weights = Weights(**made)
    return unit_decoder(weights) if cfg.get("rescale_acts_by_decoder_norm") else weights


def _scaling(header: Mapping[str, Entry]) -> list[str]:
    return ["scaling_factor"] if "scaling_factor" in header else []


def _expect_no_scaling(held: Mapping[str, Tensor]) -> None:
    factor = held.get("scaling_factor")
    if factor is not None and not torch.allclose(factor, torch.ones_like(factor)):
        raise DictionaryError(
            f"{WEIGHTS} holds a scaling_factor that is not 1 everywhere: its codes were rescaled "
            "after training, which is not supported."
        )
