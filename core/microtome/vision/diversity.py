"""How much alike several pictures are to a model, so that they can be pushed apart.

Source: Olah, Mordvintsev and Schubert, "Feature Visualization" (2017): the mean cosine of the
pictures' Gram matrices in a layer, as in work on the style of images.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from microtome.models.vision.sight import Sight, UnitLayer


def telling_layer(sight: Sight, own: UnitLayer | None) -> UnitLayer:
    """Where pictures are compared: the target's layer, or the last with places in the image.

    Heads are left out: what they write has no one vector a place.
    """
    fit = [one for one in sight.layers.values() if one.grid is not None and one.kind != "head"]
    return own if own in fit and own is not None else (fit or list(sight.layers.values()))[-1]


def alikeness(values: Float[Tensor, "result unit *place"]) -> Float[Tensor, ""]:
    """The mean cosine of the Gram matrices of all pairs of results; 0 of a single one."""
    count = len(values)
    if count < 2:
        return values.sum() * 0
    flat = values.float().flatten(2) if values.dim() > 2 else values.float()[:, :, None]
    gram = normalize(torch.einsum("rup,rvp->ruv", flat, flat).flatten(1), dim=1)
    cosines = gram @ gram.T
    return (cosines.sum() - cosines.diagonal().sum()) / (count * (count - 1))
