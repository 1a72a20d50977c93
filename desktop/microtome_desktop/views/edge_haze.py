"""Very many curves as one haze: how much of each colour lies on each pixel.

A pen takes a fifth of a millisecond a curve, so that two hundred thousand would take half a
minute, and among so many no single faint one can be seen. Here curves are walked in steps of a
pixel, those of one length together, and their opacities added up; what covers a pixel is one minus
the product of what each lets through, as if they had been painted one over another.

What lowers is cut by thin level lines, as the bar does it across a single edge: a stretch that is
mostly of such edges is seen to be hatched whatever its colour.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage

from microtome_desktop.presenters.circuit_curves import LOWERS, N_HUES, curve_boxes, hue_colour

_AT_ONCE = 40_000  # places of curves that are walked before the clock is asked
_ROUND, _LONGEST = 32, 2048  # steps along a curve: a multiple, so that many are walked together
_SAMPLED = 7  # of how many pixels one is looked at
_THICK, _DENSEST = 0.98, 0.9  # the share of covered pixels that no more than so much may cover
_STRIP = 96  # rows of pixels that are coloured at a time
HATCH, _CUT, _LEFT = 6, 2, 0.2  # from line to line, the width of one, and what it leaves


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some of the curves: their control points in pixels of the picture, opacities and hues."""

    points: Float[np.ndarray, "edge 4 2"]
    opacity: Float[np.ndarray, " edge"]
    hue: Int[np.ndarray, " edge"]


class Haze:
    """A picture in the making: ``step`` until it is complete, then ``image``."""

    def __init__(
        self,
        blocks: Iterator[Block],
        hues: Int[np.ndarray, " hue"],
        width: int,
        height: int,
        ratio: float = 1.0,
    ) -> None:
        """``hues`` are all that the blocks hold; the picture has this size in its own pixels."""
        self._blocks, self._hues = blocks, hues
        self._width, self._height = width, height
        self._lets = hatching(height, ratio)
        self._cover = np.zeros((len(hues), height * width), np.float32)
        self._pixels = np.zeros((height, width, 4), np.uint8)
        self._waiting: list[_Portion] = []
        self._next_row = 0

    @property
    def complete(self) -> bool:
        """Whether all of it is walked and coloured."""
        return self._next_row >= self._height

    def step(self, seconds: float) -> None:
        """Go on for about so long."""
        deadline = time.perf_counter() + seconds
        while not self.complete and time.perf_counter() < deadline:
            if self._waiting:
                self._walk(self._waiting.pop())
            elif (block := next(self._blocks, None)) is not None:
                self._take(block)
            else:
                self._colour()

    def image(self) -> QImage:
        """The pixels; those of curves that nothing lets through are opaque."""
        form = QImage.Format.Format_ARGB32_Premultiplied
        picture = QImage(self._pixels.data, self._width, self._height, 4 * self._width, form)
        return picture.copy()  # owns its pixels

    def _take(self, block: Block) -> None:
        self._points, self._opacity = block.points, block.opacity
        self._length = _length(block.points)
        left, low, right, high = curve_boxes(block.points).T
        inside = (left >= 0) & (low >= 0) & (right < self._width - 1) & (high < self._height - 1)
        self._waiting = _portions(self._length, np.searchsorted(self._hues, block.hue), inside)

    def _walk(self, portion: _Portion) -> None:
        t = np.linspace(0, 1, portion.steps, dtype=np.float32)
        weights = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
        points = self._points[portion.rows].astype(np.float32)  # some 4 2
        x, y = (np.ravel(points[..., axis] @ weights) for axis in (0, 1))
        # A step gives its part of the way, which is a pixel or less.
        depth = -np.log1p(-self._opacity[portion.rows]) * self._length[portion.rows] / portion.steps
        amount = np.repeat(depth.astype(np.float32), portion.steps)
        if not portion.inside:
            wanted = (x >= 0) & (x < self._width) & (y >= 0) & (y < self._height)
            x, y, amount = x[wanted], y[wanted], amount[wanted]
        at = y.astype(np.int32) * self._width + x.astype(np.int32)
        np.add.at(self._cover[portion.hue], at, amount)

    def _colour(self) -> None:
        if not self._next_row:
            self._thin()
        rows = slice(self._next_row, min(self._next_row + _STRIP, self._height))
        self._next_row += _STRIP
        cover = self._cover.reshape(-1, self._height, self._width)[:, rows]
        cover[self._hues == LOWERS] *= self._lets[rows, None]
        total = cover.sum(axis=0)
        opacity = 1 - np.exp(-total)
        parts = [QColor(hue_colour(hue)) for hue in self._hues.tolist()]
        # Blue, green, red: as little-endian words lie.
        paint = np.array([[c.blue(), c.green(), c.red()] for c in parts], np.float32)
        mixed = np.tensordot(cover / np.maximum(total, 1e-12), paint, axes=(0, 0))
        self._pixels[rows, :, :3] = mixed * opacity[..., None]
        self._pixels[rows, :, 3] = 255 * opacity

    def _thin(self) -> None:
        """Where nearly all would be opaque, let through as much as shows what lies thickest."""
        total = self._cover.sum(axis=0)[::_SAMPLED]
        thick = float(np.quantile(total[total > 0], _THICK)) if total.any() else 0.0
        if thick > _DENSEST:
            self._cover *= _DENSEST / thick


def hatching(height: int, ratio: float) -> Float[np.ndarray, " row"]:
    """How much of an edge that lowers is left in each row of pixels."""
    row = np.arange(height) % max(round(HATCH * ratio), 2)
    return np.where(row < max(round(_CUT * ratio), 1), _LEFT, 1.0).astype(np.float32)


def _length(points: Float[np.ndarray, "edge 4 2"]) -> Float[np.ndarray, " edge"]:
    """About how long curves are: between their chord and the way along their control points."""
    legs = np.diff(points, axis=1)
    chord = points[:, 3] - points[:, 0]
    way = np.hypot(legs[..., 0], legs[..., 1]).sum(axis=1)
    return np.asarray((way + np.hypot(chord[:, 0], chord[:, 1])) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Portion:
    """Curves that need as many steps, have one hue, and lie inside the picture or may not."""

    rows: NDArray[np.int64]
    steps: int
    hue: int
    inside: bool


def _portions(
    length: Float[np.ndarray, " edge"],
    hue: Int[np.ndarray, " edge"],
    inside: Bool[np.ndarray, " edge"],
) -> list[_Portion]:
    steps = np.clip(np.ceil(length / _ROUND) * _ROUND, _ROUND, _LONGEST).astype(np.int64)
    key = 2 * (N_HUES * steps + hue) + inside
    order = np.argsort(key, kind="stable")
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        first = int(rows[0])
        count, at_once = int(steps[first]), max(1, _AT_ONCE // int(steps[first]))
        for at in range(0, len(rows), at_once):
            part = rows[at : at + at_once]
            found.append(_Portion(part, count, int(hue[first]), bool(inside[first])))
    return found
