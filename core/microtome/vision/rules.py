"""The steps of PyTorch through which it is known how values come about; ``RULES`` lists them.

Those that treat each unit alone, move values, join the units by one convolution or linear map, and
those that work head by head. A rule gives None where it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from microtome.records.circuit import IMAGE
from microtome.vision.calls import Call, live
from microtome.vision.edges import Kernel, Norm, Reading, Stream, added
from microtome.vision.joining_steps import norm_parts
from microtome.vision.known import Known, Pure, along, counts, numbered, stream_of, ways_to

# What is known of an argument of a step.
Get = Callable[[Any], Known | None]

# Steps on each value alone: those of a table of frozen ones, and those with fixed numbers.
ALONE = frozenset(("relu6", "leaky_relu", "gelu", "silu", "hardswish", "elu", "tanh", "hardtanh"))
SUMS = frozenset(("add", "iadd", "radd"))
_SAME = frozenset(("clone", "contiguous", "to", "dropout"))
_MOVES = frozenset(("reshape", "view", "flatten", "unflatten", "permute", "transpose", "movedim"))
_POOLS = frozenset(("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"))


def only(get: Get, call: Call) -> Known | None:
    """What is known of the first argument, where nothing else depends on the image."""
    rest = (*call.args[1:], *call.given.values())
    return None if any(live(each) for each in rest) else get(call.first)


def _alone(get: Get, call: Call, other: Call | None) -> Known | None:
    """A frozen step on each value, or a norm with fixed statistics."""
    del other
    known = only(get, call)
    if known is None or known.numbers.shape != call.value.shape:
        return None
    found = ways_to(known, call.first)
    return None if found is None else Known(known.numbers, ways=found)


def _batch_norm(get: Get, call: Call, other: Call | None) -> Known | None:
    """A step on each value alone, where the statistics are fixed."""
    training = call.args[5] if len(call.args) > 5 else call.given.get("training", False)
    return None if training else _alone(get, call, other)


def _relu(get: Get, call: Call, other: Call | None) -> Known | None:
    """A gate goes through zero: of a layer's values it makes such values."""
    known = only(get, call)
    if known is None or known.pure is None:
        return _alone(get, call, other)
    if known.pure.shifted:
        return None
    values = call.value.detach()
    values = values if other is None else values - other.value
    return Known(known.numbers, replace(known.pure, values=values))


def _pool(get: Get, call: Call, other: Call | None) -> Known | None:
    """Each channel alone, without a constant; a frozen one as it came out."""
    known = only(get, call)
    if known is None or known.pure is None or call.first.dim() != 4:
        return None
    if not counts(along(known.numbers, 1)):
        return None
    if call.func.__name__ not in ("avg_pool2d", "adaptive_avg_pool2d"):
        if known.pure.shifted:
            return None
        values = call.value.detach()
        values = values if other is None else values - other.value
    else:
        values = call.func(known.pure.values, *call.args[1:], **call.given)
    return Known(numbered(call.value, 1), replace(known.pure, values=values))


def _same(get: Get, call: Call, other: Call | None) -> Known | None:
    """A copy, and a dropout that drops nothing."""
    del other
    known, x, value = only(get, call), call.first, call.value
    if known is None or x.dtype != value.dtype or x.device != value.device:
        return None
    dropped = call.named("input", "p", "training")
    if call.func.__name__ == "dropout" and dropped.get("training", True):
        return None
    return known


def _moved(get: Get, call: Call, other: Call | None) -> Known | None:
    """Values at other places of a tensor; the numbers of their units are moved along."""
    del other
    known = only(get, call)
    if known is None:
        return None
    move = partial(_again, call)
    pure, stream = known.pure, known.stream
    if pure is not None:
        pure = replace(pure, values=move(pure.values))
    told = None if stream is None or stream.terms or stream.norm else stream.told
    stream = None if told is None else Stream((), move(told))
    return Known(move(known.numbers), pure, known.ways, stream)


def _again(call: Call, values: Tensor) -> Tensor:
    moved: Tensor = call.func(values, *call.args[1:], **call.given)
    return moved


def _conv(get: Get, call: Call, other: Call | None) -> Known | None:
    """One convolution of a layer's values, or one of each channel alone."""
    del other
    known = only(get, call)
    if known is None or known.pure is None or len(call.args) != 7 or call.given:
        return None
    x, weight, bias, *how, groups = call.args
    if isinstance(how[1], str) or x.dim() != 4 or not counts(along(known.numbers, 1)):
        return None
    pure, numbers = known.pure, numbered(call.value, 1)
    if groups == 1:
        way = Kernel(pure.source, get_gradient_edge(call.value), pure.values, weight, tuple(how))
        told = _told(call, pure) if pure.source == IMAGE else None
        return Known(numbers, ways=(way,), stream=told)
    if groups != x.shape[1] or numbers.shape[1] != groups:
        return None
    values = call.func(pure.values, weight, None, *how, groups)
    return Known(numbers, replace(pure, values=values, shifted=pure.shifted or bias is not None))


def _told(call: Call, pure: Pure) -> Stream:
    """What the image as a whole gives a convolution."""
    return Stream((), call.func(pure.values, call.args[1], None, *call.args[3:]))


def _linear(get: Get, call: Call, other: Call | None) -> Known | None:
    """A linear map of the last axis: a way ends there, and a stream goes on."""
    del other
    known, weight = only(get, call), call.named("input", "weight")["weight"]
    stream = None if known is None else stream_of(known, call.first)
    if stream is None or call.first.dim() < 3:
        return None
    numbers = numbered(call.value, -1)
    units = torch.arange(len(weight), device=weight.device)
    way = Reading(get_gradient_edge(call.value), stream, weight, units)
    goes_on = None if stream.norm is not None else stream.through(weight)
    return Known(numbers, ways=(way,), stream=goes_on)


def _layer_norm(get: Get, call: Call, other: Call | None) -> Known | None:
    """A norm of the last axis, which a linear map may read."""
    held = call.named("input", "normalized_shape", "weight", "bias", "eps")
    known = only(get, call)
    stream = None if known is None else stream_of(known, call.first)
    if known is None or stream is None or stream.norm or len(held["normalized_shape"]) != 1:
        return None
    scale, pull = norm_parts(
        call.first.detach(), None if other is None else other.first, held.get("eps", 1e-5)
    )
    norm = Norm(scale.flatten(), held.get("weight"))
    if pull is not None:
        middle = pull[0].flatten(0, -2)
        norm = replace(norm, middle=middle, share=pull[1].flatten())
    return Known(numbered(call.value, -1), stream=replace(stream, norm=norm))


def _times(get: Get, call: Call, other: Call | None) -> Known | None:
    """A product with fixed numbers."""
    del other
    if len(call.args) != 2 or all(live(each) for each in call.args) or call.given:
        return None
    x, factor = sorted(call.args, key=live, reverse=True)
    known = get(x)
    if known is None or x.shape != call.value.shape:
        return None
    stream = stream_of(known, x)
    each = isinstance(factor, Tensor) and factor.shape == x.shape[-1:]
    goes_on = stream.scaled(factor) if stream and not stream.norm and each else None
    found = ways_to(known, x)
    return None if found is None and goes_on is None else Known(known.numbers, None, found, goes_on)


def _sum(get: Get, call: Call, other: Call | None) -> Known | None:
    """A sum of values of one shape, and of constants."""
    del other
    held = [each for each in call.args if live(each)]
    known = [get(each) for each in held]
    sure = [each for each in known if each is not None]
    if call.given or len(sure) < len(held) or any(h.shape != call.value.shape for h in held):
        return None
    if any(not torch.equal(each.numbers, sure[0].numbers) for each in sure[1:]):
        return None
    found = [ways_to(each, value) for each, value in zip(sure, held, strict=True)]
    streams = [stream_of(each, value) for each, value in zip(sure, held, strict=True)]
    goes_on = [each for each in streams if each is not None and each.norm is None]
    stream = added(goes_on) if len(goes_on) == len(held) else None
    # The same way may come by both: its gradient has both in it already.
    all_known = all(each is not None for each in found)
    ended = tuple(dict.fromkeys(way for each in found for way in each or ()))
    if not all_known and stream is None:
        return None
    return Known(sure[0].numbers, None, ended if all_known else None, stream)


def _cat(get: Get, call: Call, other: Call | None) -> Known | None:
    """What the image gives, beside constants."""
    del other
    parts = call.first
    told = []
    for each in parts:
        known = get(each)
        stream = None if known is None else known.stream
        if live(each) and (stream is None or stream.terms or stream.norm or stream.told is None):
            return None
        told.append(torch.zeros_like(each) if stream is None else stream.told)
    joined = call.func(told, *call.args[1:], **call.given)
    return Known(numbered(call.value, -1), stream=Stream((), joined))


def _by_head(get: Get, call: Call, other: Call | None) -> Known | None:
    """A product of matrices, or all of an attention, of each head [one, head, …] by itself."""
    del other
    given = (*call.args, *call.given.values())
    held = [each for each in given if live(each)]
    heads, found = call.value.shape[1] if call.value.dim() == 4 else 0, []
    for each in held:
        known = get(each)
        if known is None or known.ways is None or each.shape[:2] != (1, heads):
            return None
        own = numbered(each, 1)
        head = own.new_zeros(int(known.numbers.max()) + 1)
        head[known.numbers.flatten()] = own.flatten()
        if not torch.equal(head[known.numbers], own):
            return None
        for way in known.ways:
            if not isinstance(way, Reading):
                return None
            found.append(replace(way, units=head[way.units]))
    return Known(numbered(call.value, 1), ways=tuple(found)) if found else None


def _softmax(get: Get, call: Call, other: Call | None) -> Known | None:
    """A step within each unit, where the axis is not that of the units."""
    del other
    known = only(get, call)
    dim = call.given.get("dim", call.args[1] if len(call.args) > 1 else -1)
    if known is None or known.ways is None or along(known.numbers, 1) is None:
        return None
    return Known(known.numbers, ways=known.ways) if dim % call.value.dim() > 1 else None


_Rule = Callable[[Get, Call, Call | None], Known | None]
RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        **dict.fromkeys(ALONE, _alone),
        **dict.fromkeys(SUMS, _sum),
        **dict.fromkeys(_SAME, _same),
        **dict.fromkeys(_MOVES, _moved),
        **dict.fromkeys(_POOLS, _pool),
        **dict.fromkeys(("matmul", "scaled_dot_product_attention"), _by_head),
        "batch_norm": _batch_norm,
        "relu": _relu,
        "conv2d": _conv,
        "linear": _linear,
        "layer_norm": _layer_norm,
        "mul": _times,
        "cat": _cat,
        "softmax": _softmax,
    }
)
