"""Where one head of a long prompt looks, at several resolutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_THUMBNAIL = 96  # cells a side of the small maps of all heads
_COARSEST = 512  # cells a side below which nothing is gained by another resolution


@dataclass(frozen=True, slots=True, eq=False)
class HeadPattern:
    """The attention pattern of one head, and small maps of all heads of its layer.

    Keys are as many as queries, or those of another text. ``values`` are exact. ``coarser`` halve
    them again and again, and a cell of ``heads`` covers as much as makes the map small; each cell
    holds the largest value that it covers, so that a single strong key stays visible.
    """

    layer: int
    head: int
    values: Float[np.ndarray, "query key"]
    coarser: tuple[Float[np.ndarray, "_ _"], ...]
    heads: Float[np.ndarray, "head row column"]

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(held.nbytes for held in (self.values, *self.coarser, self.heads))


def halved(values: Float[np.ndarray, "*_ query key"]) -> Float[np.ndarray, "*_ row column"]:
    """Half the cells a side, each the largest of the four that it covers (fewer at the ends)."""
    odd = [(0, length % 2) for length in values.shape[-2:]]
    if any(more for _, more in odd):
        values = np.pad(values, [*[(0, 0)] * (values.ndim - 2), *odd], mode="edge")
    rows = np.maximum(values[..., ::2, :], values[..., 1::2, :])
    return np.asarray(np.maximum(rows[..., ::2], rows[..., 1::2]))


def thumbnails(
    patterns: Float[np.ndarray, "*_ query key"],
) -> Float[np.ndarray, "*_ row column"]:
    """Maps of at most 96 cells a side."""
    while max(patterns.shape[-2:]) > _THUMBNAIL:
        patterns = halved(patterns)
    return patterns


def resolutions(values: Float[np.ndarray, "query key"]) -> tuple[Float[np.ndarray, "_ _"], ...]:
    """The map at half the cells a side, a quarter, and so on down to 512."""
    coarser: list[np.ndarray] = []
    finest = values
    while max(finest.shape) > _COARSEST:
        finest = halved(finest)
        coarser.append(finest)
    return tuple(coarser)
