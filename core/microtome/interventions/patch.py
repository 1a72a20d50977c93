"""Patching: put given values, or those of another run, in place of a site's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microtome.errors import EditError
from microtome.interventions.arrays import frozen_array
from microtome.interventions.measured import values_of
from microtome.interventions.regions import (
    Region,
    axes_of,
    counted,
    frozen_positions,
    grows_twice,
    position_axis_of,
)
from microtome.jobs import Job
from microtome.models.hooks import Tap
from microtome.models.model import Model
from microtome.prompts import Prompt, as_prompt
from microtome.records.edit_texts import patch_text, prompt_text, where_text
from microtome.sites import Site


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Patch:
    """Put given values in place of a site's.

    ``value`` has the site's axes, without the head axis when the site names a head, behind a
    layer axis when a site of a layer names none; or any shape that broadcasts to it. With
    ``positions`` it has either their rows only or the rows of the whole prompt.
    """

    site: Site
    value: np.ndarray[Any, Any]
    positions: tuple[int, ...] | None

    def __init__(
        self, site: Site | str, value: Any, positions: Sequence[int] | None = None
    ) -> None:
        way_out = "Take it from another run, for example trace.activation('resid_pre.2')."
        object.__setattr__(self, "site", Site.of(site))
        object.__setattr__(self, "value", frozen_array(value, "value", site, way_out))
        object.__setattr__(self, "positions", frozen_positions(positions))

    @classmethod
    def from_prompt(
        cls,
        site: Site | str,
        prompt: Prompt | Sequence[int],
        positions: Sequence[int] | None = None,
        from_positions: Sequence[int] | None = None,
        from_layer: int | None = None,
    ) -> PromptPatch:
        """Put the values that another prompt, position or layer gives in place of a site's.

        The other prompt runs when the edited run starts. Without ``from_positions`` its values
        are taken at ``positions``, without ``from_layer`` from the site's own layer.
        """
        return PromptPatch(site, prompt, positions, from_positions, from_layer)

    def __str__(self) -> str:
        return patch_text(where_text(self.site, self.positions), None)

    @property
    def everywhere(self) -> bool:
        """Whether it puts the same at every position, also at those that a text grows by."""
        behind = len(axes_of(self.site)) - position_axis_of(self.site)  # axes from positions on
        alike = self.value.ndim < behind or self.value.shape[-behind] == 1
        return alike and not (grows_twice(self.site) and self.value.ndim and len(self.value.T) > 1)

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place in a run over so many tokens, ``source`` in an encoder."""
        del job
        region = Region.of(model, self.site, self.positions, positions, source)
        layered = self.site.kind.per_layer and self.site.layer is None
        shape = (len(region.layers), *region.shape) if layered else region.shape
        value = self._fitted(shape, region, layered=layered)
        return region.taps(lambda layer: value[layer] if layered and layer is not None else value)

    def _fitted(self, shape: tuple[int, ...], region: Region, *, layered: bool) -> Tensor:
        """The value at the region's shape, whole rows cut down to the region's positions."""
        axis = region.position_axis + layered
        whole = (*shape[:axis], region.length, *shape[axis + 1 :])
        value = torch.from_numpy(self.value.copy())
        if self.value.shape == whole != shape:
            value = region.rows(value, axis)
        try:
            return value.expand(shape)
        except RuntimeError as error:
            axes = ["layer", *axes_of(self.site)] if layered else axes_of(self.site)
            raise EditError(
                f"The value for {self.site} has the shape {list(self.value.shape)}, but "
                f"{list(shape)} is needed ({', '.join(axes)}).",
                "Take it from a trace of a prompt with the same number of tokens.",
            ) from error


@dataclass(frozen=True, slots=True, init=False)
class PromptPatch:
    """What ``Patch.from_prompt`` gives: a patch whose values come from a run of their own.

    A single row from the other prompt goes to all of ``positions``; otherwise there must be as
    many rows as places to put them.
    """

    site: Site
    prompt: Prompt
    positions: tuple[int, ...] | None
    from_positions: tuple[int, ...] | None
    from_layer: int | None

    everywhere = False  # its values belong to the positions of the prompt

    def __init__(
        self,
        site: Site | str,
        prompt: Prompt | Sequence[int],
        positions: Sequence[int] | None = None,
        from_positions: Sequence[int] | None = None,
        from_layer: int | None = None,
    ) -> None:
        object.__setattr__(self, "site", Site.of(site))
        object.__setattr__(self, "prompt", as_prompt(prompt))
        object.__setattr__(self, "positions", frozen_positions(positions))
        taken = frozen_positions(from_positions, "from_positions")
        object.__setattr__(self, "from_positions", taken)
        object.__setattr__(self, "from_layer", None if from_layer is None else index(from_layer))
        if from_layer is not None and not self.site.kind.per_layer:
            raise EditError(
                f"The site {self.site} exists once, so that there is no layer to take it from.",
                "Leave from_layer out.",
            )

    def __str__(self) -> str:
        where = where_text(self.site, self.positions)
        return patch_text(where, self.prompt, self.from_positions, self.from_layer)

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place in a run over so many tokens, ``source`` in an encoder."""
        region = Region.of(model, self.site, self.positions, positions, source)
        site = self.site
        given = site if self.from_layer is None else replace(site, layer=self.from_layer)
        found = values_of(model, given, self.prompt, job)
        if self.from_layer is not None:
            found = dict.fromkeys(region.layers, found[self.from_layer])
        rows = {layer: self._fitted(values, region) for layer, values in found.items()}
        return region.taps(lambda layer: rows[layer])

    def _fitted(self, values: NDArray[Any], region: Region) -> Tensor:
        """The rows that the other run gives, at the region's shape or broadcasting to it."""
        axis = region.position_axis
        wanted = self.positions if self.from_positions is None else self.from_positions
        if wanted is not None:
            rows = counted(self.site, wanted, values.shape[axis], "the other prompt")
            once = self.from_positions is None  # as the region counts them
            values = values.take(list(dict.fromkeys(rows) if once else rows), axis)
        try:
            return torch.from_numpy(values).expand(region.shape)
        except RuntimeError as error:
            raise EditError(
                f"The patch of {self.site} gets values of the shape {list(values.shape)} from "
                f"{prompt_text(self.prompt)}, but {list(region.shape)} is needed "
                f"({', '.join(axes_of(self.site))}).",
                "Give a prompt of the same number of tokens, or name positions and "
                "from_positions, one or as many.",
            ) from error
