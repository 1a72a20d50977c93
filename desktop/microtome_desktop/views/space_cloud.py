"""Very many points as a picture that the processor draws, and the point under the cursor."""

from __future__ import annotations

import time

import numpy as np
from jaxtyping import Float
from PySide6.QtGui import QColor, QImage

from microtome_desktop.presenters.space_pixels import row_near, rows_on_screen

_FRAME_SECONDS = 0.055  # what turning may cost; a slower machine draws a fair sample
_LEAST = 20_000
_REACH = 6  # pixels around the cursor


class PixelCloud:
    """Draws points one over the other in their order, which a ``Space`` of many has shuffled."""

    def __init__(self, card: str) -> None:
        self._card = QColor(card)
        self._points = np.zeros((4, 0), np.float32)
        self._tints = np.zeros(1, np.uint32)
        self._rows = np.zeros((0, 0), np.int32)
        self.limit = 0  # points that a frame has time for

    @property
    def drawn(self) -> int:
        """How many points the next frame shows."""
        return min(self.limit, self._points.shape[1])

    def set_points(self, points: Float[np.ndarray, "point 3"]) -> None:
        """Other points, or other places of the same."""
        if len(points) != self._points.shape[1]:
            self.limit = len(points)
        held = np.ones((4, len(points)), np.float32)
        held[:3] = points.T
        self._points = held

    def set_colours(self, colours: Float[np.ndarray, "point 4"]) -> None:
        """Other colours of the same points, mixed with the ground by their opacity."""
        card = self._card
        ground = np.array([card.redF(), card.greenF(), card.blueF()], np.float32)
        held = colours.astype(np.float32, copy=False)
        mixed = ground + (held[:, :3] - ground) * held[:, 3:]
        red, green, blue = (mixed * 255 + 0.5).astype(np.uint32).T
        self._tints = np.empty(len(held) + 1, np.uint32)
        self._tints[:-1] = 0xFF000000 | (red << 16) | (green << 8) | blue
        self._tints[-1] = self._card.rgb()  # where there is no point

    def draw(
        self, onto_screen: Float[np.ndarray, "4 4"], width: int, height: int, ratio: float
    ) -> QImage:
        """The picture, ``ratio`` pixels for one of the view."""
        started = time.perf_counter()
        scale = np.diag([ratio, ratio, 1.0, 1.0])
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        side = max(1, round(2 * ratio))
        drawn = self.drawn
        self._rows = rows_on_screen(self._points[:, :drawn], onto_screen @ scale, size, side)
        pixels = self._tints[self._rows]
        image = QImage(pixels.data, *size, 4 * size[0], QImage.Format.Format_RGB32).copy()
        image.setDevicePixelRatio(ratio)
        took = max(time.perf_counter() - started, 1e-4)
        wanted = int(drawn * _FRAME_SECONDS / took)
        # Slowly upward, at once downward: the turn must not stutter.
        self.limit = max(_LEAST, min(wanted, max(self.limit, drawn) * 5 // 4))
        return image

    def row_at(self, place: tuple[float, float], ratio: float) -> int:
        """The point that is seen near a place of the view, -1 for none."""
        at = (place[0] * ratio, place[1] * ratio)
        found = row_near(self._rows, at, round(_REACH * ratio))
        return -1 if found is None else found
