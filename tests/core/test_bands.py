"""The one bootstrap, against a plain loop over its draws."""

from __future__ import annotations

import numpy as np

from microtome.bootstrap import DRAWS, mean_band, ratio_band


def by_hand(above, below, seed):
    """Each cell by itself: draw, take both means, sort the ratios that there are."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        taken = np.repeat(np.arange(len(above)), rng.multinomial(len(above), [1 / len(above)] * 7))
        low = below[taken].mean(0)
        found.append(
            [a / b if b else np.nan for a, b in zip(above[taken].mean(0), low, strict=True)]
        )
    columns = [column[np.isfinite(column)] for column in np.array(found).T]
    return np.array([np.percentile(column, [2.5, 97.5]) for column in columns]).T


def test_the_band_is_that_of_a_plain_loop_also_where_draws_have_no_value():
    rng = np.random.default_rng(1)
    above, below = rng.normal(size=(7, 3)), rng.uniform(1, 2, (7, 3))
    above[1:, 2] = below[1:, 2] = 0.0  # a third of the draws lacks the only example of this cell
    np.testing.assert_allclose(ratio_band(above, below, 5), by_hand(above, below, 5), rtol=1e-10)
    ones = np.ones((7, 3))
    np.testing.assert_allclose(mean_band(above, 5), by_hand(above, ones, 5), rtol=1e-10)
    np.testing.assert_array_equal(ratio_band(above, ones[:, :1], 5), mean_band(above, 5))
    assert np.isnan(ratio_band(np.zeros((7, 1)), np.zeros((7, 1)), 5)).all()
