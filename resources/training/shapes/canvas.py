"""A grey picture on which shapes are painted with soft edges, in coordinates that can be turned."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.float64]

SIDE: Final = 32
_STEPS: Final = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
_COLUMNS, _ROWS = np.meshgrid(_STEPS, _STEPS)
_PIXEL: Final = 2 / SIDE


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a thing stands: turned by ``angle`` (radians), scaled, then shifted (half sides)."""

    angle: float
    scale: float
    right: float
    down: float

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        angle: float,
        scale: tuple[float, float],
        shift: float,
    ) -> "Pose":
        """Return a random pose: any angle up to ``angle``, any shift up to ``shift``."""
        return cls(
            rng.uniform(-angle, angle),
            rng.uniform(*scale),
            rng.uniform(-shift, shift),
            rng.uniform(-shift, shift),
        )


class Canvas:
    """A picture [row, column] of grey values around 0 to 1, painted from the back to the front.

    ``x`` and ``y`` are the thing's own coordinates of every pixel: from -1 (left, top)
    to 1 where it is neither turned, scaled nor shifted.
    """

    def __init__(self, ground: float, pose: Pose) -> None:
        x, y = _COLUMNS - pose.right, _ROWS - pose.down
        cosine, sine = np.cos(pose.angle), np.sin(pose.angle)
        self.x: Plane = (cosine * x + sine * y) / pose.scale
        self.y: Plane = (cosine * y - sine * x) / pose.scale
        self.grey: Plane = np.full((SIDE, SIDE), ground)
        self._pixel = _PIXEL / pose.scale

    def paint(self, distance: Plane, value: float) -> None:
        """Paint where ``distance`` is negative; an edge is a pixel wide."""
        cover = np.clip(0.5 - distance / self._pixel, 0, 1)
        self.grey += cover * (value - self.grey)

    def ellipse(self, x: float, y: float, across: float, down: float, value: float) -> None:
        """Paint an ellipse around (x, y) with these half axes."""
        self.paint(self.from_ellipse(x, y, across, down), value)

    def from_ellipse(self, x: float, y: float, across: float, down: float) -> Plane:
        """Return about how far each pixel lies outside an ellipse; inside is negative."""
        radius = np.hypot((self.x - x) / across, (self.y - y) / down)
        distance: Plane = (radius - 1) * min(across, down)
        return distance

    def from_box(self, x: float, y: float, across: float, down: float) -> Plane:
        """Return how far each pixel lies outside a box with these half sides."""
        distance: Plane = np.maximum(np.abs(self.x - x) - across, np.abs(self.y - y) - down)
        return distance

    def box(self, x: float, y: float, across: float, down: float, value: float) -> None:
        """Paint an upright box around (x, y) with these half sides."""
        self.paint(self.from_box(x, y, across, down), value)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], width: float, value: float
    ) -> None:
        """Paint a line with round ends, of half the width to each side."""
        (x, y), along = start, (end[0] - start[0], end[1] - start[1])
        length = along[0] ** 2 + along[1] ** 2
        share = np.clip(((self.x - x) * along[0] + (self.y - y) * along[1]) / length, 0, 1)
        away = np.hypot(self.x - x - share * along[0], self.y - y - share * along[1])
        self.paint(away - width / 2, value)

    def curve(self, points: Sequence[tuple[float, float]], width: float, value: float) -> None:
        """Paint lines from point to point."""
        for start, end in pairwise(points):
            self.line(start, end, width, value)

    def triangle(self, corners: Sequence[tuple[float, float]], value: float) -> None:
        """Paint a triangle whose corners are named clockwise as seen (y goes down)."""
        sides = zip(corners, (*corners[1:], corners[0]), strict=True)
        distances = [self._beyond(start, end) for start, end in sides]
        self.paint(np.maximum.reduce(distances), value)

    def _beyond(self, start: tuple[float, float], end: tuple[float, float]) -> Plane:
        """Return how far each pixel lies to the left of a directed side."""
        across, down = end[0] - start[0], end[1] - start[1]
        cross = (self.x - start[0]) * down - (self.y - start[1]) * across
        distance: Plane = cross / np.hypot(across, down)
        return distance


def finished(grey: Plane, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return the picture [row, column] under slanting light, with noise, in whole grey steps."""
    direction, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.25)
    slope = np.cos(direction) * _COLUMNS + np.sin(direction) * _ROWS
    lit = grey * (1 + strength * slope) + rng.normal(0, rng.uniform(0.01, 0.05), grey.shape)
    whole: npt.NDArray[np.uint8] = np.round(np.clip(lit, 0, 1) * 255).astype(np.uint8)
    return whole


def two_greys(rng: np.random.Generator, least: float = 0.35) -> tuple[float, float]:
    """Return the grey of the ground and of what is on it, at least ``least`` apart, either way."""
    apart = rng.uniform(least, 0.85)
    low = rng.uniform(0.05, 0.95 - apart)
    return (low, low + apart) if rng.random() < 0.5 else (low + apart, low)
