"""The non-linearities of MLPs: value, secant, derivative, and the slope between two points.

The secant of ``f`` at ``x`` is ``f(x) / x``, written as a factor that is finite everywhere
instead of a division. Every activation here has ``f(0) = 0``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from microtome.errors import UnknownArchitecture

Function = Callable[[Tensor], Tensor]

# Closer points than this make the quotient worse than the derivative at their middle, whose
# error is of third order.
_NEAR = 1e-4


@dataclass(frozen=True, slots=True)
class ActivationFunction:
    """One non-linearity, elementwise. ``smooth`` is False where the derivative jumps."""

    name: str
    secant: Function
    derivative: Function
    smooth: bool = True

    def value(self, x: Tensor) -> Tensor:
        """``f(x)``."""
        return x * self.secant(x)

    def slope(self, a: Tensor, b: Tensor) -> Tensor:
        """``(f(a) - f(b)) / (a - b)``, and the derivative where the points meet."""
        difference = a - b
        near = difference.abs() < _NEAR if self.smooth else difference == 0
        quotient = (self.value(a) - self.value(b)) / torch.where(near, 1.0, difference)
        return torch.where(near, self.derivative((a + b) / 2), quotient)


_SQRT_HALF = math.sqrt(0.5)
_TANH_SCALE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715
_QUICK = 1.702


def _gelu_secant(x: Tensor) -> Tensor:
    return torch.erfc(-x * _SQRT_HALF) / 2


def _gelu_derivative(x: Tensor) -> Tensor:
    return _gelu_secant(x) + x * torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _gelu_tanh_secant(x: Tensor) -> Tensor:
    return (1 + torch.tanh(_TANH_SCALE * (x + _CUBIC * x**3))) / 2


def _gelu_tanh_derivative(x: Tensor) -> Tensor:
    secant = _gelu_tanh_secant(x)
    inner = _TANH_SCALE * (1 + 3 * _CUBIC * x * x)
    return secant + 2 * x * secant * (1 - secant) * inner


def _quick_gelu_secant(x: Tensor) -> Tensor:
    return torch.sigmoid(_QUICK * x)


def _quick_gelu_derivative(x: Tensor) -> Tensor:
    gate = _quick_gelu_secant(x)
    return gate + _QUICK * x * gate * (1 - gate)


def _silu_derivative(x: Tensor) -> Tensor:
    gate = torch.sigmoid(x)
    return gate + x * gate * (1 - gate)


def _step(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


ACTIVATION_FUNCTIONS: Mapping[str, ActivationFunction] = MappingProxyType(
    {
        row.name: row
        for row in (
            ActivationFunction("gelu", _gelu_secant, _gelu_derivative),
            ActivationFunction("gelu_tanh", _gelu_tanh_secant, _gelu_tanh_derivative),
            ActivationFunction("quick_gelu", _quick_gelu_secant, _quick_gelu_derivative),
            ActivationFunction("silu", torch.sigmoid, _silu_derivative),
            ActivationFunction("relu", _step, _step, smooth=False),
        )
    }
)


def activation_function(name: str) -> ActivationFunction:
    """The row of a name.

    Raises UnknownArchitecture that lists the known names.
    """
    try:
        return ACTIVATION_FUNCTIONS[name]
    except KeyError:
        known = ", ".join(ACTIVATION_FUNCTIONS)
        raise UnknownArchitecture(
            f"The MLP's activation {name!r} is not known.", f"Known ones: {known}."
        ) from None
