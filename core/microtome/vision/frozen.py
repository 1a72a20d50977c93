"""A run of any module frozen to an affine map: each non-linear step keeps what it did on an image.

The module itself runs, in PyTorch's own code; a mode around it replaces the steps of a table. While
it records, each such step gives its own value and a gradient that is the frozen map's; while it
replays, the frozen map alone acts on whatever flows. What the table lacks stays as it is, and the
sums of the circuit tell whether it was linear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from microtome.vision.ways import Ways


@dataclass(frozen=True, slots=True)
class Call:
    """A function of PyTorch that the module calls, with what it gives."""

    func: Callable[..., Any]
    args: tuple[Any, ...]
    given: dict[str, Any]

    def plain(self) -> Any:
        """What the function returns."""
        return self.func(*self.args, **self.given)

    def named(self, *names: str) -> dict[str, Any]:
        """All arguments by their names, in whichever way they were given."""
        return {**dict(zip(names, self.args, strict=False)), **self.given}


# Given a call, and what was recorded of it (None: record it now): its value, and what to keep.
Step = Callable[[Call, Any], tuple[Any, Any]]

_TINY = 1e-6  # an input at which f(x) / x says nothing
_BELOW = 1e-3


class Frozen(TorchFunctionMode):
    """Within the context steps are frozen: recorded in the first one, replayed in later ones.

    ``ways`` follows the first one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ways = Ways()
        self._kept: list[Any] = []
        self._at: int | None = None  # the step that is replayed next; None while recording

    def replay(self) -> Frozen:
        """The same object, ready to run the frozen map."""
        self._at = 0
        return self

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do one step of PyTorch, as the table says or as ever."""
        del types
        name, given = _name(func), dict(kwargs or {})
        step = STEPS.get(name)
        if self._at is None:
            args = self.ways.before(func, name, args)
            value = self._recorded(step, Call(func, args, given))
            self.ways.after(name, args, given, value)
            return value
        if step is None:
            return func(*args, **given)
        kept = self._kept[self._at]
        self._at += 1
        return step(Call(func, args, given), kept)[0]

    def _recorded(self, step: Step | None, call: Call) -> Any:
        if step is None:
            return call.plain()
        value, kept = step(call, None)
        self._kept.append(kept)
        return value


def _name(func: Callable[..., Any]) -> str:
    """``mul`` of ``__imul__``, ``relu`` of ``relu_``: steps are never done in place."""
    name = getattr(func, "__name__", "").strip("_")
    return _SPELLINGS.get(name, name)


def _live(value: object) -> bool:
    """Whether it depends on the image by other ways than frozen scales."""
    return isinstance(value, Tensor) and value.requires_grad


def _elementwise(call: Call, kept: Any) -> tuple[Tensor, Any]:
    """F(x) becomes f(0) + x · (f(x) - f(0)) / x: a gate for ReLU, the secant for the others."""
    given = {name: value for name, value in call.given.items() if name != "inplace"}
    x, *more = call.args or (given.pop("input"),)
    more = [each for each in more if not isinstance(each, bool)]  # an inplace by its place
    if kept is None:
        with torch.no_grad():
            kept = _secant(x, lambda at: _not_in_place(call.func)(at, *more, **given))
    slope, at_zero = kept
    return at_zero + x * slope, kept


def _secant(
    x: Float[Tensor, "*shape"], f: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Float[Tensor, ""]]:
    none = x.new_zeros(())
    at_zero = f(none)
    far = x.abs() > _TINY
    # From below, so that a gate at 0 is closed, as PyTorch has it.
    limit = (at_zero - f(none - _BELOW)) / _BELOW
    return torch.where(far, (f(x) - at_zero) / torch.where(far, x, 1.0), limit), at_zero


def _not_in_place(func: Callable[..., Any]) -> Callable[..., Any]:
    name = getattr(func, "__name__", "")
    return getattr(torch, name[:-1], func) if name.endswith("_") else func


def _scale(call: Call, kept: Any) -> tuple[Tensor, Any]:
    """What multiplies stays as it was: attention patterns, gates, roots of variances."""
    if kept is None:
        with torch.no_grad():
            kept = call.plain()
    return kept, kept


def _product(call: Call, kept: Any) -> tuple[Any, Any]:
    """Of two that both depend on the image, half goes to each."""
    a, b = call.args[:2]
    if kept is None:
        both = _live(a) and _live(b)
        kept = (a.detach().clone(), b.detach().clone()) if both else ()
    if not kept:
        return torch.mul(a, b), kept
    return (a * kept[1] + kept[0] * b) / 2, kept


def _quotient(call: Call, kept: Any) -> tuple[Any, Any]:
    """What is divided by stays as it was."""
    a, b = call.args[:2]
    if kept is None:
        kept = (b.detach().clone(),) if _live(b) else ()
    return (torch.div(a, kept[0] if kept else b, **call.given)), kept


def _power(call: Call, kept: Any) -> tuple[Any, Any]:
    """x^p becomes x · x^(p-1), the second as it was."""
    x, p = call.args[0], (call.args[1] if len(call.args) > 1 else 2)
    if kept is None:
        kept = (x.detach() ** (p - 1),) if _live(x) else ()
    return (x * kept[0] if kept else x**p), kept


def _layer_norm(call: Call, kept: Any) -> tuple[Tensor, Any]:
    """The mean is taken away as ever; the root of the variance stays as it was."""
    held = call.named("input", "normalized_shape", "weight", "bias", "eps")
    x, shape = held["input"], held["normalized_shape"]
    over = tuple(range(-len(shape), 0))
    centred = x - x.mean(over, keepdim=True)
    return _normed(centred, over, held, kept)


def _group_norm(call: Call, kept: Any) -> tuple[Tensor, Any]:
    held = call.named("input", "num_groups", "weight", "bias", "eps")
    x = held["input"]
    apart = x.reshape(x.shape[0], held["num_groups"], -1)
    centred = apart - apart.mean(-1, keepdim=True)
    if kept is None:
        kept = (centred.detach().square().mean(-1, keepdim=True) + held.get("eps", 1e-5)).rsqrt()
    value = (centred * kept).reshape(x.shape)
    places = (1, -1, *[1] * (x.dim() - 2))
    for name, join in (("weight", torch.mul), ("bias", torch.add)):
        if held.get(name) is not None:
            value = join(value, held[name].reshape(places))
    return value, kept


def _normed(
    centred: Tensor, over: tuple[int, ...], held: Mapping[str, Any], kept: Any
) -> tuple[Tensor, Any]:
    if kept is None:
        kept = (centred.detach().square().mean(over, keepdim=True) + held.get("eps", 1e-5)).rsqrt()
    value = centred * kept
    if held.get("weight") is not None:
        value = value * held["weight"]
    if held.get("bias") is not None:
        value = value + held["bias"]
    return value, kept


def _max_pool(call: Call, kept: Any) -> tuple[Tensor, Any]:
    """Each place takes the one that was the largest."""
    held = call.named("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    if kept is None:
        with torch.no_grad():
            kept = functional.max_pool2d(**{**held, "return_indices": True})[1]
    x = held["input"]
    picked: Tensor = x.flatten(-2).gather(-1, kept.flatten(-2)).reshape(kept.shape)
    return picked, kept


def _attention(call: Call, kept: Any) -> tuple[Tensor, Any]:
    """Values are read with the pattern as it was."""
    held = call.named("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    if kept is None:
        with torch.no_grad():
            length = held["value"].shape[-2]
            one = torch.eye(length, dtype=held["value"].dtype, device=held["value"].device)
            # The pattern is what it reads of values that are the positions themselves.
            values = one.expand(*held["value"].shape[:-1], length)
            kept = call.func(**{**held, "value": values})
    return kept @ held["value"], kept


_ELEMENTWISE = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
    "hardtanh", "softplus", "softsign", "tanh", "abs", "clamp", "clip",
)  # fmt: skip
_SCALES = (
    "sigmoid", "hardsigmoid", "softmax", "rsqrt", "sqrt", "reciprocal", "exp", "std", "var", "norm",
    "linalg_vector_norm", "vector_norm", "rdiv",
)  # fmt: skip
_SPELLINGS = MappingProxyType(
    {
        "imul": "mul", "rmul": "mul", "multiply": "mul", "truediv": "div",
        "divide": "div", "true_divide": "div", "itruediv": "div",
    }
)  # fmt: skip
STEPS: Mapping[str, Step] = MappingProxyType(
    {
        **dict.fromkeys(_ELEMENTWISE, _elementwise),
        **dict.fromkeys(_SCALES, _scale),
        "mul": _product,
        "div": _quotient,
        "pow": _power,
        "square": _power,
        "layer_norm": _layer_norm,
        "group_norm": _group_norm,
        "max_pool2d": _max_pool,
        "scaled_dot_product_attention": _attention,
    }
)
