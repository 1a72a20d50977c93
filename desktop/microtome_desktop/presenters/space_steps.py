"""From one point of the feature space to another: in their order, or across the screen."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome_desktop.presenters.space import Space, keys

_LEAST_PIXELS = 1.0  # a point that lies nearer lies at the same place
_ASIDE = 2.0  # what a pixel aside costs, of one ahead


def at_end(drawing: Space, end: int) -> int:
    """The first point by prompt and position (0), or the last one (-1)."""
    return int(drawing.by_key[end])


def further(drawing: Space, row: int, step: int) -> int:
    """The point so many further by prompt and position; the first and the last are the ends."""
    key = keys(drawing.prompts[row : row + 1], drawing.positions[row : row + 1])[0]
    low = int(np.searchsorted(drawing.ordered, key, "left"))
    high = int(np.searchsorted(drawing.ordered, key, "right"))
    at = low + int(np.flatnonzero(drawing.by_key[low:high] == row)[0])
    return int(drawing.by_key[min(max(at + step, 0), len(drawing.by_key) - 1)])


def toward(
    places: Float[np.ndarray, "point 2"], row: int, way: tuple[int, int], room: tuple[int, int]
) -> int:
    """The nearest point on screen to one side of another: left (-1, 0), down (0, 1) and so on.

    A side is a quarter of the plane. The point itself where there is none.
    """
    apart = places - places[row]
    along, aside = apart @ np.array(way), np.abs(apart @ np.array([-way[1], way[0]]))
    there = in_view(places, room) & (along >= _LEAST_PIXELS) & (along >= aside)
    rows = np.flatnonzero(there)
    return int(rows[np.argmin(along[rows] + _ASIDE * aside[rows])]) if len(rows) else row


def in_view(
    places: Float[np.ndarray, "point 2"], room: tuple[int, int]
) -> Bool[np.ndarray, " point"]:
    """Which places lie on a screen of this size."""
    return np.asarray(np.all((places >= 0) & (places < np.array(room)), axis=1))


def alike(drawing: Space, row: int) -> Int[np.ndarray, " point"]:
    """The points that have a point's colour, and so its task, token, cluster or whatever it says.

    Of kinds that share the grey of the small ones all.
    """
    return np.flatnonzero(np.all(drawing.colours == drawing.colours[row], axis=1))


def same_points(one: Space | None, other: Space | None) -> bool:
    """Whether each row is the same point in both."""
    if one is None or other is None:
        return False
    pairs = ((one.prompts, other.prompts), (one.positions, other.positions))
    named = (one.features, one.images, one.of) == (other.features, other.images, other.of)
    return named and all(a is b or np.array_equal(a, b) for a, b in pairs)
