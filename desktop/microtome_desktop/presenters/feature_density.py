"""How strongly each feature is on, as a few bars a row that all stand on one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from microtome.records.feature_index import BIN_EDGES, FeatureIndex

BARS = 24  # at most
_ROWS_AT_ONCE = 1 << 14  # of a file


@dataclass(frozen=True, slots=True, eq=False)
class Densities:
    """For each feature positions by activation, as shares of its highest bar, 0 to 255.

    ``low`` and ``high`` are the activations at the ends; bars are of equal ratio.
    """

    heights: UInt8[np.ndarray, "feature bar"]
    low: float
    high: float

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.heights.nbytes


def densities(index: FeatureIndex) -> Densities:
    """The bars of all features; a file is read some thousand rows at a time."""
    held = index.arrays["histogram"]
    count, bins = held.shape
    starts = range(0, count, _ROWS_AT_ONCE)
    used = np.zeros(bins, bool)
    for start in starts:
        used |= np.asarray(held[start : start + _ROWS_AT_ONCE]).any(axis=0)
    places = np.flatnonzero(used)
    first, last = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)
    step = -(-(last - first) // BARS)
    cuts = np.arange(0, last - first, step)
    made = []
    for start in starts:
        part = np.asarray(held[start : start + _ROWS_AT_ONCE])[:, first:last]
        bars = np.add.reduceat(part, cuts, axis=1)
        most = np.maximum(bars.max(axis=1, keepdims=True), 1)
        made.append(np.ceil(255 * bars / most).astype(np.uint8))  # what is there is seen
    borders = np.concatenate([[0.0], BIN_EDGES, [np.inf]])
    high = borders[min(last, len(borders) - 2)]
    return Densities(np.concatenate(made), float(borders[first]), float(high))
