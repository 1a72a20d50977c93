"""From values of a metric to effects on one scale, with a band over a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from microtome.bootstrap import ratio_band, weighted_ratios

# Ends nearer than this say nothing about what lies between them.
NEAR = 1e-3


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
    band = ratio_band(change, by, seed).astype(np.float32) if count > 1 else None
    plain = weighted_ratios(change, by, np.ones((1, count)))[0].astype(np.float32)
    raw = weighted_ratios(np.where(there > 0, values, 0.0), there, np.ones((1, count)))[0]
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
