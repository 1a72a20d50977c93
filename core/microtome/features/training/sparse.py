"""The fast path of TopK: gradients from the k codes of each row, never from a matrix of codes.

One product with the encoder and one search for the largest are left, and Adam. Codes are written
by weighted sums of decoder rows, and the same pairs of row and feature, sorted by feature, give
both weight gradients as weighted sums of rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from microtome.features.training.dead import auxiliary_loss
from microtome.features.training.gradients import Found
from microtome.features.training.plan import Plan


def sparse_gradients(
    plan: Plan,
    weights: Mapping[str, Tensor],
    batch: tuple[Tensor, Tensor],
    dead: Bool[Tensor, " feature"],
) -> Found:
    """Set ``grad`` of every weight of a TopK dictionary that reads and writes one site each.

    Equal to what ``dense_gradients`` sets, but for rounding.
    """
    x = batch[0]
    read, features = _largest(weights, x, plan.k)
    codes = read.relu()
    missed, by_code = _written(weights, codes, features, batch)
    error = float(missed.square().sum() / len(x))
    given = missed.mul_(2 / len(x))
    _decoder_gradients(weights, given, x)
    by_code *= read > 0
    on = _pair_gradients(weights, features, codes, by_code, (x, given))
    loss = error
    if plan.auxiliary and bool(dead.any()):
        loss += plan.auxiliary * _add_auxiliary(plan, weights, (x, given * (-len(x) / 2)), dead)
    return Found(loss, error, on, torch.inf)


def _largest(weights: Mapping[str, Tensor], x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of what the encoder gives for each row [row, k], and whose they are."""
    pre = functional.linear(x, weights["w_enc"], weights["b_enc"])
    kept = pre.topk(min(k, pre.shape[1]), dim=1, sorted=False)
    return kept.values, kept.indices


def _written(
    weights: Mapping[str, Tensor],
    codes: Tensor,
    features: Tensor,
    batch: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """What is written minus the target, and the gradient of the mean squared distance by codes.

    The latter as autograd of a weighted sum of rows gives it, which gathers no rows.
    """
    x, target = batch
    held = codes.detach().requires_grad_(True)
    with torch.enable_grad():
        written = functional.embedding_bag(
            features, weights["w_dec"], per_sample_weights=held, mode="sum"
        )
    missed = written.detach() + weights["b_dec"] - target
    if "w_skip" in weights:
        missed += x @ weights["w_skip"].T
    (by_code,) = torch.autograd.grad(written, held, missed * (2 / len(x)))
    return missed, by_code


def _decoder_gradients(weights: Mapping[str, Tensor], given: Tensor, x: Tensor) -> None:
    weights["b_dec"].grad = given.sum(0)
    if "w_skip" in weights:
        weights["w_skip"].grad = given.T @ x


def _pair_gradients(
    weights: Mapping[str, Tensor],
    features: Tensor,
    codes: Tensor,
    by_code: Tensor,
    sides: tuple[Tensor, Tensor],
) -> Tensor:
    """Set the gradients that are sums over pairs of a row and a feature; count for each feature.

    ``sides`` are what the encoder read and the gradient of what was written.
    """
    flat, width = features.flatten(), len(weights["w_dec"])
    # Numbers of features fit in 32 bits, and half the bytes are sorted in half the time.
    order = flat.int().argsort(stable=True)
    rows = torch.div(order, features.shape[1], rounding_mode="floor")
    counts = torch.bincount(flat, minlength=width)
    starts = counts.cumsum(0) - counts
    for name, values, side in (("w_enc", by_code, sides[0]), ("w_dec", codes, sides[1])):
        weights[name].grad = functional.embedding_bag(
            rows, side, starts, per_sample_weights=values.flatten()[order], mode="sum"
        )
    held = weights["b_enc"]
    held.grad = torch.zeros_like(held).index_add_(0, flat, by_code.flatten())
    return torch.zeros_like(counts).index_add_(0, flat, (codes > 0).flatten().long())


def _add_auxiliary(
    plan: Plan, weights: Mapping[str, Tensor], batch: tuple[Tensor, Tensor], dead: Tensor
) -> float:
    """Add what dead features are taught; they alone are computed."""
    x, error = batch
    which = dead.nonzero()[:, 0]
    names = ("w_enc", "b_enc", "w_dec")
    held = [weights[name][which].requires_grad_(True) for name in names]
    encoder, bias, decoder = held
    pre = functional.linear(x, encoder, bias)
    every = torch.ones_like(which, dtype=torch.bool)
    loss = auxiliary_loss(pre, error, every, lambda codes: codes @ decoder)
    found = torch.autograd.grad(loss, held)
    for name, own in zip(names, found, strict=True):
        whole = weights[name].grad
        assert whole is not None  # noqa: S101  set above
        whole.index_add_(0, which, own, alpha=plan.auxiliary)
    return float(loss.detach())
