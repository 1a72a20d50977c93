"""Receptive fields: the part of the image that a place of a layer can see.

Measured: a field is the box of all pixels at which the place's gradient is not zero, over several
images of noise and all units of the layer (a unit that noise leaves silent has no gradient of its
own, but sees what its neighbours see).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from microtome.models.vision.sight import Sight, UnitLayer
from microtome.vision.attribution import normalised

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
        for place in dict.fromkeys(places):
            if place not in self._known:
                self._known[place] = self._measured(place, whole)
        return [self._known[place] for place in places]

    def _measured(self, place: int, whole: Box) -> Box:
        random = np.random.default_rng(_SEED)
        raw = random.uniform(0, 255, (_NOISES, *self.sight.shape))
        pixels = normalised(self.sight, raw).requires_grad_()
        with self.sight.reading([self.layer.name]) as found, torch.enable_grad():
            self.sight.logits(pixels)
            maps = self.layer.maps(found[self.layer.name])
            assert maps is not None  # noqa: S101, it has a grid
            at = maps.flatten(2)[:, :, place]  # [noise, unit]
            # Weights of their own, so that units do not cancel each other.
            weights = 0.5 + torch.rand(at.shape[1], generator=torch.Generator().manual_seed(_SEED))
            total = (at * weights.to(at.device, at.dtype)).sum()
            (slope,) = torch.autograd.grad(total, pixels)
        return box_of(_touched(slope)) or whole


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
