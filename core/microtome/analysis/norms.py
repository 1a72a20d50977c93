"""Norms as linear maps: the scale frozen in one run, or exact between two."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.models.anatomy import Norm
from microtome.models.operations import NormRun, norm_run


@dataclass(frozen=True, slots=True, eq=False)
class NormMap:
    """The linear part of a norm: ``w * (C(u) * inverse + middle * kappa * (middle · C(u)))``.

    ``C`` subtracts the mean where the norm centres. ``inverse`` is one over the root. Between
    two runs it is the average of both, and ``kappa`` and ``middle`` (the average of both inputs)
    carry the change of the root; None for one run. ``inverse`` None is the identity.
    """

    centred: bool = False
    weight: Float[Tensor, "*heads d"] | None = None
    inverse: Float[Tensor, "*axes 1"] | None = None
    middle: Float[Tensor, "*axes d"] | None = None
    kappa: Float[Tensor, "*axes 1"] | None = None
    joint: bool = False  # heads share the mean, so that they mix; the weight is theirs apart

    def apply(self, u: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
        """The map, without the norm's bias."""
        if self.inverse is None:
            return u
        return self.weighted(self._rescaled(self.centre(u), self.inverse))

    def apply_in_place(self, u: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
        """The same as ``apply`` of a norm that is not joint, written over its argument."""
        if self.inverse is None:
            return u
        if self.centred:
            u -= u.mean(-1, keepdim=True)
        if self.middle is not None and self.kappa is not None:
            along = torch.einsum("...d,...d->...", u, self.middle.expand_as(u))
            u *= self.weighted(self.inverse)
            return u.addcmul_(along[..., None], self.weighted(self.middle * self.kappa))
        return u.mul_(self.weighted(self.inverse))

    def transpose(self, y: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
        """The transposed map."""
        if self.inverse is None:
            return y
        return self.centre(self._rescaled(self.weighted(y), self.inverse))

    def at(self, *index: slice | Tensor | int | EllipsisType) -> NormMap:
        """The maps of some of the axes; of a joint norm what a head does to itself."""
        if self.inverse is None:
            return self
        middle, kappa = self.middle, self.kappa
        weight = self.weight
        return NormMap(
            self.centred,
            weight[index[0]] if weight is not None and weight.dim() == 3 else weight,
            self.inverse[index],
            None if middle is None else middle[index],
            None if kappa is None else kappa[index],
        )

    def weighted(self, y: Tensor) -> Tensor:
        """``w * y``."""
        return y if self.weight is None else self.weight * y

    def centre(self, u: Tensor) -> Tensor:
        """``C(u)``."""
        return u - u.mean(-1, keepdim=True) if self.centred else u

    def _rescaled(self, t: Tensor, inverse: Tensor) -> Tensor:
        out = t * inverse
        if self.middle is None or self.kappa is None:
            return out
        along = (self.middle * t).sum((-3, -1) if self.joint else -1, keepdim=True)
        return out + self.middle * (self.kappa * along)


IDENTITY = NormMap()


def norm_map(norm: Norm | None, a: NormRun | None, b: NormRun | None = None) -> NormMap:
    """The map of a norm in run ``a``, or exact between the runs ``a`` and ``b``.

    Between two runs the outputs differ by exactly the map of the inputs' difference, because
    the squares of the roots differ by ``2/d * middle · difference``. The weight takes the runs'
    type: sums over half precision are too coarse.
    """
    if norm is None or a is None:
        return IDENTITY
    weight = None if norm.weight is None else norm.weight.to(a.scale)
    if b is None:
        return NormMap(norm.centred, weight, 1 / a.scale, joint=norm.joint)
    d = a.centred.shape[-1] * (a.centred.shape[-3] if norm.joint else 1)
    if b is a:  # the gradient at one run
        inverse = 1 / a.scale
        return NormMap(norm.centred, weight, inverse, a.centred, inverse**3 / -d, norm.joint)
    product = a.scale * b.scale
    return NormMap(
        norm.centred,
        weight,
        (a.scale + b.scale) / (2 * product),
        (a.centred + b.centred) / 2,
        -2 / (d * product * (a.scale + b.scale)),
        norm.joint,
    )


def frozen_norm(norm: Norm | None, inputs: Float[Tensor, "*axes d"]) -> NormMap:
    """The map of a norm with its scale held as it is for some inputs."""
    return norm_map(norm, norm_run(norm, inputs))
