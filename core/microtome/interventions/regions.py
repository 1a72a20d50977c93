"""Which part of a site an edit touches: all layers or one, all heads or one, some positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import index
from typing import SupportsIndex

import torch
from torch import Tensor

from microtome.activations.budget import axis_lengths
from microtome.errors import EditError, expect
from microtome.models.hooks import Tap, layers_of
from microtome.models.model import Model
from microtome.sites import Site

HEAD_AXES = ("head", "kv_head")
# Which axis counts positions: of a pattern the one that looks.
PLACES = ("query", "source_query", "position", "source")

# Given a layer (None for a site that exists once), what its region becomes.
Values = Callable[[int | None], Tensor]
# What becomes of the values of a region, batch first.
Change = Callable[[Tensor], Tensor]


def axes_of(site: Site) -> tuple[str, ...]:
    """The axes of a site's values in one layer, without the head axis when it names a head."""
    axes = site.kind.axes
    return axes if site.head is None else tuple(axis for axis in axes if axis not in HEAD_AXES)


def position_axis_of(site: Site) -> int:
    """Which of ``axes_of`` counts positions."""
    axes = axes_of(site)
    return axes.index(next(axis for axis in PLACES if axis in axes))


def grows_twice(site: Site) -> bool:
    """Whether what stands at a position has as many numbers as the text has tokens."""
    return "key" in site.kind.axes


def frozen_positions(
    positions: Sequence[int] | None, name: str = "positions"
) -> tuple[int, ...] | None:
    """Positions as a value.

    Raises WrongKind for what is no list of whole numbers.
    """
    if positions is None:
        return None
    example = f"Write for example {name}=[0, 3]."
    expect(positions, Iterable, name, "a list of whole numbers", example)
    for at in positions:
        expect(at, (int, SupportsIndex), "A position", "a whole number", example)
    return tuple(index(at) for at in positions)


@dataclass(frozen=True, slots=True)
class Region:
    """One part of a site, checked against a model and a prompt's length.

    ``shape`` is that of the region in one layer: the site's axes, without the head axis when
    one head is meant, and with as many positions as are named. ``length`` is what its position
    axis has in the whole run.
    """

    site: Site
    layers: tuple[int | None, ...]
    shape: tuple[int, ...]
    head_axis: int | None  # of the site's own axes
    position_axis: int  # of the region's axes
    positions: tuple[int, ...] | None
    length: int

    @classmethod
    def of(
        cls,
        model: Model,
        site: Site,
        positions: Sequence[int] | None,
        length: int,
        source: int = 0,
    ) -> Region:
        """The region of a site in a run over ``length`` tokens, ``source`` in an encoder.

        Raises SiteMissing when the model has no such site, EditError for a head or a position
        that is not there.
        """
        layers = layers_of(model, site)
        lengths = axis_lengths(model, length, source)
        head_axis = None
        if site.head is not None:
            head_axis = next(at for at, axis in enumerate(site.kind.axes) if axis in HEAD_AXES)
            _check_head(site, lengths[site.kind.axes[head_axis]])
        position_axis = position_axis_of(site)
        shape = [lengths[axis] for axis in axes_of(site)]
        whole = shape[position_axis]
        if positions is not None:
            positions = tuple(dict.fromkeys(counted(site, positions, whole)))
            shape[position_axis] = len(positions)
        return cls(
            site=site,
            layers=layers,
            shape=tuple(shape),
            head_axis=head_axis,
            position_axis=position_axis,
            positions=positions,
            length=whole,
        )

    @property
    def vector_axes(self) -> tuple[str, ...]:
        """The axes of what stands at one position; none where that is a single number."""
        axes = axes_of(self.site)
        return axes[: self.position_axis] + axes[self.position_axis + 1 :]

    @property
    def vector_shape(self) -> tuple[int, ...]:
        """The lengths of ``vector_axes``."""
        return self.shape[: self.position_axis] + self.shape[self.position_axis + 1 :]

    def rows(self, values: Tensor, axis: int | None = None) -> Tensor:
        """The rows of the named positions, of values that have a row for each in the run."""
        at = self.position_axis if axis is None else axis
        if self.positions is None or values.shape[at] != self.length:
            return values
        return values.index_select(at, torch.tensor(self.positions))

    def taps(self, values: Values) -> dict[Site, Tap]:
        """Taps that put ``values(layer)``, which broadcast to ``shape``, into the region."""
        return self.changing(lambda layer: partial(_become, values(layer), self.shape))

    def changing(self, changes: Callable[[int | None], Change]) -> dict[Site, Tap]:
        """Taps that put ``changes(layer)`` of the region's values in their place."""
        name = self.site.name
        return {Site(name, layer): partial(self._put, changes(layer)) for layer in self.layers}

    def _put(self, change: Change, site_values: Tensor) -> Tensor:
        changed = site_values.clone()
        part = changed
        if self.head_axis is not None and self.site.head is not None:
            part = part.select(self.head_axis + 1, self.site.head)
        if self.positions is None:
            part.copy_(change(part))
        else:
            axis, rows = self.position_axis + 1, torch.tensor(self.positions, device=part.device)
            part.index_copy_(axis, rows, change(part.index_select(axis, rows)))
        return changed


def _become(value: Tensor, shape: tuple[int, ...], part: Tensor) -> Tensor:
    return value.to(part.device, part.dtype).expand(part.shape[0], *shape)


def _check_head(site: Site, count: int) -> None:
    if site.head is not None and not 0 <= site.head < count:
        raise EditError(
            f"The site {site.name} has no head {site.head}.", f"Its heads are 0 to {count - 1}."
        )


def counted(
    site: Site, positions: Sequence[int], length: int, of: str = "the prompt"
) -> tuple[int, ...]:
    """Positions counted from the start.

    Raises EditError for none, and for one that is not there.
    """
    if not positions:
        raise EditError(f"The edit of {site} names no position.", "Leave it out to mean all.")
    outside = [at for at in positions if not -length <= at < length]
    if outside:
        raise EditError(
            f"The edit of {site} names position {outside[0]}, but {of} has {length} tokens.",
            f"Positions are 0 to {length - 1}, or -1 for the last.",
        )
    return tuple(at % length for at in positions)
