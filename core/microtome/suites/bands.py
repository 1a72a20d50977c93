"""How sure a share or a mean over cases is: 95 % intervals.

Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927), for
shares; means have the bootstrap of ``microtome.bootstrap``.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

from microtome import bootstrap


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
    if not len(values):
        return np.full((values.shape[1], 2), np.nan)
    return bootstrap.mean_band(values, seed).T


def change_band(passed: Float[np.ndarray, "case side"], seed: int) -> Float[np.ndarray, " 2"]:
    """The bootstrap interval of the change from the first side to the second, case by case.

    NaN where there is one side, or no case.
    """
    if passed.shape[1] < 2:
        return np.full(2, np.nan)
    found: Float[np.ndarray, " 2"] = mean_band(passed[:, 1:] - passed[:, :1], seed)[0]
    return found
