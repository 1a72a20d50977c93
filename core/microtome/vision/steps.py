"""The steps of PyTorch that are not linear, each with the affine map that takes its place.

Of one image the map goes through zero: an activation becomes its secant from there, and what
scales (patterns, gates, roots of variances) stays as it was. Of a pair it goes through both runs,
``y' + J (x - x')``, by a rule that is exact for that step. What the table lacks stays as it is,
and the sums of the circuit tell whether it was linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from microtome.vision.calls import Call, Map, Step, kept_as_it_was, live, plain
from microtome.vision.joining_steps import attention, group_norm, layer_norm, softmax

_TINY = 1e-6  # a difference of inputs whose quotient says nothing


def _elementwise(call: Call, other: Call | None) -> Map:
    """F(x) becomes y' + (x - x') · (f(x) - y') / (x - x'): a gate for ReLU, else the secant."""
    # An "inplace" may stand in its place among the others.
    args = tuple(each for each in call.args if not isinstance(each, bool))
    call, x = replace(call, args=args), call.first.detach()
    at = x.new_zeros(()) if other is None else other.first
    value = call.of(at) if other is None else other.value
    return partial(_along, slope=_secant(call, x, at, value), at=at, value=value)


def _along(call: Call, *, slope: Tensor, at: Tensor, value: Tensor) -> Tensor:
    made: Tensor = value + (call.first - at) * slope
    return made


def _secant(call: Call, x: Tensor, at: Tensor, value: Tensor) -> Tensor:
    """The quotient of differences, and where there is none the derivative, as PyTorch has it."""
    far = (x - at).abs() > _TINY * (1 + at.abs())
    slope: Tensor = (call.of(x) - value) / torch.where(far, x - at, 1.0)
    if bool(far.all()):
        return slope
    with torch.enable_grad():
        leaf = at.clone().requires_grad_()
        (limit,) = torch.autograd.grad(call.of(leaf).sum(), leaf)
    return torch.where(far, slope, limit.nan_to_num(posinf=0.0, neginf=0.0))


def _scale(call: Call, other: Call | None) -> Map:
    """A gate stays as it was in one run; between two it is a function like others."""
    return kept_as_it_was(call) if other is None else _elementwise(call, other)


def _product(call: Call, other: Call | None) -> Map:
    """Each factor is changed beside the average of the other: of one run, half goes to each."""
    a, b = call.args[:2]
    if not (live(a) and live(b)):
        return partial(_times, middle=None, ends=None, value=None)
    if other is None:
        none = a.new_zeros(())
        return partial(_times, middle=(a.detach() / 2, b.detach() / 2), ends=(none, none), value=0)
    ends = other.args[:2]
    middle = ((a.detach() + ends[0]) / 2, (b.detach() + ends[1]) / 2)
    return partial(_times, middle=middle, ends=ends, value=other.value)


def _times(call: Call, *, middle: Any, ends: Any, value: Any) -> Any:
    if middle is None:
        return call.of(*call.args[:2])
    a, b = call.args[:2]
    first, second = call.of(a - ends[0], middle[1]), call.of(middle[0], b - ends[1])
    return value + first + second


def _einsum(call: Call, other: Call | None) -> Map:
    """A product of two by a formula; more factors are left as they are."""
    formula, *factors = call.args
    if len(factors) != 2:
        return plain
    return partial(_formula, held=_product(_bilinear(formula, factors), _factors(other)))


def _bilinear(formula: str, factors: Any) -> Call:
    return Call(partial(torch.einsum, formula), tuple(factors), {})


def _factors(other: Call | None) -> Call | None:
    return None if other is None else Call(other.func, other.args[1:], {}, other.value)


def _formula(call: Call, *, held: Map) -> Any:
    return held(_bilinear(call.args[0], call.args[1:]))


def _quotient(call: Call, other: Call | None) -> Map:
    """What is divided by stays as it was; of a pair, a/b = a · (1/b) by the rule of products."""
    a, b = call.args[:2]
    if not live(b):
        return partial(_over, held=None, told=call.given)
    if other is None:
        return partial(_over, held=b.detach(), told=call.given)
    c, d = other.args[:2]
    start = a.detach() if isinstance(a, Tensor) else a
    share = (1 / b.detach() + 1 / d) / 2, -(start + c) / 2 / (b.detach() * d)
    return partial(_between, at=(c, d), share=share, value=other.value)


def _over(call: Call, *, held: Tensor | None, told: dict[str, Any]) -> Any:
    a, b = call.args[:2]
    return torch.div(a, b if held is None else held, **told)


def _between(call: Call, *, at: Any, share: Any, value: Tensor) -> Tensor:
    a, b = call.args[:2]
    made: Tensor = value + (a - at[0]) * share[0] + (b - at[1]) * share[1]
    return made


def _power(call: Call, other: Call | None) -> Map:
    """x^p becomes x · x^(p-1), the second as it was; between two runs it is a secant."""
    if other is not None:
        return _elementwise(call, other)
    x, p = call.first.detach(), (call.args[1] if len(call.args) > 1 else 2)
    return partial(_along, slope=x ** (p - 1), at=x.new_zeros(()), value=x.new_zeros(()))


def _root(call: Call, other: Call | None) -> Map:
    """A length or deviation: its square is quadratic, and so exact by its slope at the middle."""
    if other is None:
        return kept_as_it_was(call)
    middle = (call.first.detach() + other.first) / 2
    both = call.plain().detach() + other.value
    return partial(_lengthened, at=other, middle=middle, over=torch.where(both > 0, both, 1.0))


def _lengthened(call: Call, *, at: Call, middle: Tensor, over: Tensor) -> Tensor:
    step = call.first - at.first
    rise = call.of(middle + step).square() - call.of(middle - step).square()
    value: Tensor = at.value + rise / (2 * over)
    return value


def _variance(call: Call, other: Call | None) -> Map:
    """Quadratic in what it is taken of, and so exact by its slope at the middle."""
    if other is None:
        return kept_as_it_was(call)
    return partial(_spread, at=other, middle=(call.first.detach() + other.first) / 2)


def _spread(call: Call, *, at: Call, middle: Tensor) -> Tensor:
    step = call.first - at.first
    value: Tensor = at.value + (call.of(middle + step) - call.of(middle - step)) / 2
    return value


def _max_pool(call: Call, other: Call | None) -> Map:
    """Each place takes the one that was the largest; of a pair, a mean of both runs' largest.

    Let clean's winner lead in its run by p over the other's winner, and that one in its run by q
    over clean's: then ``(p Δ_clean + q Δ_other) / (p + q)`` is what the maximum rises by.
    """
    own = _winners(call)
    if other is None:
        return partial(_picked, winners=own, at=None, value=0)
    their, x, y = _winners(other), call.first.detach(), other.first
    lead = _pick(x, own) - _pick(x, their)
    back = _pick(y, their) - _pick(y, own)
    share = torch.where(lead + back > 0, lead / (lead + back), 0.5)
    return partial(
        _picked, winners=own, at=other.first, value=other.value, others=their, share=share
    )


def _winners(call: Call) -> Tensor:
    names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    with torch.no_grad():
        winners: Tensor = functional.max_pool2d(**{**call.named(*names), "return_indices": True})[1]
    return winners


def _pick(values: Tensor, winners: Tensor) -> Tensor:
    return values.flatten(-2).gather(-1, winners.flatten(-2)).reshape(winners.shape)


def _picked(
    call: Call,
    *,
    winners: Tensor,
    at: Tensor | None,
    value: Any,
    others: Tensor | None = None,
    share: Any = 1.0,
) -> Tensor:
    if at is None or others is None:
        return _pick(call.first, winners)
    step = call.first - at
    picked: Tensor = value + share * _pick(step, winners) + (1 - share) * _pick(step, others)
    return picked


_ELEMENTWISE = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
    "hardtanh", "softplus", "softsign", "tanh", "abs", "clamp", "clip",
)  # fmt: skip
_SCALES = ("sigmoid", "hardsigmoid", "rsqrt", "sqrt", "reciprocal", "exp", "rdiv")
_ROOTS = ("std", "norm", "linalg_vector_norm", "vector_norm")
STEPS: Mapping[str, Step] = MappingProxyType(
    {
        **dict.fromkeys(_ELEMENTWISE, _elementwise),
        **dict.fromkeys(_SCALES, _scale),
        **dict.fromkeys(_ROOTS, _root),
        **dict.fromkeys(("mul", "matmul", "bmm"), _product),
        "var": _variance,
        "softmax": softmax,
        "einsum": _einsum,
        "div": _quotient,
        "pow": _power,
        "square": _power,
        "layer_norm": layer_norm,
        "group_norm": group_norm,
        "max_pool2d": _max_pool,
        "scaled_dot_product_attention": attention,
    }
)
