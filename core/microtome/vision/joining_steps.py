"""Frozen softmax, attention and norms: the steps that join many values (``steps.py`` has the rest).

The rules for a pair are those of docs/component-graph.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.coefficients import logarithmic_mean
from microtome.vision.calls import Call, Map, kept_as_it_was

_HIDDEN = -1e30  # the logarithm of no attention


def softmax(call: Call, other: Call | None) -> Map:
    """A pattern as it was; of a pair, by the logarithmic means of both patterns."""
    if other is None:
        return kept_as_it_was(call)
    dim = call.given.get("dim", call.args[1] if len(call.args) > 1 else -1)
    logs = [each.first.detach().log_softmax(dim) for each in (call, other)]
    return partial(_shifted, at=other, mean=_log_mean(*logs), dim=dim)


def _log_mean(a: Tensor, b: Tensor) -> Tensor:
    return logarithmic_mean(a.clamp_min(_HIDDEN), b.clamp_min(_HIDDEN))


def _shifted(call: Call, *, at: Call, mean: Tensor, dim: int) -> Tensor:
    value: Tensor = at.value + _moved(call.first - at.first, mean, dim)
    return value


def _moved(scores: Tensor, mean: Tensor, dim: int = -1) -> Tensor:
    """The change of a pattern for a change of its scores; what is hidden stays so."""
    scores = torch.where(mean > 0, scores, 0.0)
    return mean * (scores - (mean * scores).sum(dim, keepdim=True) / mean.sum(dim, keepdim=True))


_READ = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


def attention(call: Call, other: Call | None) -> Map:
    """Values are read with the pattern as it was; of a pair, as product and softmax are."""
    own = _pattern(call)
    if other is None:
        return partial(_read, pattern=own.exp())
    held, ends = call.named(*_READ), other.named(*_READ)
    q, k, v = ((held[name].detach() + ends[name]) / 2 for name in _READ[:3])
    their = _pattern(other)
    mean, middle = _log_mean(own, their), (own.exp() + their.exp()) / 2
    return partial(_reading, at=other, middle=(q, k, v), mean=mean, pattern=middle)


def _pattern(call: Call) -> Float[Tensor, "*batch query key"]:
    """The logarithm of the pattern."""
    held = call.named(*_READ)
    scores: Tensor = _factor(call) * held["query"].detach() @ held["key"].detach().transpose(-1, -2)
    mask = held.get("attn_mask")
    if held.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -math.inf)
    elif mask is not None:
        scores = scores + mask
    return scores.log_softmax(-1)


def _factor(call: Call) -> float:
    given = call.given.get("scale")
    return float(given) if given else 1 / math.sqrt(call.named(*_READ)["query"].shape[-1])


def _read(call: Call, *, pattern: Tensor) -> Tensor:
    read: Tensor = pattern @ call.named(*_READ)["value"]
    return read


def _reading(call: Call, *, at: Call, middle: Any, mean: Tensor, pattern: Tensor) -> Tensor:
    held, ends, (q, k, v) = call.named(*_READ), at.named(*_READ), middle
    asked, offered, said = (held[name] - ends[name] for name in _READ[:3])
    scores = _factor(call) * (asked @ k.transpose(-1, -2) + q @ offered.transpose(-1, -2))
    value: Tensor = at.value + pattern @ said + _moved(scores, mean) @ v
    return value


def layer_norm(call: Call, other: Call | None) -> Map:
    """The norm over the last dimensions."""
    held = call.named("input", "normalized_shape", "weight", "bias", "eps")
    over = tuple(range(-len(held["normalized_shape"]), 0))
    return _norm(call, other, held, partial(_centred, over=over), over)


def group_norm(call: Call, other: Call | None) -> Map:
    """The norm over channels of a group and all places."""
    held = call.named("input", "num_groups", "weight", "bias", "eps")
    places = (1, -1, *[1] * (call.first.dim() - 2))
    shaped = {n: held[n].reshape(places) for n in ("weight", "bias") if held.get(n) is not None}
    apart = partial(_in_groups, groups=held["num_groups"])
    return _norm(call, other, {**held, **shaped}, apart, (-1,))


def _centred(x: Tensor, *, over: tuple[int, ...]) -> Tensor:
    return x - x.mean(over, keepdim=True)


def _in_groups(x: Tensor, *, groups: int) -> Tensor:
    return _centred(x.reshape(x.shape[0], groups, -1), over=(-1,))


def _norm(
    call: Call,
    other: Call | None,
    held: Mapping[str, Any],
    centre: Callable[[Tensor], Tensor],
    over: tuple[int, ...],
) -> Map:
    """The mean is taken away as ever; the root of the variance stays as it was.

    Between two runs the norm's rule of docs/component-graph.md is exact.
    """
    ends = [centre(each.first.detach()) for each in (call, other) if each is not None]
    scale, pull = _parts(ends, held.get("eps", 1e-5), over)
    normed = partial(_normed, centre=centre, over=over, weight=held.get("weight"), scale=scale)
    if other is None:
        bias = held.get("bias")
        return partial(normed, at=0, value=0 if bias is None else bias)
    return partial(normed, at=other.first, value=other.value, pull=pull)


def norm_parts(
    x: Tensor, other: Tensor | None, eps: float
) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    """What a frozen norm over the last dimension does to centred values.

    Its scale at each place; of a pair also ``middle`` and ``share``, where a change x moves what
    comes out by ``middle · share · mean(middle · x)`` more.
    """
    ends = [_centred(each, over=(-1,)) for each in (x, other) if each is not None]
    return _parts(ends, eps, (-1,))


def _parts(
    ends: Sequence[Tensor], eps: float, over: tuple[int, ...]
) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    roots = [(each.square().mean(over, keepdim=True) + eps).rsqrt() for each in ends]
    if len(ends) == 1:
        return roots[0], None
    (a, b), (r, s) = ends, roots
    return (r + s) / 2, ((a + b) / 2, -2 * (r * s).square() / (r + s))


def _normed(
    call: Call,
    *,
    centre: Callable[[Tensor], Tensor],
    over: tuple[int, ...],
    weight: Tensor | None,
    at: Any,
    scale: Tensor,
    value: Any,
    pull: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    step = centre(call.first - at)
    moved = step * scale
    if pull is not None:
        middle, share = pull
        moved = moved + middle * share * (middle * step).mean(over, keepdim=True)
    moved = moved.reshape(call.first.shape)
    made: Tensor = value + (moved if weight is None else moved * weight)
    return made
