"""Patches of an image as a grid: which position of a run lies where in the image."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from microtome.records.trace import Trace

_PLACE = re.compile(r"(\d+),(\d+)")


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """Rows and columns of patches, behind ``leading`` positions that lie nowhere in the image."""

    leading: int
    rows: int
    columns: int

    def position(self, row: int, column: int, size: tuple[int, int]) -> int:
        """The position whose patch holds a pixel of an image of ``size`` (rows, columns)."""
        down, across = row * self.rows // size[0], column * self.columns // size[1]
        return self.leading + down * self.columns + across

    def part(self, position: int, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """Row, column, rows and columns of a position's patch in pixels; None outside of it."""
        at = position - self.leading
        if not 0 <= at < self.rows * self.columns:
            return None
        down, across = divmod(at, self.columns)
        top, below = (-(-one * size[0] // self.rows) for one in (down, down + 1))
        left, right = (-(-one * size[1] // self.columns) for one in (across, across + 1))
        return top, left, below - top, right - left

    def map(
        self, values: Float[np.ndarray, " position"]
    ) -> Float[np.ndarray, "rows columns"] | None:
        """The values of the patches; None where there are none."""
        held = values[self.leading :].reshape(self.rows, self.columns)
        return np.nan_to_num(held).astype(np.float32) if np.isfinite(held).any() else None


def patch_grid(run: Trace | None) -> PatchGrid | None:
    """The grid of a run on an image; None for texts, and where the image is one token."""
    if run is None or run.image is None:
        return None
    places = [_PLACE.fullmatch(text) for text in run.tokens]
    leading = next((at for at, found in enumerate(places) if found), None)
    last = places[-1]
    if leading is None or last is None:
        return None
    grid = PatchGrid(leading, int(last[1]) + 1, int(last[2]) + 1)
    return grid if len(places) == leading + grid.rows * grid.columns else None
