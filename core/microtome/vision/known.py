"""What is known of the values of a run: whose units they are, and how they come about."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from microtome.vision.edges import Alone, Stream, Term, Way


@dataclass(frozen=True, slots=True, eq=False)
class Pure:
    """One layer's values, unit by unit; of a pair less the other run's.

    ``shifted`` says that the run has constants beside them.
    """

    source: str
    values: Tensor
    shifted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a tensor: the unit that each of its values belongs to, and how it was made.

    Of values that come by ``ways`` the units are those that the ways lead to. A ``stream`` says
    how values whose units are the last axis come about.
    """

    numbers: Int[Tensor, "*shape"]
    pure: Pure | None = None
    ways: tuple[Way, ...] | None = None
    stream: Stream | None = None


def numbered(values: Tensor, axis: int) -> Tensor:
    """The number of its unit for each value, where units are an axis; it takes no room."""
    count = values.shape[axis]
    shape = [1] * values.dim()
    shape[axis] = count
    return torch.arange(count, device=values.device).reshape(shape).expand(values.shape)


def along(numbers: Tensor, axis: int) -> Int[Tensor, " channel"] | None:
    """The units along an axis, if they change along no other one."""
    if numbers.dim() < 2:
        return None
    first = numbers.movedim(axis, 0).flatten(1)[:, 0] if numbers.numel() else numbers.flatten()
    shape = [1] * numbers.dim()
    shape[axis] = len(first)
    steps = [s for at, s in enumerate(numbers.stride()) if at != axis % numbers.dim()]
    sizes = [n for at, n in enumerate(numbers.shape) if at != axis % numbers.dim()]
    still = all(step == 0 or size == 1 for step, size in zip(steps, sizes, strict=True))
    return first if still or bool((numbers == first.reshape(shape)).all()) else None


def counts(units: Tensor | None) -> bool:
    """Whether these are 0, 1, 2 … in order."""
    return units is not None and bool((units == torch.arange(len(units)).to(units)).all())


def ways_to(known: Known, value: Tensor) -> tuple[Way, ...] | None:
    """The ways to a value; of a layer's own values a way begins and ends there."""
    if known.pure is None:
        return known.ways
    if not counts(along(known.numbers, 1)):
        return None
    return (Alone(known.pure.source, get_gradient_edge(value), known.pure.values),)


def stream_of(known: Known, value: Tensor) -> Stream | None:
    """What is known of values whose units are the last axis, as a sum."""
    if known.pure is None:
        return known.stream
    units = along(known.numbers, -1)
    if units is None or value.shape[0] != 1:
        return None
    count = int(units.max()) + 1
    values = known.pure.values.reshape(-1, len(units))
    return Stream((Term(known.pure.source, count, units, values),))
