"""Rules of sparsity as they are trained: codes, loss, and what each is for inference.

All losses are means over rows of sums over what is written, in units in which the data have mean 0
and mean square 1. Rows of the decoder have norm 1 throughout, so that a penalty needs no norms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from microtome.features.training.plan import Plan

# Biases that rules without k start at, in standard deviations of what a chance direction gives.
# From 0 a third of the features is on at every row at first. On words-4l ReLU ended from there with
# 19 on and 9.5 % of the variance unexplained, from here with 11.5 and 4.3 %.
_APART = -1.5

Decode = Callable[[Mapping[str, Tensor], Tensor], Tensor]


@dataclass(slots=True, eq=False)
class Step:
    """What a rule sees of one batch.

    ``pre`` is what the encoder gives, [batch, feature] or [batch, layer, feature];
    ``target`` what should be written; ``decode`` writes codes with given weights.
    """

    weights: Mapping[str, Tensor]
    plan: Plan
    pre: Tensor
    target: Tensor
    decode: Decode
    pressure: float
    codes: Tensor = field(init=False)
    error: Tensor = field(init=False)  # the sum of squares that a row's reconstruction misses

    def missed(self, codes: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """The mean over rows of the squared distance of what codes write from the target."""
        written = self.decode(self.weights if weights is None else weights, codes)
        return (written - self.target).square().flatten(1).sum(1).mean()


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table.

    ``loss`` sets ``codes`` and ``error`` of a step. ``vectors`` are the parameters with one number
    a feature and what they start at. ``rule`` is what the dictionary has afterwards; one with a
    ``cut`` gets the mean smallest code that was on as threshold of all features.
    """

    title: str
    loss: Callable[[Step], Tensor]
    rule: str
    vectors: Mapping[str, float] = field(default_factory=lambda: {"b_enc": 0.0})
    pressure: float = 0.0
    takes_k: bool = False
    cut: bool = False
    source: str = ""


# ------------------------------------------------------------------ codes


def largest(pre: Tensor, k: int) -> Tensor:
    """The k largest of the last axis, where positive; else 0."""
    kept = pre.topk(min(k, pre.shape[-1]), dim=-1, sorted=False)
    return torch.zeros_like(pre).scatter(-1, kept.indices, kept.values.relu())


def largest_of_batch(pre: Tensor, k: int) -> Tensor:
    """The largest of the whole batch, k for each row on average, where positive; else 0."""
    flat = pre.flatten()
    rows = flat.numel() // pre.shape[-1]
    kept = flat.topk(min(k * rows, flat.numel()), sorted=False)
    codes = torch.zeros_like(flat).scatter(0, kept.indices, kept.values.relu())
    return codes.view_as(pre)


class _Jump(torch.autograd.Function):
    """``pre`` where it is above a threshold; the threshold's gradient by a rectangle kernel."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        ctx.bandwidth = bandwidth
        return pre * (pre > threshold)

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, Tensor, None]:
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < ctx.bandwidth / 2) / ctx.bandwidth
        return given * (pre > threshold), (-threshold * near * given).sum(0), None


class _Count(torch.autograd.Function):
    """1 where ``pre`` is above a threshold; the threshold's gradient by a rectangle kernel."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        ctx.bandwidth = bandwidth
        return (pre > threshold).to(pre.dtype)

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, Tensor, None]:
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < ctx.bandwidth / 2) / ctx.bandwidth
        return None, (-near * given).sum(0), None


# ------------------------------------------------------------------ losses


def _plain(step: Step, codes: Tensor) -> Tensor:
    step.codes, step.error = codes, step.missed(codes)
    return step.error


def _relu(step: Step) -> Tensor:
    """Error and L1 norm of the codes."""
    missed = _plain(step, step.pre.relu())
    return missed + step.pressure * _per_row(step.codes)


def _topk(step: Step) -> Tensor:
    """Error alone: how many features are on is given."""
    return _plain(step, largest(step.pre, step.plan.k))


def _batch_topk(step: Step) -> Tensor:
    """Error alone; a row may have more features on than another."""
    return _plain(step, largest_of_batch(step.pre, step.plan.k))


def _matryoshka(step: Step) -> Tensor:
    """The mean of the errors that the first features alone leave, for several widths."""
    codes = largest_of_batch(step.pre, step.plan.k)
    widths = step.plan.widths
    missed = []
    for width in widths[:-1]:
        first = codes.clone()
        first[..., width:] = 0
        missed.append(step.missed(first))
    missed.append(_plain(step, codes))
    return torch.stack(missed).mean()


def _jumprelu(step: Step) -> Tensor:
    """Error and the number of features that are on, through their thresholds' kernels."""
    threshold = step.weights["log_threshold"].exp()
    pre, width = step.pre.relu(), step.plan.bandwidth
    codes = _Jump.apply(pre, threshold, width)  # type: ignore[no-untyped-call]
    counted = _Count.apply(pre, threshold, width)  # type: ignore[no-untyped-call]
    return _plain(step, codes) + step.pressure * _per_row(counted)


def _gated(step: Step) -> Tensor:
    """Error, L1 norm of what the gate lets through, and the error of the gate alone.

    The gate's own reconstruction teaches it, as the gate itself has no gradient; it may not move
    the decoder.
    """
    held = step.weights
    gate = (step.pre + held["b_gate"]).relu()
    magnitude = (step.pre * held["r_mag"].exp() + held["b_mag"]).relu()
    missed = _plain(step, magnitude * (gate > 0))
    frozen = {name: each.detach() for name, each in held.items()}
    return missed + step.pressure * _per_row(gate) + step.missed(gate, frozen)


def _per_row(values: Tensor) -> Tensor:
    return values.flatten(1).sum(1).mean()


METHODS: dict[str, Method] = {
    "relu": Method(
        "ReLU with L1",
        _relu,
        "relu",
        {"b_enc": _APART},
        pressure=0.5,
        source="Bricken et al., Towards Monosemanticity (2023)",
    ),
    "topk": Method(
        "TopK",
        _topk,
        "topk",
        takes_k=True,
        source="Gao et al., Scaling and evaluating sparse autoencoders (2024)",
    ),
    "batchtopk": Method(
        "BatchTopK",
        _batch_topk,
        "jumprelu",
        takes_k=True,
        cut=True,
        source="Bussmann, Leask, Nanda, BatchTopK Sparse Autoencoders (2024)",
    ),
    "jumprelu": Method(
        "JumpReLU",
        _jumprelu,
        "jumprelu",
        {"b_enc": _APART, "log_threshold": -0.7},
        pressure=0.25,
        source="Rajamanoharan et al., Jumping Ahead (2024)",
    ),
    "gated": Method(
        "Gated",
        _gated,
        "gated",
        {"b_gate": _APART, "b_mag": _APART, "r_mag": 0.0},
        pressure=1.0,
        source="Rajamanoharan et al., Improving Dictionary Learning with Gated SAEs (2024)",
    ),
    "matryoshka": Method(
        "Matryoshka BatchTopK",
        _matryoshka,
        "jumprelu",
        takes_k=True,
        cut=True,
        source="Bussmann et al., Learning Multi-Level Features with Matryoshka SAEs (2025)",
    ),
}
