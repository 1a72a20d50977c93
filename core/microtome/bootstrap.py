"""How sure a mean, or a ratio of means, over examples is: the one bootstrap of the whole engine.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), percentile intervals.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

DRAWS, INSIDE = 1000, 95.0  # draws of as many examples as there are, and per cent inside


def ratio_band(
    above: Float[np.ndarray, "example cell"],
    below: Float[np.ndarray, "example cell_or_one"],
    seed: int,
) -> Float[np.ndarray, "2 cell"]:
    """The ends of the 95 % interval of each cell's mean of ``above`` by its mean of ``below``.

    Examples are drawn with replacement, the same ones for both and for all cells. Draws in which
    a cell has no value, 0 by 0, are left out of it; NaN where it has none in any. In the unit of
    ``above`` by that of ``below``.
    """
    count = len(above)
    shares = np.full(count, 1 / count)
    draws = np.random.default_rng(seed).multinomial(count, shares, DRAWS).astype(np.float64)
    return _percentiles(weighted_ratios(above, below, draws))


def mean_band(values: Float[np.ndarray, "example cell"], seed: int) -> Float[np.ndarray, "2 cell"]:
    """The ends of the 95 % interval of each cell's mean."""
    return ratio_band(values, np.ones((len(values), 1)), seed)


def weighted_ratios(
    above: Float[np.ndarray, "example cell"],
    below: Float[np.ndarray, "example cell_or_one"],
    weights: Float[np.ndarray, "draw example"],
) -> Float[np.ndarray, "draw cell"]:
    """The ratio of the weighted means, for each draw of examples."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((weights @ above) / (weights @ below))


def _percentiles(found: Float[np.ndarray, "draw cell"]) -> Float[np.ndarray, "2 cell"]:
    sides = [(100 - INSIDE) / 2, (100 + INSIDE) / 2]
    ends = np.percentile(found, sides, axis=0)
    for cell in np.flatnonzero(np.isnan(ends).any(0)):
        own = found[np.isfinite(found[:, cell]), cell]
        if len(own):
            ends[:, cell] = np.percentile(own, sides)
    return np.asarray(ends, dtype=np.float64)
