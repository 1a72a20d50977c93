"""From values of a metric to effects on one scale, with a band over a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

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
    notes: tuple[str, ...] = ()


def scaled(
    values: Float[np.ndarray, "example cell"],
    clean: Float[np.ndarray, " example"],
    corrupt: Float[np.ndarray, " example"] | None,
    seed: int,
    left_out: Bool[np.ndarray, "example cell"] | None = None,
) -> Scaled:
    """Effects on the scale 0 = corrupt, 1 = clean; the ratio of the means over the examples.

    Without ``corrupt`` (ablations), or where the ends hardly differ, effects are the change of
    the metric: from ``clean`` for ablations, else from ``corrupt``. The band is a bootstrap over
    examples, drawn by ``seed``. A cell is over the examples that are not ``left_out``, NaN where
    all are.
    """
    from_end = clean if corrupt is None else corrupt
    difference = None if corrupt is None else clean - corrupt
    near = difference is not None and abs(float(difference.mean())) < NEAR
    divide = difference is not None and not near
    there = np.ones(values.shape) if left_out is None else 1.0 - left_out
    change = np.where(there > 0, values - from_end[:, None], 0.0)

    count = len(values)
    by = difference if difference is not None and divide else np.ones(count)
    by = by[:, None] * there if left_out is not None and left_out.any() else by[:, None]
    band = None
    if count > 1:
        draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _DRAWS)
        band = _percentiles(_ratios(change, by, draws.astype(np.float64)))
    plain = _ratios(change, by, np.ones((1, count)))[0].astype(np.float32)
    raw = _ratios(np.where(there > 0, values, 0.0), there, np.ones((1, count)))[0]
    notes = _NEAR_NOTE if near else "", _partly(there)
    return Scaled(raw, plain, band, divide, tuple(note for note in notes if note))


_NEAR_NOTE = (
    f"The metric of the clean and the corrupt run differ by less than {NEAR:g}: effects are "
    "changes of the metric, not shares."
)


def _partly(there: Float[np.ndarray, "example cell"]) -> str:
    """Says how many cells are over some of the examples only."""
    counts = there.sum(0)
    some = counts[(counts > 0) & (counts < len(there))]
    if not len(some):
        return ""
    return (
        f"{len(some)} cells have a partner in some of the {len(there)} pairs only: they are the "
        f"ratio of means over those, {int(some.min())} or more."
    )


def _percentiles(found: Float[np.ndarray, "draw cell"]) -> Float[np.ndarray, "2 cell"]:
    """The ends of the interval, over the draws in which a cell has a value."""
    sides = [(100 - _INSIDE) / 2, (100 + _INSIDE) / 2]
    ends = np.percentile(found, sides, axis=0)
    for cell in np.flatnonzero(np.isnan(ends[0])):
        own = found[np.isfinite(found[:, cell]), cell]
        if len(own):
            ends[:, cell] = np.percentile(own, sides)
    return np.asarray(ends, dtype=np.float32)


def _ratios(
    change: Float[np.ndarray, "example cell"],
    by: Float[np.ndarray, "example cell_or_one"],
    weights: Float[np.ndarray, "draw example"],
) -> Float[np.ndarray, "draw cell"]:
    """The ratio of the weighted means, for each draw of examples."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((weights @ change) / (weights @ by))
