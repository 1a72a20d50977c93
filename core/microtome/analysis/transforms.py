"""The transform before the unembedding as a linear map: secants of one run, or exact between two.

A masked language model reads its words from ``norm(act(W x + b))``. Held as it was in one run,
its non-linearity is a factor for each dimension, like that of an MLP's neurons.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.norms import IDENTITY, NormMap, norm_map
from microtome.models.activation_functions import activation_function
from microtome.models.anatomy import Transform
from microtome.models.operations import TransformRun


@dataclass(frozen=True, slots=True, eq=False)
class TransformMap:
    """The linear part ``norm(slope * (W x))``; without ``transform`` the identity."""

    transform: Transform | None = None
    slope: Float[Tensor, "*rows d_read"] | None = None  # of the non-linearity
    norm: NormMap = IDENTITY

    def transpose(self, y: Float[Tensor, "*rows d_read"]) -> Float[Tensor, "*rows d_model"]:
        """From what the unembedding reads back to what the final norm gave."""
        return y if self.transform is None else self._before(y) @ self.transform.weight.to(y)

    def apply(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_read"]:
        """From what the final norm gave to what the unembedding reads, without constants."""
        if self.transform is None:
            return x
        pre: Tensor = x @ self.transform.weight.to(x).T
        return self.norm.apply(pre if self.slope is None else pre * self.slope)

    def bias(self, y: Float[Tensor, "*rows d_read"]) -> Float[Tensor, "*rows"]:
        """What the transform's own constants add along some directions."""
        total = torch.zeros_like(y[..., 0])
        transform = self.transform
        if transform is None:
            return total
        if transform.norm is not None and transform.norm.bias is not None:
            total = total + y @ transform.norm.bias.to(y)
        return total if transform.bias is None else total + self._before(y) @ transform.bias.to(y)

    def _before(self, y: Tensor) -> Tensor:
        """Before the non-linearity."""
        back = self.norm.transpose(y)
        return back if self.slope is None else back * self.slope


def transform_map(
    transform: Transform | None, a: TransformRun | None, b: TransformRun | None = None
) -> TransformMap:
    """The map of a transform in run ``a``, or exact between the runs ``a`` and ``b``."""
    if transform is None or a is None:
        return TransformMap()
    slope = None
    if transform.activation is not None:
        act = activation_function(transform.activation)
        slope = act.secant(a.pre) if b is None else act.slope(a.pre, b.pre)
    return TransformMap(transform, slope, norm_map(transform.norm, a.norm, b.norm if b else None))
