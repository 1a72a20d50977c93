"""What takes the place of a unit's values: zero, a mean, another case's values, more, a level.

The values of a layer always come as [row, unit, place…]; a row is a case in one of the lesions
that run together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from microtome.records.lesion import ADD, MEAN, PERCENTILE, RESAMPLE, ZERO, Treatment

# Of values and the case of each row: what would stand there if all units were changed.
New = Callable[[Tensor, Int[Tensor, " row"]], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a layer does on other cases.

    ``donors`` are the cases whose values each changed case gets. ``vectors`` says that the last
    axis belongs to one unit: what a head writes. ``samples`` are the values one place at a time,
    where places mean nothing by themselves: positions of prompts.
    """

    values: Float[Tensor, "reference unit *place"]
    donors: Int[np.ndarray, " case"]
    vectors: bool
    samples: Float[Tensor, "sample unit *one_or_d"] | None = None

    @property
    def _flat(self) -> Float[Tensor, "unit sample *one_or_d"]:
        if self.samples is not None:
            return self.samples.movedim(1, 0)
        values = self.values.movedim(1, 0)
        return values.flatten(1, -2) if self.vectors else values.flatten(1)

    @property
    def mean(self) -> Float[Tensor, "unit *place"]:
        """The mean over cases, place by place, or over all samples."""
        if self.samples is None:
            return self.values.mean(0)
        return self.samples.mean(0).unsqueeze(1)  # beside positions

    @property
    def amounts(self) -> Float[Tensor, "unit sample"]:
        """The activity of each unit in all places: of a head the length of what it writes."""
        flat = self._flat
        return flat.norm(dim=-1) if self.vectors else flat

    def along(self, sizes: Float[Tensor, " unit"]) -> Float[Tensor, "unit *place"]:
        """Sizes as values: of a head along its mean, of other units the sizes themselves."""
        places = self.values.dim() - 2
        if not self.vectors:
            return sizes.to(self.values).reshape(-1, *[1] * places)
        ways = torch.nn.functional.normalize(self._flat.mean(1), dim=-1)  # [unit, d]
        return (sizes.to(ways)[:, None] * ways).reshape(len(ways), *[1] * (places - 1), -1)


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """The same values in all rows [unit, place…]."""

    level: Tensor

    def __call__(self, values: Tensor, _cases: Tensor) -> Tensor:
        return self.level.to(values).expand_as(values)


@dataclass(frozen=True, slots=True, eq=False)
class _More:
    """A step on top [unit, place…]."""

    step: Tensor

    def __call__(self, values: Tensor, _cases: Tensor) -> Tensor:
        return values + self.step.to(values)


@dataclass(frozen=True, slots=True, eq=False)
class _Donated:
    """The values of each row's donor; places are counted from the last where they differ."""

    values: Tensor
    donors: Tensor

    def __call__(self, values: Tensor, cases: Tensor) -> Tensor:
        given = self.values[self.donors[cases]].to(values)
        if given.shape == values.shape:
            return given
        have, want = given.shape[2], values.shape[2]
        at = (torch.arange(want) - want + have).clamp_min(0)
        return given[:, :, at]


def _zero(_reference: Reference | None, _amount: float) -> New:
    return _Level(torch.zeros(()))


def _mean(reference: Reference, _amount: float) -> New:
    return _Level(reference.mean)


def _resample(reference: Reference, _amount: float) -> New:
    return _Donated(reference.values, torch.from_numpy(reference.donors))


def _add(reference: Reference, amount: float) -> New:
    return _More(reference.along(amount * reference.amounts.std(1, correction=0)))


def _percentile(reference: Reference, amount: float) -> New:
    found = np.percentile(reference.amounts.numpy(), amount, axis=1)
    return _Level(reference.along(torch.from_numpy(found)))


_NEW: Mapping[str, Callable[..., New]] = {
    ZERO: _zero, MEAN: _mean, RESAMPLE: _resample, ADD: _add, PERCENTILE: _percentile,
}  # fmt: skip


def new_values(treatment: Treatment, reference: Reference | None) -> New:
    """What makes the new values of a layer."""
    return _NEW[treatment.how](reference, treatment.amount)


@dataclass(frozen=True, slots=True, eq=False)
class Put:
    """Puts new values in the place of masked units; rows are lesion by lesion, case by case."""

    new: New
    mask: Bool[Tensor, "row unit"]
    cases: Int[Tensor, " row"]

    def __call__(self, values: Float[Tensor, "row unit *place"]) -> Tensor:
        """The values with what is masked replaced."""
        mask = self.mask.reshape(*self.mask.shape, *[1] * (values.dim() - 2)).to(values.device)
        return torch.where(mask, self.new(values, self.cases), values)
