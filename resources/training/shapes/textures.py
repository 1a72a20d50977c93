"""Four patterns that fill the whole picture, at any angle, width and contrast."""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from training.shapes.canvas import Canvas, Plane, Pose, two_greys

_Wave: TypeAlias = Callable[[Canvas, float, np.random.Generator], Plane]


def texture(name: str, rng: np.random.Generator) -> Plane:
    """Return a picture [row, column] of the pattern; its period is 5 to 9 pixels."""
    ground, value = two_greys(rng)
    canvas = Canvas(ground, Pose(rng.uniform(0, 2 * np.pi), 1, *rng.uniform(-0.5, 0.5, 2)))
    turns = 2 * np.pi / rng.uniform(0.32, 0.56)  # the phase after half a side
    level = TEXTURES[name](canvas, turns, rng)
    canvas.grey += np.clip(0.5 + level, 0, 1) * (value - ground)
    return canvas.grey


def _stripes(canvas: Canvas, turns: float, rng: np.random.Generator) -> Plane:
    level: Plane = rng.uniform(0.5, 1.5) * np.sin(turns * canvas.x)
    return level


def _checks(canvas: Canvas, turns: float, rng: np.random.Generator) -> Plane:
    grid = np.sin(0.8 * turns * canvas.x) * np.sin(0.8 * turns * canvas.y)
    level: Plane = rng.uniform(1.5, 2.5) * grid
    return level


def _dots(canvas: Canvas, turns: float, rng: np.random.Generator) -> Plane:
    grid = np.cos(turns * canvas.x) + np.cos(turns * canvas.y)
    level: Plane = rng.uniform(1, 1.6) * (grid - rng.uniform(0.9, 1.2))
    return level


def _waves(canvas: Canvas, turns: float, rng: np.random.Generator) -> Plane:
    bend = rng.uniform(0.12, 0.17) * np.sin(2 * np.pi / rng.uniform(0.6, 0.9) * canvas.y)
    level: Plane = rng.uniform(0.5, 1.5) * np.sin(turns * (canvas.x + bend))
    return level


TEXTURES: Final[dict[str, _Wave]] = {
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "waves": _waves,
}
