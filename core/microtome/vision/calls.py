"""Steps of PyTorch as they are met: functions with what they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

_SPELLINGS = MappingProxyType(
    {
        "imul": "mul", "rmul": "mul", "multiply": "mul", "truediv": "div",
        "divide": "div", "true_divide": "div", "itruediv": "div", "rmatmul": "matmul",
    }
)  # fmt: skip


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


def kept_as_it_was(call: Call) -> Map:
    """What the step gave, whatever it is given."""
    return partial(_constant, value=call.plain().detach())


def _constant(call: Call, *, value: Tensor) -> Tensor:
    del call
    return value
