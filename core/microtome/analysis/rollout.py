"""Attention rollout by arrays alone, so that a window can follow it through a run of a file."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def rolled_out(
    mean: Float[np.ndarray, "layer query key"],
) -> Float[np.ndarray, "layer query key"]:
    """The rollout of patterns that are means over heads; see ``vision.patches``."""
    unit = np.eye(mean.shape[-1])
    found, so_far = [], unit
    for pattern in mean.astype(np.float64):
        so_far = (pattern + unit) / 2 @ so_far
        found.append(so_far)
    return np.stack(found).astype(np.float32)
