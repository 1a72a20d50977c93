"""Receptive fields: the part of the image that a place of a layer can see.

Measured: a field is the box of all pixels at which the place's gradient is not zero, over several
images of noise and all units of the layer (a unit that noise leaves silent has no gradient of its
own, but sees what its neighbours see).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from microtome.models.vision.sight import Sight, UnitLayer
from microtome.vision.activity import batches

_NOISES = 4
_SEED = 0
# First row, first column, rows, columns.
Box = tuple[int, int, int, int]


@dataclass(slots=True)
class Fields:
    """The fields of a layer's places, each measured when it is first asked for."""

    sight: Sight
    layer: UnitLayer
    _known: dict[int, Box] = field(default_factory=dict)

    def of(self, places: Sequence[int]) -> list[Box]:
        """The field of each place, numbered row by row; the whole image without places."""
        whole = (0, 0, self.sight.shape[1], self.sight.shape[2])
        if self.layer.grid is None:
            return [whole] * len(places)
        missing = [place for place in dict.fromkeys(places) if place not in self._known]
        for start, end in batches(self.sight, _NOISES * len(missing)):
            # Whole places to a batch; a large image has a place of its own each time.
            first, last = -(-start // _NOISES), -(-end // _NOISES)
            if last > first:
                self._measure(missing[first:last], whole)
        return [self._known[place] for place in places]

    def _measure(self, places: Sequence[int], whole: Box) -> None:
        """One run for all ``places``: images of noise for each, of which it alone is looked at."""
        random = np.random.default_rng(_SEED)
        noise = random.uniform(0, 255, (_NOISES, *self.sight.shape))
        given = torch.from_numpy(np.concatenate([noise] * len(places)))
        pixels = self.sight.normalised(given).requires_grad_()
        with torch.enable_grad():
            maps = self._maps(pixels)
            apart = maps.flatten(2).unflatten(0, (len(places), _NOISES))
            # Weights of their own, so that units do not cancel each other.
            weights = 0.5 + torch.rand(maps.shape[1], generator=_generator())
            at = torch.stack([one[:, :, place] for one, place in zip(apart, places, strict=True)])
            total = (at * weights.to(at.device, at.dtype)).sum()
            (slope,) = torch.autograd.grad(total, pixels)
        for place, one in zip(places, slope.unflatten(0, (-1, _NOISES)), strict=True):
            self._known[place] = box_of(_touched(one)) or whole

    def _maps(self, pixels: Float[Tensor, "image channel row column"]) -> Tensor:
        """The maps of the layer; the pass ends there."""
        stop = _Stop()
        with self.sight.changing({self.layer.name: stop}), suppress(_Reached):
            self.sight.logits(pixels)
        maps = self.layer.maps(stop.values)
        assert maps is not None  # noqa: S101, it has a grid
        return maps


class _Reached(Exception):
    pass


class _Stop:
    """Takes the values of a layer, and ends the pass."""

    values: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        self.values = values
        raise _Reached


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(_SEED)


def _touched(slope: Float[Tensor, "noise channel row column"]) -> Bool[np.ndarray, "row column"]:
    return np.asarray((slope != 0).any(dim=0).any(dim=0).cpu().numpy())


def box_of(touched: Bool[np.ndarray, "row column"]) -> Box | None:
    """The smallest box around what is marked, None where nothing is."""
    rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    if not len(rows):
        return None
    return (
        int(rows[0]), int(columns[0]),
        int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1),
    )  # fmt: skip
