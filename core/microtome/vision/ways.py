"""Short cuts between two layers of units: all edges of a layer from one gradient of weights.

Between two cuts a convolutional net mostly does little: one convolution, with what treats each
unit alone in front and behind (gates, norms with fixed statistics, pools, sums). Let ``x`` be what
such a convolution reads and ``G`` what its output is worth. The edge from unit s to unit t is then
the sum over the kernel of ``W[t, s] · dL/dW[t, s]``, with the gradient of the weights under ``G``:
one pass for all pairs, in place of one for each target. Steps are followed while the run is frozen;
what the tables below lack ends a way, and its edges are found by gradients, target by target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn.grad import conv2d_weight
from torch.utils.weak import WeakTensorKeyDictionary

from microtome.vision.calls import Call, live
from microtome.vision.steps import STEPS

# Steps that are linear without a constant and treat each unit alone, and those with a constant.
_PURE = frozenset(("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "relu", "clone", "reshape"))
_ALONE = frozenset(
    ("batch_norm", "relu6", "leaky_relu", "gelu", "silu", "hardswish", "elu", "tanh", "hardtanh")
)
_SUMS = frozenset(("add", "iadd", "radd"))
_IN_PLACE = frozenset(("__setitem__", "__iadd__", "__imul__", "__isub__", "__itruediv__"))


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The convolution of a way."""

    weight: Float[Tensor, "target unit row column"]
    stride: Any
    padding: Any
    dilation: Any


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way from a layer to what a piece makes.

    ``values`` are what the source is at the point where the gradient is taken (of a pair: by how
    much more than in the other run): those that the ``kernel`` reads, or without one those that
    go on unit by unit.
    """

    source: str
    point: GradientEdge
    values: Float[Tensor, "one unit *place"]
    kernel: _Kernel | None = None

    def rows(
        self, worth: Float[Tensor, "one made *to"], chosen: Int[Tensor, " target"]
    ) -> Float[Tensor, "target unit"]:
        """What each unit of the source gives each chosen target."""
        if self.kernel is None:
            each = (worth * self.values).reshape(worth.shape[1], -1).sum(1)
            found = each.new_zeros(len(chosen), len(each))
            found[torch.arange(len(chosen)), chosen] = each[chosen]
            return found
        weight = self.kernel.weight[chosen]
        given: Tensor = conv2d_weight(
            self.values,
            weight.shape,
            worth[:, chosen].contiguous(),
            self.kernel.stride,
            self.kernel.padding,
            self.kernel.dilation,
        )
        edges: Tensor = (weight * given).flatten(2).sum(2)
        return edges


@dataclass(frozen=True, slots=True, eq=False)
class _Pure:
    """One layer's values, unit by unit and without a constant; of a pair less the other run's."""

    source: str
    values: Float[Tensor, "one unit *place"]


class Ways:
    """Which tensors of a run are known to come from which layers, and how."""

    def __init__(self) -> None:
        self._pure: Any = WeakTensorKeyDictionary()
        self._found: Any = WeakTensorKeyDictionary()

    def begin(self, values: Tensor, source: str, change: Tensor) -> Tensor:
        """The values, known from now on to be those of a layer.

        ``change`` is how much they are more than in the other run; of one image it is themselves.
        """
        self._pure[values] = _Pure(source, change)
        return values

    def of(self, made: Tensor) -> tuple[Way, ...] | None:
        """All ways to what was made; None where a step was not known."""
        pure: _Pure | None = self._pure.get(made)
        if pure is not None:
            return (Way(pure.source, get_gradient_edge(made), pure.values),)
        found: tuple[Way, ...] | None = self._found.get(made)
        return found

    def before(self, func: Callable[..., Any], name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of a step; where a way starts there, a view that only this step reads."""
        if _in_place(func) and not self._may_change(name, args):
            self._pure.clear()  # what it changes may be seen through other names
            self._found.clear()
            return args
        if name not in _ALONE and name not in _SUMS:
            return args
        return tuple(self._apart(each) for each in args)

    def after(self, name: str, call: Call, other: Call | None) -> None:
        """Follow a step that was done, and that the other run of a pair did as ``other``."""
        args, value = call.args, call.value
        if not isinstance(value, Tensor):
            return
        if not self._known(name, args, call.given, value):
            self._found.pop(value, None)  # changed in place by what is not known
            return
        if name == "conv2d":
            pure, kernel = self._pure[args[0]], _Kernel(args[1], *args[3:6])
            way = Way(pure.source, get_gradient_edge(value), pure.values, kernel)
            self._found[value] = (way,)
        elif name in _PURE and args[0] in self._pure:
            self._pure[value] = self._passed(name, call, other)
        else:
            held = [each for each in args if live(each)]
            self._found[value] = tuple(way for each in held for way in self.of(each) or ())

    def _passed(self, name: str, call: Call, other: Call | None) -> _Pure:
        """What a layer's values are behind a step that treats each unit alone."""
        pure: _Pure = self._pure[call.args[0]]
        if name not in STEPS:  # linear
            return _Pure(pure.source, call.func(pure.values, *call.args[1:], **call.given))
        values = call.value.detach()
        return _Pure(pure.source, values if other is None else values - other.value)

    def _may_change(self, name: str, args: tuple[Any, ...]) -> bool:
        """Whether a step in place leaves all that is known true: a sum, or one that is frozen."""
        return name in _ALONE | {"relu"} or (name in _SUMS and args[0] in self._found)

    def _apart(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value not in self._pure:
            return value
        pure = self._pure[value]
        return self.begin(value.view_as(value), pure.source, pure.values)

    def _known(
        self, name: str, args: tuple[Any, ...], given: Mapping[str, Any], value: Tensor
    ) -> bool:
        held = [each for each in (*args, *given.values()) if live(each)]
        if not held or held[0] is not args[0] or args[0].dim() != 4:
            return False
        if any(each not in self._pure and each not in self._found for each in held):
            return False
        if name in _SUMS:
            return all(each.shape == value.shape for each in held) and not given
        return self._one_by_one(name, args, given, value)

    def _one_by_one(
        self, name: str, args: tuple[Any, ...], given: Mapping[str, Any], value: Tensor
    ) -> bool:
        """Whether a step on one tensor is known: one convolution, or each unit by itself."""
        if name == "conv2d":
            return args[0] in self._pure and _whole(args)
        if name == "batch_norm":  # fixed statistics alone are linear
            return not (args[5] if len(args) > 5 else given.get("training", False))
        if name == "reshape":  # as a layer's values are handed back; only where nothing moves
            return args[0] in self._pure and value.shape == args[0].shape
        return name in _PURE or name in _ALONE


def _whole(args: tuple[Any, ...]) -> bool:
    """Whether a convolution's arguments are all there, and it joins all channels."""
    return len(args) == 7 and args[6] == 1 and not isinstance(args[4], str)


def _in_place(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    if name == "requires_grad_":  # a word about the tensor, no change
        return False
    return name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))


def rows(
    made: Float[Tensor, "one unit *place"],
    worth: Float[Tensor, "one unit *place"],
    ways: Sequence[Way],
    chosen: Int[Tensor, " target"],
) -> dict[str, Float[Tensor, "target _"]]:
    """What every unit of each source gives chosen units of what was made, by these ways."""
    points = [way.point for way in ways]
    worths = torch.autograd.grad(made, points, worth, retain_graph=True)
    found: dict[str, Tensor] = {}
    for way, given in zip(ways, worths, strict=True):
        part = way.rows(given, chosen)
        found[way.source] = found[way.source] + part if way.source in found else part
    return found
