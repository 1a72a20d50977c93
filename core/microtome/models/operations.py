"""The elementary operations of a transformer, one for all families."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import linear

from microtome.models.activation_functions import activation_function
from microtome.models.anatomy import Anatomy, Attention, Experts, Norm, Rotary, Router, Transform


@dataclass(frozen=True, slots=True, eq=False)
class NormRun:
    """What a norm did: its input (centred if it centres) and the root it divided by."""

    centred: Float[Tensor, "*axes d"]
    scale: Float[Tensor, "*axes 1"]


def norm_run(norm: Norm | None, x: Tensor) -> NormRun | None:
    """Input and root of a norm, None where there is no norm."""
    if norm is None:
        return None
    centred = x - x.mean(-1, keepdim=True) if norm.centred else x
    mean_square = centred.square().mean((-3, -1) if norm.joint else -1, keepdim=True)
    return NormRun(centred, (mean_square + norm.eps).sqrt().expand(*x.shape[:-1], 1))


def scaled(norm: Norm | None, ran: NormRun | None, x: Tensor) -> Tensor:
    """The output of a norm that ran on ``x``; ``x`` itself where there is no norm."""
    if norm is None or ran is None:
        return x
    y = ran.centred / ran.scale
    y = y if norm.weight is None else y * norm.weight
    return y if norm.bias is None else y + norm.bias


def normalise(norm: Norm | None, x: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
    """The output of a norm; the input itself where there is no norm."""
    return scaled(norm, norm_run(norm, x), x)


@dataclass(frozen=True, slots=True, eq=False)
class TransformRun:
    """What a transform did: what its non-linearity read, and its norm."""

    pre: Float[Tensor, "*rows d_read"]
    norm: NormRun | None


def transform_run(
    transform: Transform | None, read: Float[Tensor, "*rows d_model"]
) -> TransformRun | None:
    """What a transform does to what the final norm gave, None where there is no transform."""
    if transform is None:
        return None
    pre = linear(read, transform.weight, transform.bias)
    return TransformRun(pre, norm_run(transform.norm, _activated(transform, pre)))


def transformed(
    transform: Transform | None, read: Float[Tensor, "*rows d_model"]
) -> Float[Tensor, "*rows d_read"]:
    """What the unembedding reads; the input itself where there is no transform."""
    ran = transform_run(transform, read)
    if transform is None or ran is None:
        return read
    return scaled(transform.norm, ran.norm, _activated(transform, ran.pre))


def _activated(transform: Transform, pre: Tensor) -> Tensor:
    name = transform.activation
    return pre if name is None else activation_function(name).value(pre)


def embedded(
    anatomy: Anatomy, ids: Int[Tensor, "*run position"]
) -> Float[Tensor, "*run position d_model"]:
    """What each token adds to the residual stream."""
    rows = anatomy.embedding[ids] * anatomy.embedding_scale
    wide = rows if anatomy.embedding_map is None else linear(rows, anatomy.embedding_map)
    return normalise(anatomy.embedding_norm, wide)


def project(read: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What heads [head, d_head, d_model] read: [head, position, d_head]."""
    flat: Tensor = linear(read, weight.flatten(0, 1), None if bias is None else bias.flatten())
    heads: Tensor = flat.unflatten(-1, weight.shape[:2])
    return heads.transpose(-2, -3)


def output_matrix(weights: Attention) -> Float[Tensor, "d_model all_heads"]:
    """The output matrices of all heads side by side; a view of the model's own where it can be."""
    return weights.w_o.transpose(0, 1).flatten(1)


def per_head(
    x: Float[Tensor, "*run kv_head row d"], weights: Attention
) -> Float[Tensor, "*run head row d"]:
    """Keys or values repeated for every head of their group."""
    return x if weights.group == 1 else x.repeat_interleave(weights.group, dim=-3)


def rotate(
    x: Float[Tensor, "*head position d_head"], rotary: Rotary | None
) -> Float[Tensor, "*head position d_head"]:
    """Rotary positions applied; row i of the position axis is position i."""
    if rotary is None:
        return x
    return turn(x, *rotary.angles(x.shape[-2]), interleaved=rotary.interleaved)


def turn(
    x: Float[Tensor, "*head position d_head"], cos: Tensor, sin: Tensor, *, interleaved: bool
) -> Float[Tensor, "*head position d_head"]:
    """The first dimensions of a head turned by angles; by ``-sin`` it is the transpose."""
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    if interleaved:
        across = torch.stack([-turned[..., 1::2], turned[..., ::2]], dim=-1).flatten(-2)
    else:
        first, second = turned.chunk(2, dim=-1)
        across = torch.cat([-second, first], dim=-1)
    return torch.cat([turned * cos + across * sin, rest], dim=-1)


def route(
    router: Router, read: Float[Tensor, "position d_model"]
) -> Float[Tensor, "position expert"]:
    """The weight of each expert at each position, 0 where it is not chosen."""
    probabilities = linear(read, router.weight).softmax(-1)
    best = probabilities.topk(router.chosen, dim=-1)
    values = best.values / best.values.sum(-1, keepdim=True) if router.renormalise else best.values
    return torch.zeros_like(probabilities).scatter(-1, best.indices, values)


def neuron_scales(
    experts: Experts,
    read: Float[Tensor, "position d_model"],
    routed: Float[Tensor, "position expert"] | None = None,
) -> Float[Tensor, "position d_mlp"]:
    """What the router scales each neuron by; ``routed`` in place of its own choices."""
    weights = route(experts.router, read) if routed is None else routed
    scales = weights.repeat_interleave(experts.down.shape[2], -1)
    if experts.shared is None or experts.router.shared is None:
        return scales
    gate = torch.sigmoid(linear(read, experts.router.shared))
    return torch.cat([scales, gate.expand(-1, experts.shared.n_neurons)], -1)


def soft_cap(x: Tensor, cap: float | None) -> Tensor:
    """``cap * tanh(x / cap)``, or the value itself without a cap."""
    return x if cap is None else cap * torch.tanh(x / cap)


@lru_cache(maxsize=16)
def visible_keys(
    count: int, window: int | None, device: torch.device, *, causal: bool = True
) -> Bool[Tensor, "query key"]:
    """Which keys a query sees: itself and what came before, inside the window if there is one.

    Without ``causal`` what comes behind it too, as far as the window reaches before it.
    """
    query = torch.arange(count, device=device)[:, None]
    key = torch.arange(count, device=device)[None, :]
    seen = key <= query if causal else torch.ones(count, count, dtype=torch.bool, device=device)
    return seen if window is None else seen & ((key - query).abs() < window)
