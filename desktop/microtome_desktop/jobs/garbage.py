"""Looks for garbage in the GUI thread alone: what Qt made there must end there.

Python looks for reference cycles in whichever thread happens to allocate. In a worker's it takes
widgets and timers apart that belong to the GUI thread, and Qt ends the process: with a thread that
collects all the time, the tests of the window abort within seconds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import ClassVar

from PySide6.QtCore import QObject, QTimer, Slot

_EVERY_MS = 200
# A look at everything takes 0.3 s once torch is there. As Python does it comes when the old have
# grown by a quarter, and not while the program starts.
_GROWN = 0.25
_FEWEST = 100_000
_REST_S = 30.0


class GarbageCollector(QObject):
    """Collects by a timer of the thread it lives in, while Python itself does not.

    Young objects are looked at as soon as Python would, the old ones when ``_GROWN`` says so.
    Several may live at a time, one a window; with the last of them Python collects again.
    """

    _living: ClassVar[int] = 0

    def __init__(
        self, parent: QObject | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._old, self._added = 0, 0  # objects: at the last look at all, and come of age since
        self._looked = clock()
        self._timer = QTimer(self, interval=_EVERY_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()
        self._ended = False
        GarbageCollector._living += 1
        gc.disable()

    @Slot()
    def collect(self) -> None:
        """Look at the objects whose turn it is."""
        young, grown, _ = gc.get_count()
        first, second, _ = gc.get_threshold()
        if self._due:
            self._all()
        elif grown > second:
            of_age = len(gc.get_objects(0)) + len(gc.get_objects(1))
            self._added += of_age - gc.collect(1)
        elif young > first:
            gc.collect(0)

    @property
    def _due(self) -> bool:
        enough = self._added > max(_FEWEST, self._old * _GROWN)
        return enough and self._clock() - self._looked > _REST_S

    def _all(self) -> None:
        gc.collect()
        self._old, self._added = len(gc.get_objects(2)), 0
        self._looked = self._clock()

    def end(self) -> None:
        """The threads of this window have ended."""
        if not self._ended:
            self._ended = True
            self._timer.stop()
            GarbageCollector._living -= 1
            if not GarbageCollector._living:
                gc.enable()
