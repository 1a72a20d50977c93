"""A large cloud drawn on the processor: which point each pixel of a picture shows.

A million points take about 30 ms on one core, where software OpenGL takes seconds. The picture
of rows is the hit test too: what lies under the cursor is looked up, not searched.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

NOTHING = -1


def rows_on_screen(
    points: Float[np.ndarray, "4 point"],
    onto_screen: Float[np.ndarray, "4 4"],
    size: tuple[int, int],
    side: int = 2,
) -> Int[np.ndarray, "height width"]:
    """The point that each pixel of a picture of ``size`` (width, height) shows, -1 for none.

    ``points`` are homogeneous, ``onto_screen`` maps row vectors to pixels. A point is a square of
    ``side`` pixels; of several at one pixel any may be seen, which is fair in a shuffled cloud.
    """
    width, height = size
    x, y, near = projected(points, onto_screen)
    seen = near & (x >= 0) & (x < width - side) & (y >= 0) & (y < height - side)
    corner = np.where(seen, y.astype(np.int32) * width + x.astype(np.int32), width * height)
    corner = corner.astype(np.int32)
    # What is not seen lands behind the last pixel.
    found = np.full(width * height + side * (width + 1), NOTHING, np.int32)
    rows = np.arange(points.shape[1], dtype=np.int32)
    for down in range(side):
        for across in range(side):
            found[corner + (down * width + across)] = rows
    return found[: width * height].reshape(height, width)


def projected(
    points: Float[np.ndarray, "4 point"], onto_screen: Float[np.ndarray, "4 4"]
) -> tuple[
    Float[np.ndarray, " point"], Float[np.ndarray, " point"], np.ndarray
]:  # fmt: skip
    """Pixels across and down, and whether a point lies before the eye."""
    x, y, weight = onto_screen.T[[0, 1, 3]].astype(np.float32) @ points
    near = weight > 1e-6
    inverse = 1 / np.where(near, weight, np.float32(1))
    limit = np.float32(1e6)  # far outside, and still a whole number
    return np.clip(x * inverse, -limit, limit), np.clip(y * inverse, -limit, limit), near


def row_near(
    found: Int[np.ndarray, "height width"], at: tuple[float, float], reach: int
) -> int | None:
    """The point shown nearest to a pixel, within ``reach`` pixels; None when none is."""
    column, row = round(at[0]), round(at[1])
    top, left = max(row - reach, 0), max(column - reach, 0)
    around = found[top : max(row + reach + 1, 0), left : max(column + reach + 1, 0)]
    rows, columns = np.nonzero(around >= 0)
    if not len(rows):
        return None
    distance = np.hypot(rows + top - row, columns + left - column)
    best = int(distance.argmin())
    return int(around[rows[best], columns[best]]) if distance[best] <= reach else None
