"""Attention rollout: where a position looks through all layers at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def attention_rollout(
    patterns: Float[np.ndarray, "layer head query key"],
) -> Float[np.ndarray, "query key"]:
    """The product over layers of the mean pattern of heads, each half attention, half residual.

    Rows sum to 1 as those of patterns do. What heads write is not looked at: a rough picture.
    Source: Abnar and Zuidema, "Quantifying Attention Flow in Transformers" (2020).
    """
    length = patterns.shape[-1]
    found = np.eye(length)
    for layer in patterns.astype(np.float64):
        found = (0.5 * layer.mean(axis=0) + 0.5 * np.eye(length)) @ found
    return found
