"""Dictionaries of every rule with random tensors, and their codes written out in loops."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from microtome.features.dictionary import Dictionary
from microtome.features.rules import RULES, Settings, Weights
from microtome.records.dictionary import DictionaryIdentity

D_IN, D_SAE, K = 6, 20, 3
_VECTORS = ("b_enc", "threshold", "b_gate", "b_mag", "r_mag")


def made(
    rule: str, *, d_out: int = D_IN, skip: bool = False, seed: int = 0, **settings: object
) -> Dictionary:
    """A dictionary of a rule; one of another width, or with a skip, is a transcoder."""
    random = torch.Generator().manual_seed(seed)
    transcodes = skip or d_out != D_IN

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * 0.5

    tensors = {"w_enc": draw(D_SAE, D_IN), "w_dec": draw(D_SAE, d_out), "b_dec": draw(d_out)}
    tensors |= {name: draw(D_SAE) for name in _VECTORS}
    tensors["threshold"] = tensors["threshold"].abs()
    if rule == "matching_pursuit":
        tensors["w_dec"] /= tensors["w_dec"].norm(dim=1, keepdim=True)
    kept = {name: tensors[name] for name in ("w_dec", "b_dec", *RULES[rule].needs)}
    if skip:
        kept["w_skip"] = draw(d_out, D_IN)
    given: dict[str, object] = {"centred": not transcodes, "k": K if RULES[rule].takes_k else None}
    writes = "mlp_out.1" if transcodes else "mlp_in.1"
    identity = DictionaryIdentity("made", "", 0, 0, 0, reads="mlp_in.1", writes=writes)
    return Dictionary(
        Weights(**kept),
        Settings(rule, **(given | settings)),
        identity,  # type: ignore[arg-type]
    )


def plain_codes(one: Dictionary, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The codes of normalised rows, a row and a feature at a time, in float64."""
    held = {name: tensor.double().numpy() for name, tensor in one.weights.tensors().items()}
    if one.settings.centred:
        x = x - held["b_dec"]
    if one.settings.rule == "matching_pursuit":
        return np.array([_pursued(row, held["w_dec"], one.settings) for row in x])
    codes = np.zeros((len(x), one.d_sae))
    for row, values in enumerate(x):
        read = [float(held["w_enc"][feature] @ values) for feature in range(one.d_sae)]
        codes[row] = _coded(one, held, read)
    return codes


def _coded(one: Dictionary, held: dict[str, NDArray[np.float64]], read: list[float]) -> list[float]:
    norms = np.linalg.norm(held["w_dec"], axis=1) if one.settings.by_decoder_norm else None
    if one.settings.rule == "gated":
        return [
            max(0.0, value * np.exp(held["r_mag"][f]) + held["b_mag"][f])
            if value + held["b_gate"][f] > 0 else 0.0
            for f, value in enumerate(read)
        ]  # fmt: skip
    pre = [value + held["b_enc"][f] for f, value in enumerate(read)]
    judged = [value * (1 if norms is None else norms[f]) for f, value in enumerate(pre)]
    if one.settings.rule == "topk":
        best = sorted(range(len(pre)), key=lambda f: -judged[f])[: one.settings.k]
        return [max(0.0, value) if f in best else 0.0 for f, value in enumerate(pre)]
    if one.settings.rule == "jumprelu":
        return [v if j > held["threshold"][f] and v > 0 else 0.0
                for f, (v, j) in enumerate(zip(pre, judged, strict=True))]  # fmt: skip
    return [max(0.0, value) for value in pre]


def _pursued(
    left: NDArray[np.float64], directions: NDArray[np.float64], settings: Settings
) -> NDArray[np.float64]:
    codes = np.zeros(len(directions))
    while True:
        products = directions @ left
        best = int(products.argmax())
        if products[best] <= 0:
            return codes
        codes[best] += products[best]
        left = left - products[best] * directions[best]
        if np.linalg.norm(left) < settings.residual_threshold:
            return codes
