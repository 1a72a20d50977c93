"""Six things, light on dark or dark on light."""

from collections.abc import Callable
from typing import Final

import numpy as np

from training.shapes.canvas import Canvas, Plane, Pose, two_greys


def thing(name: str, rng: np.random.Generator) -> Plane:
    """Return a picture [row, column] of the thing in a new pose and light."""
    ground, value = two_greys(rng)
    canvas = Canvas(ground, Pose.drawn(rng, 0.2, (0.8, 1.05), 0.12))
    THINGS[name](canvas, ground, value, rng)
    return canvas.grey


def _cup(canvas: Canvas, ground: float, value: float, rng: np.random.Generator) -> None:
    side = rng.choice((-1, 1))
    handle = np.abs(canvas.from_ellipse(side * 0.45, 0.05, 0.32, 0.3)) - 0.07
    canvas.paint(handle, value)
    narrowing = np.abs(canvas.x) - 0.5 + 0.12 * (canvas.y + 0.5)
    canvas.paint(np.maximum(narrowing, np.abs(canvas.y - 0.05) - 0.55), value)
    canvas.ellipse(0, -0.48, 0.5, 0.12, (ground + value) / 2)


def _house(canvas: Canvas, ground: float, value: float, rng: np.random.Generator) -> None:
    width = rng.uniform(0.5, 0.62)
    canvas.box(0, 0.35, width, 0.45, value)
    canvas.triangle(((-width - 0.15, -0.1), (0, -0.8), (width + 0.15, -0.1)), value)
    canvas.box(rng.choice((-0.2, 0.2)), 0.5, 0.12, 0.3, ground)


def _car(canvas: Canvas, ground: float, value: float, rng: np.random.Generator) -> None:
    shift = rng.uniform(-0.12, 0.12)
    canvas.box(0, 0.18, 0.85, 0.22, value)
    canvas.box(shift, -0.2, 0.45, 0.22, value)
    canvas.box(shift - 0.2, -0.18, 0.14, 0.12, ground)
    canvas.box(shift + 0.2, -0.18, 0.14, 0.12, ground)
    for x in (-0.48, 0.48):
        canvas.ellipse(x, 0.45, 0.22, 0.22, (ground + value) / 2)
        canvas.ellipse(x, 0.45, 0.1, 0.1, ground)


def _tree(canvas: Canvas, ground: float, value: float, rng: np.random.Generator) -> None:
    canvas.box(0, 0.55, rng.uniform(0.09, 0.14), 0.4, (ground + 2 * value) / 3)
    for x, y in ((-0.3, -0.1), (0.3, -0.1), (0, -0.45)):
        canvas.ellipse(x + rng.uniform(-0.06, 0.06), y, 0.36, 0.36, value)


def _clock(canvas: Canvas, ground: float, value: float, rng: np.random.Generator) -> None:
    canvas.ellipse(0, 0, 0.78, 0.78, value)
    canvas.paint(np.abs(canvas.from_ellipse(0, 0, 0.62, 0.62)) - 0.04, ground)
    for length in (0.32, 0.5):
        angle = rng.uniform(0, 2 * np.pi)
        canvas.line((0, 0), (length * np.cos(angle), length * np.sin(angle)), 0.11, ground)


def _fish(canvas: Canvas, ground: float, value: float, rng: np.random.Generator) -> None:
    side = rng.choice((-1, 1))
    canvas.ellipse(-0.1 * side, 0, 0.58, rng.uniform(0.3, 0.38), value)
    tip, back = 0.35 * side, 0.9 * side
    corners = ((tip, 0.0), (back, -0.38), (back, 0.38))
    canvas.triangle(corners if side > 0 else corners[::-1], value)
    canvas.ellipse(-0.42 * side, -0.08, 0.08, 0.08, ground)


THINGS: Final[dict[str, Callable[[Canvas, float, float, np.random.Generator], None]]] = {
    "cup": _cup,
    "house": _house,
    "car": _car,
    "tree": _tree,
    "clock": _clock,
    "fish": _fish,
}
