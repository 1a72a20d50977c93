"""Where the names of clusters stand: beside their points, not over them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_WAYS = np.array([
    (0, 0), (0, -1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1),
])  # fmt: skip
_STEPS = (1.0, 2.0, 3.5)  # in heights of a name, beyond its own size
_FAR = 0.4  # points that a name may cover rather than stand one step farther away


def names_beside(
    places: Float[np.ndarray, "name 2"],
    sizes: Float[np.ndarray, "name 2"],
    points: Float[np.ndarray, "point 2"],
    room: tuple[float, float],
    covered: Float[np.ndarray, "4"] | None = None,
) -> Float[np.ndarray, "name 2"]:
    """How far from the middle of its cluster each name is best moved, in pixels.

    Best is where a name covers the fewest points and no name before it, inside the room, and of
    equals what is nearest. ``places`` are the middles, ``sizes`` width and height of the names;
    middle and size of what lies over the drawing are ``covered``, and no name is put there.
    """
    shown = points[np.all((points >= 0) & (points <= room), axis=1)]
    taken: list[np.ndarray] = [] if covered is None else [covered]
    moves = np.zeros_like(places)
    for row, (place, size) in enumerate(zip(places, sizes, strict=True)):
        shifts = _shifts(size)
        costs = _costs(place + shifts, size, shown, taken, room)
        costs += _FAR * np.hypot(*shifts.T) / size[1]
        moves[row] = shifts[np.argmin(costs)]
        taken.append(np.array([*(place + moves[row]), *size]))
    return moves


def _shifts(size: Float[np.ndarray, "2"]) -> Float[np.ndarray, "way 2"]:
    """Where a name could go: onto the middle, or away from it in eight directions."""
    away = [_WAYS[1:] * (size / 2 + step * size[1]) for step in _STEPS]
    return np.concatenate([_WAYS[:1].astype(float), *away])


def _costs(
    centres: Float[np.ndarray, "way 2"],
    size: Float[np.ndarray, "2"],
    points: Float[np.ndarray, "point 2"],
    taken: list[np.ndarray],
    room: tuple[float, float],
) -> Float[np.ndarray, " way"]:
    """Points under a name at each of some places; far more where it cannot stand."""
    apart = np.abs(points[None] - centres[:, None])
    costs: Float[np.ndarray, " way"] = np.all(apart <= size / 2 + 3, axis=2).sum(axis=1) * 1.0
    outside = np.any((centres < size / 2) | (centres > room - size / 2), axis=1)
    costs[outside] += 1e6
    for box in taken:
        costs[np.all(np.abs(centres - box[:2]) < (size + box[2:]) / 2 + 2, axis=1)] += 1e5
    return costs
