"""Which part of a site an edit touches: all layers or one, all heads or one, some positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from microtome.activations.budget import axis_lengths
from microtome.errors import EditError
from microtome.models.hooks import Tap, layers_of
from microtome.models.model import Model
from microtome.sites import Site

HEAD_AXES = ("head", "kv_head")
# Which axis counts positions: of a pattern the one that looks.
_PLACES = ("query", "source_query", "position", "source")

# Given a layer (None for a site that exists once), what its region becomes.
Values = Callable[[int | None], Tensor]


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
        axes = list(site.kind.axes)
        lengths = axis_lengths(model, length, source)
        head_axis = next((at for at, axis in enumerate(axes) if axis in HEAD_AXES), None)
        if site.head is None:
            head_axis = None
        elif head_axis is not None:
            _check_head(site, lengths[axes.pop(head_axis)])
        position_axis = axes.index(next(axis for axis in _PLACES if axis in axes))
        shape = [lengths[axis] for axis in axes]
        whole = shape[position_axis]
        if positions is not None:
            positions = _checked_positions(site, positions, whole)
            shape[position_axis] = len(positions)
        return cls(
            site=site,
            layers=layers_of(model, site),
            shape=tuple(shape),
            head_axis=head_axis,
            position_axis=position_axis,
            positions=positions,
            length=whole,
        )

    def taps(self, values: Values) -> dict[Site, Tap]:
        """Taps that put ``values(layer)``, which broadcast to ``shape``, into the region."""
        name = self.site.name
        return {Site(name, layer): partial(self._put, values(layer)) for layer in self.layers}

    def _put(self, value: Tensor, site_values: Tensor) -> Tensor:
        changed = site_values.clone()
        part = changed
        if self.head_axis is not None and self.site.head is not None:
            part = part.select(self.head_axis + 1, self.site.head)
        new = value.to(part.device, part.dtype).expand(part.shape[0], *self.shape)
        if self.positions is None:
            part.copy_(new)
        else:
            rows = torch.tensor(self.positions, device=part.device)
            part.index_copy_(self.position_axis + 1, rows, new)
        return changed


def _check_head(site: Site, count: int) -> None:
    if site.head is not None and not 0 <= site.head < count:
        raise EditError(
            f"The site {site.name} has no head {site.head}.", f"Its heads are 0 to {count - 1}."
        )


def _checked_positions(site: Site, positions: Sequence[int], length: int) -> tuple[int, ...]:
    if not positions:
        raise EditError(f"The edit of {site} names no position.", "Leave it out to mean all.")
    outside = [at for at in positions if not -length <= at < length]
    if outside:
        raise EditError(
            f"The edit of {site} names position {outside[0]}, but the prompt has {length} tokens.",
            f"Positions are 0 to {length - 1}, or -1 for the last.",
        )
    return tuple(dict.fromkeys(at % length for at in positions))
