"""How sure a share or a mean over cases is: 95 % intervals.

Sources: Wilson, "Probable inference, the law of succession, and statistical inference" (1927),
for shares; Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), percentile intervals.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

_DRAWS, _ENDS = 1000, (2.5, 97.5)


def rate_band(passed: Float[np.ndarray, "case side"]) -> Float[np.ndarray, "side 2"]:
    """Wilson's interval of the share of ones on each side; NaN without cases."""
    count = len(passed)
    if not count:
        return np.full((passed.shape[1], 2), np.nan)
    found = [
        binomtest(int(right), count).proportion_ci(0.95, method="wilson") for right in passed.sum(0)
    ]
    return np.array([[each.low, each.high] for each in found])


def mean_band(values: Float[np.ndarray, "case side"], seed: int) -> Float[np.ndarray, "side 2"]:
    """The bootstrap interval of the mean on each side; NaN without cases."""
    count = len(values)
    if not count:
        return np.full((values.shape[1], 2), np.nan)
    shares = np.full(count, 1 / count)
    draws = np.random.default_rng(seed).multinomial(count, shares, _DRAWS)
    means = draws @ values / count  # [draw, side]
    return np.asarray(np.percentile(means, _ENDS, axis=0).T)


def change_band(passed: Float[np.ndarray, "case side"], seed: int) -> Float[np.ndarray, " 2"]:
    """The bootstrap interval of the change from the first side to the second, case by case.

    NaN where there is one side, or no case.
    """
    if passed.shape[1] < 2:
        return np.full(2, np.nan)
    found: Float[np.ndarray, " 2"] = mean_band(passed[:, 1:] - passed[:, :1], seed)[0]
    return found
