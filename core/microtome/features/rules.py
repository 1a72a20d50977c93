"""Rules of sparsity: how the codes of a dictionary follow from what its encoder gives.

A rule is a row of one table, so that an architecture is data: published architectures are a rule
with or without a linear skip, reading and writing at one site or at two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from microtome.errors import DictionaryError

# Rounds of matching pursuit that a row may take where the dictionary names no number.
PURSUITS = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The tensors of a dictionary in one form for all architectures, a row a feature.

    All act as ``y = x @ w.T + b``; the decoder as ``codes @ w_dec + b_dec``. ``w_enc`` is None
    where the decoder serves as the encoder too. Shapes are checked by the
    dictionary, which says what does not fit.
    """

    w_dec: Tensor  # [feature, d_out]
    b_dec: Tensor  # [d_out]
    w_enc: Tensor | None = None  # [feature, d_in]
    b_enc: Tensor | None = None  # [feature], as all that follow but the skip
    threshold: Tensor | None = None
    b_gate: Tensor | None = None
    b_mag: Tensor | None = None
    r_mag: Tensor | None = None
    w_skip: Tensor | None = None  # [d_out, d_in]

    @property
    def encoder(self) -> Float[Tensor, "feature d_in"]:
        """The direction that each feature reads."""
        return self.w_dec if self.w_enc is None else self.w_enc

    def need(self, name: str) -> Tensor:
        """One that a rule cannot do without. Raises DictionaryError when it is not there."""
        held: Tensor | None = getattr(self, name)
        if held is None:
            raise DictionaryError(f"The dictionary has no {name}, which its rule needs.")
        return held

    def tensors(self) -> dict[str, Tensor]:
        """Those that are there, by name."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: tensor for name, tensor in named.items() if tensor is not None}


@dataclass(frozen=True, slots=True)
class Settings:
    """What an architecture has besides tensors.

    ``centred`` takes ``b_dec`` from what is read; ``by_decoder_norm`` compares features by what
    they write; ``normalise`` is a key of ``NORMALISATIONS``. The last three end matching pursuit:
    when what is left is short, after so many rounds, or when a round adds no further feature.
    """

    rule: str
    k: int | None = None
    centred: bool = True
    by_decoder_norm: bool = False
    normalise: str = "none"
    residual_threshold: float = 0.0
    rounds: int | None = None
    until_repeated: bool = False


Codes = Callable[[Weights, Settings, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table: its codes, and the tensors and settings that it needs."""

    codes: Codes
    needs: tuple[str, ...] = ("w_enc", "b_enc")
    takes_k: bool = False


def pre_activations(weights: Weights, x: Float[Tensor, "n d_in"]) -> Float[Tensor, "n feature"]:
    """What the encoder gives before its rule."""
    return functional.linear(x, weights.encoder, weights.b_enc)


def _relu(weights: Weights, _: Settings, x: Tensor) -> Tensor:
    return pre_activations(weights, x).relu()


def _topk(weights: Weights, settings: Settings, x: Tensor) -> Tensor:
    """The k largest of each row; of what each would write with ``by_decoder_norm``."""
    pre = pre_activations(weights, x)
    judged = pre * weights.w_dec.norm(dim=1) if settings.by_decoder_norm else pre
    k = min(settings.k or 0, pre.shape[-1])
    chosen = judged.topk(k, dim=-1, sorted=False).indices
    kept = pre.gather(-1, chosen).relu()
    return torch.zeros_like(pre).scatter_(-1, chosen, kept)


def _jumprelu(weights: Weights, settings: Settings, x: Tensor) -> Tensor:
    pre = pre_activations(weights, x)
    judged = pre * weights.w_dec.norm(dim=1) if settings.by_decoder_norm else pre
    return pre.relu() * (judged > weights.need("threshold"))


def _gated(weights: Weights, _: Settings, x: Tensor) -> Tensor:
    """A gate says which features are on, a rescaled copy of the same products how much."""
    read = x @ weights.encoder.T
    magnitude = (read * weights.need("r_mag").exp() + weights.need("b_mag")).relu()
    return magnitude * (read + weights.need("b_gate") > 0)


def _matching_pursuit(weights: Weights, settings: Settings, x: Tensor) -> Tensor:
    """Take the best direction from what is left, again and again.

    Ends for a row when no direction gains, when what is left is short, or when it took what it had.
    """
    codes = x.new_zeros((len(x), len(weights.w_dec)))
    left, rows = x.clone(), torch.arange(len(x), device=x.device)
    for _ in range(settings.rounds or PURSUITS):
        if not len(rows):
            break
        best = (left[rows] @ weights.w_dec.T).relu().max(dim=1)
        again = codes[rows, best.indices] > 0
        codes[rows, best.indices] += best.values
        left[rows] -= best.values[:, None] * weights.w_dec[best.indices]
        going = (best.values > 0) & (left[rows].norm(dim=1) >= settings.residual_threshold)
        rows = rows[going & ~again] if settings.until_repeated else rows[going]
    return codes


# topk over a batch serves training only: what is saved of it has a threshold.
RULES: dict[str, Rule] = {
    "relu": Rule(_relu),
    "topk": Rule(_topk, takes_k=True),
    "jumprelu": Rule(_jumprelu, ("w_enc", "b_enc", "threshold")),
    "gated": Rule(_gated, ("w_enc", "b_gate", "b_mag", "r_mag")),
    "matching_pursuit": Rule(_matching_pursuit, ()),
}


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """What a dictionary reads after its normalisation, and how its output goes back."""

    x: Float[Tensor, "n d_in"]
    scale: Float[Tensor, "n 1"] | float = 1.0
    shift: Float[Tensor, "n 1"] | float = 0.0

    def back(self, output: Float[Tensor, "n d_out"]) -> Float[Tensor, "n d_out"]:
        """An output in the units of the model."""
        return output * self.scale + self.shift


def _unit(x: Tensor) -> Scaled:
    """Each row at the norm that a row of unit variance has."""
    scale = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
    scale = torch.where(scale > 0, scale, 1.0)
    return Scaled(x / scale, scale)


def _layer_norm(x: Tensor) -> Scaled:
    mean, scale = x.mean(dim=-1, keepdim=True), x.std(dim=-1, keepdim=True)
    # As SAELens has it: the small number that guards the division does not come back.
    return Scaled((x - mean) / (scale + 1e-5), scale, mean)


NORMALISATIONS: dict[str, Callable[[Tensor], Scaled]] = {
    "none": Scaled,
    "constant_norm_rescale": _unit,
    "layer_norm": _layer_norm,
}
