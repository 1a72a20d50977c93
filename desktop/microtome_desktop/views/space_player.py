"""Walking through the layers of a site: points move on, layer after layer."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from microtome_desktop.presenters.space import Space
from microtome_desktop.presenters.space_film import between
from microtome_desktop.views.space_pane import SpacePane

_FRAME_MS = 33
_WAY_SECONDS = 0.6  # from one layer to the next
_HOLD_MS = 450  # at a layer, before the next


class Movement(QObject):
    """Moves the points of one pane from where they are to where another layer has them."""

    arrived = Signal()

    def __init__(self, pane: SpacePane, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(pane)
        self._pane, self._clock = pane, clock
        self._way: Callable[[float], Space] | None = None
        self._end: Space | None = None
        self._started = 0.0
        self._timer = QTimer(self, interval=_FRAME_MS)
        self._timer.timeout.connect(self._step)

    @property
    def active(self) -> bool:
        """Whether points are on their way."""
        return self._timer.isActive()

    @property
    def end(self) -> Space | None:
        """Where the points are going, None at rest."""
        return self._end

    def go(self, end: Space, tint: Callable[[Space], object]) -> None:
        """Move there from what is drawn now; ``tint`` gives the colours of a drawing."""
        start = self._pane.drawing
        if start is None:
            return
        self._way, self._end = between(start, end), end
        first = self._way(0.0)
        self._pane.show_space(first, tint(first))  # type: ignore[arg-type]
        self._started = self._clock()
        self._timer.start()

    def drop(self) -> None:
        """Stop where it is: something else is drawn."""
        self._timer.stop()
        self._way, self._end = None, None

    def _step(self) -> None:
        share = (self._clock() - self._started) / _WAY_SECONDS
        if self._way is None or share >= 1:
            self._finish()
        else:
            self._pane.drawing = self._way(share)
            self._pane.view.place(self._pane.drawing)

    def _finish(self) -> None:
        self._timer.stop()
        if self._end is not None:
            self._pane.drawing = self._end
            self._pane.view.place(self._end)
        self._way, self._end = None, None
        self.arrived.emit()


class Player(QObject):
    """Goes on to the next layer whenever one was shown long enough."""

    layer_wanted = Signal(int)
    stopped = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._next, self._last = 0, 0
        self._hold = QTimer(self, singleShot=True, interval=_HOLD_MS)
        self._hold.timeout.connect(self._on_held)
        self.playing = False

    def play(self, now: int, last: int) -> None:
        """Go from here to the last layer, or from the first when this is the last."""
        self._last, self.playing = last, True
        self._next = 0 if now >= last else now + 1
        self._on_held()

    def shown(self, layer: int) -> None:
        """A layer has arrived on screen."""
        if not self.playing or layer != self._next:
            return
        if layer >= self._last:
            self.stop()
            return
        self._next = layer + 1
        self._hold.start()

    def skip(self) -> None:
        """Leave out a layer that cannot be shown."""
        layer = self._next
        self.shown(layer)

    def stop(self) -> None:
        """Stay where it is."""
        self._hold.stop()
        if self.playing:
            self.playing = False
            self.stopped.emit()

    def _on_held(self) -> None:
        if self.playing:
            self.layer_wanted.emit(self._next)
