"""What every drawing of the feature space offers, in 3-D or flat."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from PySide6.QtCore import QRect, Signal
from PySide6.QtWidgets import QWidget

from microtome_desktop.presenters.space import Space


class SpaceView(QWidget):
    """Draws a ``Space``; emits the point under the cursor (-1 for none) and the one clicked."""

    hovered = Signal(int)
    clicked = Signal(int)
    looked = Signal()  # the user has turned, moved or zoomed it

    def show_space(
        self, space: Space | None, colours: Float[np.ndarray, "point 4"] | None = None
    ) -> None:
        """Draw other points, or none; in other colours than the space's own where given."""
        raise NotImplementedError

    def place(self, space: Space) -> None:
        """Draw the same points at other places."""
        raise NotImplementedError

    def colour(self, colours: Float[np.ndarray, "point 4"]) -> None:
        """Draw the same points in other colours."""
        raise NotImplementedError

    def highlight(self, points: Int[np.ndarray, " some"]) -> None:
        """Mark points by row; the others stay as they are."""
        raise NotImplementedError

    def point_to(self, point: int | None) -> None:
        """Mark the point that keys point at, by row."""
        raise NotImplementedError

    def leave_free(self, part: QRect) -> None:
        """Put no names onto this part of the drawing, which something lies over."""

    def screen_places(self) -> Float[np.ndarray, "point 2"]:
        """Where the points lie, in pixels of the drawing."""
        raise NotImplementedError

    def surface(self) -> QWidget:
        """The widget that takes the mouse."""
        raise NotImplementedError

    def camera(self) -> dict[str, Any]:
        """From where it is looked at."""
        raise NotImplementedError

    def look(self, camera: dict[str, Any]) -> None:
        """Look from where another view is looked at; this is not told."""
        raise NotImplementedError

    def drawn_note(self) -> str:
        """How many of the points are drawn, empty when all are."""
        return ""
