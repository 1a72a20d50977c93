"""The steps of PyTorch that are not linear, each with the affine map that takes its place.

Of one image the map goes through zero: an activation becomes its secant from there, and what
scales (patterns, gates, roots of variances) stays as it was. Of a pair it goes through both runs,
``y' + J (x - x')``, by a rule that is exact for that step. What the table lacks stays as it is,
and the sums of the circuit tell whether it was linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from microtome.circuits.coefficients import logarithmic_mean

_TINY = 1e-6  # a difference of inputs whose quotient says nothing
_HIDDEN = -1e30  # the logarithm of no attention


@dataclass(frozen=True, slots=True)
class Call:
    """A function of PyTorch that the module calls, with what it is given.

    ``value`` is what it gave, of a call that is remembered.
    """

    func: Callable[..., Any]
    args: tuple[Any, ...]
    given: dict[str, Any]
    value: Any = None

    def plain(self) -> Any:
        """What the function returns."""
        return self.func(*self.args, **self.given)

    def named(self, *names: str) -> dict[str, Any]:
        """All arguments by their names, in whichever way they were given."""
        return {**dict(zip(names, self.args, strict=False)), **self.given}

    @property
    def first(self) -> Any:
        """What the step is done to."""
        return self.args[0] if self.args else self.given["input"]

    def of(self, *values: Any) -> Any:
        """The function of other values in the first places, never in place."""
        given = {name: held for name, held in self.given.items() if name != "inplace"}
        given.pop("input", None)
        return _not_in_place(self.func)(*values, *self.args[len(values) :], **given)


# Given a call, what takes its place; ``Call`` again, as a replay brings other values.
Map = Callable[[Call], Any]
# Given a call, and the same one in the other run of a pair: the frozen map.
Step = Callable[[Call, Call | None], Map]


def step_name(func: Callable[..., Any]) -> str:
    """``mul`` of ``__imul__``, ``relu`` of ``relu_``: steps are never done in place."""
    name = getattr(func, "__name__", "").strip("_")
    return _SPELLINGS.get(name, name)


def live(value: object) -> bool:
    """Whether it depends on the image by other ways than frozen scales."""
    return isinstance(value, Tensor) and value.requires_grad


def plain(call: Call) -> Any:
    """The step itself, where nothing that it is given depends on the image."""
    return call.plain()


def _not_in_place(func: Callable[..., Any]) -> Callable[..., Any]:
    name = getattr(func, "__name__", "")
    if not name.endswith("_") or (name.endswith("__") and not name.startswith("__i")):
        return func
    found: Callable[..., Any] = getattr(torch, step_name(func), func)
    return found


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
    slope = (call.of(x) - value) / torch.where(far, x - at, 1.0)
    if bool(far.all()):
        return slope
    with torch.enable_grad():
        leaf = at.clone().requires_grad_()
        (limit,) = torch.autograd.grad(call.of(leaf).sum(), leaf)
    return torch.where(far, slope, limit.nan_to_num(posinf=0.0, neginf=0.0))


def _scale(call: Call, other: Call | None) -> Map:
    """A gate stays as it was in one run; between two it is a function like others."""
    return _held(call) if other is None else _elementwise(call, other)


def _held(call: Call) -> Map:
    return partial(_constant, value=call.plain().detach())


def _constant(call: Call, *, value: Tensor) -> Tensor:
    del call
    return value


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
        return _held(call)
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
        return _held(call)
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


def _softmax(call: Call, other: Call | None) -> Map:
    """A pattern as it was; of a pair, by the logarithmic means of both patterns."""
    if other is None:
        return _held(call)
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


def _attention(call: Call, other: Call | None) -> Map:
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


def _layer_norm(call: Call, other: Call | None) -> Map:
    held = call.named("input", "normalized_shape", "weight", "bias", "eps")
    over = tuple(range(-len(held["normalized_shape"]), 0))
    return _norm(call, other, held, partial(_centred, over=over), over)


def _group_norm(call: Call, other: Call | None) -> Map:
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
    a = centre(call.first.detach())
    r = (a.square().mean(over, keepdim=True) + held.get("eps", 1e-5)).rsqrt()
    normed = partial(_normed, centre=centre, over=over, weight=held.get("weight"))
    if other is None:
        bias = held.get("bias")
        return partial(normed, at=0, scale=r, value=0 if bias is None else bias)
    b = centre(other.first)
    s = (b.square().mean(over, keepdim=True) + held.get("eps", 1e-5)).rsqrt()
    pull = ((a + b) / 2, -2 * (r * s).square() / (r + s))
    return partial(normed, at=other.first, scale=(r + s) / 2, value=other.value, pull=pull)


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


_ELEMENTWISE = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
    "hardtanh", "softplus", "softsign", "tanh", "abs", "clamp", "clip",
)  # fmt: skip
_SCALES = ("sigmoid", "hardsigmoid", "rsqrt", "sqrt", "reciprocal", "exp", "rdiv")
_ROOTS = ("std", "norm", "linalg_vector_norm", "vector_norm")
_SPELLINGS = MappingProxyType(
    {
        "imul": "mul", "rmul": "mul", "multiply": "mul", "truediv": "div",
        "divide": "div", "true_divide": "div", "itruediv": "div", "rmatmul": "matmul",
    }
)  # fmt: skip
STEPS: Mapping[str, Step] = MappingProxyType(
    {
        **dict.fromkeys(_ELEMENTWISE, _elementwise),
        **dict.fromkeys(_SCALES, _scale),
        **dict.fromkeys(_ROOTS, _root),
        **dict.fromkeys(("mul", "matmul", "bmm"), _product),
        "var": _variance,
        "softmax": _softmax,
        "einsum": _einsum,
        "div": _quotient,
        "pow": _power,
        "square": _power,
        "layer_norm": _layer_norm,
        "group_norm": _group_norm,
        "max_pool2d": _max_pool,
        "scaled_dot_product_attention": _attention,
    }
)
