"""From values of a metric to effects on one scale, with a band over a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Ends nearer than this say nothing about what lies between them.
NEAR = 1e-3
_DRAWS, _INSIDE = 1000, 95.0


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """Effects of each cell; ``band`` holds the ends of a 95 % interval, None for one example."""

    raw: Float[np.ndarray, " cell"]
    effects: Float[np.ndarray, " cell"]
    band: Float[np.ndarray, "2 cell"] | None
    normalised: bool
    note: str = ""


def scaled(
    values: Float[np.ndarray, "example cell"],
    clean: Float[np.ndarray, " example"],
    corrupt: Float[np.ndarray, " example"] | None,
    seed: int,
) -> Scaled:
    """Effects on the scale 0 = corrupt, 1 = clean; the ratio of the means over the examples.

    Without ``corrupt`` (ablations), or where the ends hardly differ, effects are the change of
    the metric: from ``clean`` for ablations, else from ``corrupt``. The band is a bootstrap over
    examples, drawn by ``seed``.
    """
    from_end = clean if corrupt is None else corrupt
    difference = None if corrupt is None else clean - corrupt
    near = difference is not None and abs(float(difference.mean())) < NEAR
    divide = difference is not None and not near
    change = values - from_end[:, None]

    count = len(values)
    by = difference if difference is not None and divide else np.ones(count)
    band = None
    if count > 1:
        draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _DRAWS)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.percentile(
                _ratios(change, by, draws.astype(np.float64)),
                [(100 - _INSIDE) / 2, (100 + _INSIDE) / 2],
                axis=0,
            )
        band = ends.astype(np.float32)
    note = (
        f"The metric of the clean and the corrupt run differ by less than {NEAR:g}: effects are "
        "changes of the metric, not shares."
        if near
        else ""
    )
    plain = _ratios(change, by, np.ones((1, count)))[0].astype(np.float32)
    return Scaled(values.mean(0), plain, band, divide, note)


def _ratios(
    change: Float[np.ndarray, "example cell"],
    by: Float[np.ndarray, " example"],
    weights: Float[np.ndarray, "draw example"],
) -> Float[np.ndarray, "draw cell"]:
    """The ratio of the weighted means, for each draw of examples."""
    return np.asarray((weights @ change) / (weights @ by)[:, None])
