"""What every drawing of the feature space offers, in 3-D or flat."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from microtome_desktop.presenters.space import Space


class SpaceView(QWidget):
    """Draws a ``Space``; emits the point under the cursor (-1 for none) and the one clicked."""

    hovered = Signal(int)
    clicked = Signal(int)

    def show_space(self, space: Space | None) -> None:
        """Draw other points, or none."""
        raise NotImplementedError

    def highlight(self, points: np.ndarray) -> None:
        """Mark points by row; the others stay as they are."""
        raise NotImplementedError

    def screen_places(self) -> np.ndarray:
        """Where the points lie [point, 2], in pixels of the drawing."""
        raise NotImplementedError

    def surface(self) -> QWidget:
        """The widget that takes the mouse."""
        raise NotImplementedError

    def drawn_note(self) -> str:
        """How many of the points are drawn, empty when all are."""
        return ""
