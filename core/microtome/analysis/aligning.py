"""Turning one cloud of points onto another that shows the same things."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError


def alignment(
    points: Float[np.ndarray, "point axis"], reference: Float[np.ndarray, "_ _"]
) -> Float[np.ndarray, "axis axis"]:
    """The orthogonal matrix R for which ``points @ R`` lies nearest to ``reference``.

    Both are [point, axis]; row i of both is the same thing seen twice, for example a token in two
    layers. Nothing is moved or stretched: R turns, and mirrors where that is nearer, because the
    sign of a principal component means nothing. The identity where there are no points.
    Raises InputError when the two have other shapes.
    Source: Schönemann, "A generalized solution of the orthogonal Procrustes problem" (1966).
    """
    if points.shape != reference.shape:
        raise InputError(
            f"Clouds of {points.shape} and {reference.shape} numbers cannot be aligned.",
            "Give the same points of both, in the same order.",
        )
    if not len(points):
        return np.eye(points.shape[1])
    shared = points.T.astype(np.float64) @ reference.astype(np.float64)  # axis, axis
    left, _, right = np.linalg.svd(shared)
    return np.asarray(left @ right)
