"""What a map with labelled rows and columns is drawn from, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A map to draw: ``values`` [row, column], row 0 at the bottom.

    ``rows`` and ``columns`` label the axes, ``layers`` gives the model layer of each row (-1 for
    the embeddings). ``signed`` values are coloured around zero. ``texts`` holds a word for each
    cell, shown under the cursor. ``coarser`` are the values at half the cells a side, a quarter
    and so on, for a map with more cells than a screen has pixels.
    """

    values: Float[np.ndarray, "row column"]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    layers: tuple[int, ...]
    low: float
    high: float
    signed: bool
    units: str
    title: str
    logarithmic: bool = False
    texts: NDArray[np.str_] | None = None
    coarser: tuple[Float[np.ndarray, "_ _"], ...] = ()

    def describe(self, row: int, column: int) -> str:
        """What stands under the cursor, as plain text."""
        value = self.values[row, column]
        # A rank of a million must not read as 1e+06.
        number = f"{value:.0f}" if self.logarithmic else f"{value:.4g}"
        said = f"{self.rows[row]} · {column} {self.columns[column]} · {number} {self.units}"
        return said if self.texts is None else f"{said} · top {self.texts[row, column]}"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is nothing to draw."""

    reason: str
