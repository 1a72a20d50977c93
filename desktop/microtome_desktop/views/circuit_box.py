"""The view box of the circuit: drags move it, and with Shift a rubber band selects."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt, Signal


class CircuitBox(pg.ViewBox):
    """A view box that never distorts; ``banded`` tells the selected rectangle of the layout."""

    banded = Signal(QRectF)

    def __init__(self) -> None:
        super().__init__(lockAspect=True, enableMenu=False, defaultPadding=0)

    def mouseDragEvent(self, ev: Any, axis: Any = None) -> None:
        """Shift and the left button draw the band; any other drag moves the view."""
        shift = ev.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if ev.button() != Qt.MouseButton.LeftButton or not shift:
            super().mouseDragEvent(ev, axis)
            return
        ev.accept()
        start, here = ev.buttonDownPos(ev.button()), ev.pos()
        if not ev.isFinish():
            self.updateScaleBox(start, here)
            return
        self.rbScaleBox.hide()
        corners = self.mapToView(start), self.mapToView(here)
        self.banded.emit(QRectF(*corners).normalized())
