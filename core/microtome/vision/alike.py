"""Which units of a layer are like one of them: by what they do, and by their weights."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from microtome.models.family import part
from microtome.models.vision.sight import Sight, UnitLayer


def standardised(activity: Float[np.ndarray, "image unit"]) -> Float[np.ndarray, "image unit"]:
    """Each unit's activity less its mean, at length 1; 0 for one that is the same on all images."""
    held = activity.astype(np.float64)
    held -= held.mean(axis=0)
    size = np.sqrt((held**2).sum(axis=0))
    # What rounding leaves of a constant is no activity.
    flat = size <= 1e-6 * np.abs(activity).max(axis=0)
    return np.asarray(np.where(flat, 0.0, held / np.where(flat, 1.0, size)), dtype=np.float32)


def correlations(
    standard: Float[np.ndarray, "image unit"], unit: int
) -> Float[np.ndarray, " unit"]:
    """Pearson's correlation over images of a unit with each unit, of ``standardised`` activity.

    0 for units that do the same on all images.
    """
    return np.asarray(standard.T @ standard[:, unit], dtype=np.float64)


def unit_weights(sight: Sight, layer: UnitLayer) -> Float[np.ndarray, "unit weight"] | None:
    """The incoming weights of each unit, where one matrix or convolution alone makes the layer.

    None where a layer is a sum, or a non-linearity without weights.
    """
    if layer.place.before:
        return None
    made_by = part(sight.module, layer.place.path, sight.title)
    found = [
        each.weight
        for each in made_by.modules()
        if isinstance(each, nn.Conv2d | nn.Linear) and each.weight.shape[0] == layer.n_units
    ]
    others = [each for each in made_by.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    if len(found) != 1 or len(others) != 1:
        return None
    return np.asarray(found[0].detach().flatten(1).to("cpu", torch.float32).numpy())


def cosines(weights: Float[np.ndarray, "unit weight"], unit: int) -> Float[np.ndarray, " unit"]:
    """The cosine of a unit's weights with those of each unit; 0 for weights that are all 0."""
    held = weights.astype(np.float64)
    size = np.sqrt((held**2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (held @ held[unit]) / (size * size[unit])
    return np.asarray(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0))
