"""How the values of a layer lie in a tensor: each layout reads them as [batch, unit, place…].

A place is what a unit has several values for: rows and columns of a map, positions of a
transformer; of a head also the dimensions that it writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Layout:
    """A row: from the module's tensor to [batch, unit, …], and back."""

    name: str
    read: Callable[[Tensor, int], Float[Tensor, "batch unit *place"]]
    write: Callable[[Float[Tensor, "batch unit *place"], tuple[int, ...]], Tensor]


def _same(values: Tensor, _units: int) -> Tensor:
    return values


def _last(values: Tensor, _units: int) -> Tensor:
    return values.movedim(-1, 1)


def _heads(values: Tensor, units: int) -> Tensor:
    apart: Tensor = values.unflatten(-1, (units, -1))
    return apart.movedim(2, 1)


CHANNELS_FIRST = Layout("channels first", _same, lambda new, shape: new.reshape(shape))
# Of [batch, row, column, channel] and of [batch, position, dimension].
UNITS_LAST = Layout("units last", _last, lambda new, _shape: new.movedim(1, -1))
HEADS = Layout("heads", _heads, lambda new, shape: new.movedim(1, 2).reshape(shape))
