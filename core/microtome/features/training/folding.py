"""From training units to the model's: means and scales go into the weights, exactly.

Rows of a decoder keep norm 1; codes take the scale of what is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan

import torch
from torch import Tensor

from microtome.features.dictionary import Dictionary
from microtome.features.rules import Settings, Weights
from microtome.features.training.forms import Own
from microtome.features.training.methods import METHODS
from microtome.features.training.plan import Plan
from microtome.features.training.rows import Scale
from microtome.features.training.state import State
from microtome.features.transcoders import Transcoders
from microtome.records.dictionary import DictionaryIdentity

# Of the first positions of a prompt that a set of transcoders leaves alone: what is there is always
# the same, and is not trained on.
SILENT = 1

Identities = Sequence[DictionaryIdentity]


def finished(
    state: State, scales: tuple[Sequence[Scale], Sequence[Scale]], identities: Identities
) -> Dictionary | Transcoders:
    """What was trained, for inference; ``scales`` are those of what is read and written."""
    reads, writes = scales
    plan, cut = state.plan, float(state.cut)
    if isinstance(state.form, Own):
        held = folded(state.weights, reads[0], writes[0], plan, cut, state.form.transcodes)
        return _dictionary(held, plan, identities[0])
    layers, onward = [], []
    for layer, identity in enumerate(identities):
        weights = _layer(state.weights, layer)
        across = weights.pop("across")
        sizes = torch.tensor([each.size for each in writes[layer:]]) / writes[layer].size
        across = across * sizes[:, None]
        weights["w_dec"] = across[:, 0].contiguous()
        onward.append(across[:, 1:].contiguous())
        held = folded(weights, reads[layer], writes[layer], plan, cut, transcodes=True)
        layers.append(_dictionary(held, plan, identity))
    return Transcoders(tuple(layers), tuple(onward), SILENT)


def _layer(weights: Mapping[str, Tensor], layer: int) -> dict[str, Tensor]:
    """One layer's part of a cross-layer transcoder."""
    own = {name: each[layer] for name, each in weights.items() if not name.startswith("w_dec.")}
    return {**own, "across": weights[f"w_dec.{layer}"]}


def folded(
    weights: Mapping[str, Tensor], read: Scale, written: Scale, plan: Plan, cut: float,
    transcodes: bool,
) -> Weights:  # fmt: skip
    """Weights in the model's units, computed in float64; an autoencoder takes ``b_dec`` off first.

    With x' = (x − mean) / size of what is read, and codes of the size of what is written.
    """
    held = {name: each.detach().double() for name, each in weights.items()}
    mean, size = read.mean.double(), written.size
    encoder = held["w_enc"] * (size / read.size)
    b_dec = held["b_dec"] * size + written.mean.double()
    shift = encoder @ ((b_dec if not transcodes else torch.zeros_like(mean)) - mean)
    made = {"w_enc": encoder, "w_dec": held["w_dec"]}
    for name in ("b_enc", "b_gate"):
        if name in held:
            made[name] = held[name] * size + shift
    if "b_mag" in held:
        made["r_mag"] = held["r_mag"]
        made["b_mag"] = held["b_mag"] * size + held["r_mag"].exp() * shift
    if "log_threshold" in held:
        made["threshold"] = held["log_threshold"].exp() * size
    elif METHODS[plan.rule].cut:
        made["threshold"] = torch.full_like(held["b_enc"], (0.0 if isnan(cut) else cut) * size)
    if "w_skip" in held:
        made["w_skip"] = held["w_skip"] * (size / read.size)
        b_dec = b_dec - made["w_skip"] @ mean
    return Weights(**{name: each.float() for name, each in {**made, "b_dec": b_dec}.items()})


def _dictionary(weights: Weights, plan: Plan, identity: DictionaryIdentity) -> Dictionary:
    method = METHODS[plan.rule]
    settings = Settings(method.rule, k=plan.k if method.rule == "topk" else None)
    return Dictionary(weights, replace(settings, centred=not identity.is_transcoder), identity)
