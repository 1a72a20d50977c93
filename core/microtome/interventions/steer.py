"""Steering: add a direction to a site's values, or take their part along it out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microtome.errors import EditError, expect
from microtome.interventions.arrays import frozen_array
from microtome.interventions.regions import Region, frozen_positions, grows_twice
from microtome.jobs import Job
from microtome.models.hooks import Tap
from microtome.models.model import Model
from microtome.records.edit_texts import steer_text, where_text
from microtome.sites import Site


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Steer:
    """Add ``strength`` times a direction, as given, to what stands at each position of a site.

    With ``project_out`` the part of the values along the direction is taken out instead, whatever
    the direction's length: all of it by a strength of 1, the half by 0.5.
    ``direction`` is a vector of the site: [d_model], of heads [d_head] for all alike or
    [head, d_head], of a pattern along the keys; with a layer in front of all axes where a site of
    a layer names none. A norm's scale is one number a position, and so is its direction.
    ``named`` is how the direction is called in the record of a run.
    Raises EditError for a direction that is not finite or has no length, and, when a run starts,
    for one that does not fit.
    """

    site: Site
    direction: np.ndarray[Any, Any]
    strength: float
    positions: tuple[int, ...] | None
    project_out: bool
    named: str

    def __init__(
        self,
        site: Site | str,
        direction: Any,
        strength: float = 1.0,
        positions: Sequence[int] | None = None,
        project_out: bool = False,
        named: str = "",
    ) -> None:
        place = Site.of(site)
        expect(strength, (int, float, np.number), "strength", "a number", "Write strength=4.0.")
        if not math.isfinite(strength):
            raise EditError(f"The strength {strength} is not finite.", "Give a finite number.")
        object.__setattr__(self, "site", place)
        object.__setattr__(self, "direction", _vector(place, direction))
        object.__setattr__(self, "strength", float(strength))
        object.__setattr__(self, "positions", frozen_positions(positions))
        object.__setattr__(self, "project_out", bool(project_out))
        object.__setattr__(self, "named", named)

    def __str__(self) -> str:
        where = where_text(self.site, self.positions)
        return steer_text(where, self.strength, self.named, project_out=self.project_out)

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place in a run over so many tokens, ``source`` in an encoder."""
        del job
        region = Region.of(model, self.site, self.positions, positions, source)
        direction = torch.tensor(self._fitted(region))
        if self.project_out:
            if not region.vector_axes:
                raise EditError(
                    f"The site {self.site} holds a number at each position, not a vector, so that "
                    "nothing can be projected out.",
                    "Choose a site with vectors, or add to it.",
                )
            direction = _unit(direction)
        act = partial(_without if self.project_out else _with, self.strength)
        layered = self._layered and self.direction.ndim > len(region.vector_axes)
        return region.changing(
            lambda layer: partial(act, direction[layer] if layered else direction)
        )

    @property
    def everywhere(self) -> bool:
        """Whether it does the same at every position, also at those that a text grows by."""
        return not grows_twice(self.site)

    @property
    def _layered(self) -> bool:
        return self.site.kind.per_layer and self.site.layer is None

    def _fitted(self, region: Region) -> NDArray[Any]:
        """The direction with an axis for positions where the region has one."""
        given, own = self.direction, region.vector_shape
        if not own and given.shape == (1,):
            return given.reshape(())
        if len(own) > 1 and given.shape == own[-1:]:
            return given
        if given.shape == own:
            return np.expand_dims(given, region.position_axis) if own else given
        if self._layered and given.shape == (len(region.layers), *own):
            return np.expand_dims(given, region.position_axis + 1) if own else given
        raise self._does_not_fit(region)

    def _does_not_fit(self, region: Region) -> EditError:
        own, axes = region.vector_shape, region.vector_axes
        shapes = [(own, axes)]
        if len(own) > 1:
            shapes.insert(0, (own[-1:], axes[-1:]))
        if self._layered:
            shapes.append(((len(region.layers), *own), ("layer", *axes)))
        needed = " or ".join(
            f"{list(shape)} ({', '.join(names) or 'a number'})" for shape, names in shapes
        )
        return EditError(
            f"The direction for {self.site} has the shape {list(self.direction.shape)}, but "
            f"{needed} is needed.",
            "Take it from the same site, for example with "
            "microtome.interventions.directions.difference_of_means.",
        )


def _vector(site: Site, direction: Any) -> NDArray[np.float64]:
    way_out = "Take one from microtome.interventions.directions."
    array = frozen_array(direction, "direction", site, way_out)
    if not array.any():
        raise EditError(
            f"The direction for {site} has the length 0, so that it points nowhere.",
            "Take it from prompts, words or components that differ.",
        )
    return array


def _unit(direction: Tensor) -> Tensor:
    """Each vector at length 1; a head or layer without a direction keeps none."""
    length = direction.norm(dim=-1, keepdim=True)
    return torch.where(length > 0, direction / length, direction)


def _with(strength: float, direction: Tensor, part: Tensor) -> Tensor:
    return part + (strength * direction).to(part.device, part.dtype)


def _without(strength: float, unit: Tensor, part: Tensor) -> Tensor:
    wide = part.to(torch.promote_types(part.dtype, torch.float32))
    along = unit.to(wide.device, wide.dtype)
    share = (wide * along).sum(-1, keepdim=True)
    return (wide - strength * share * along).to(part.dtype)
