"""One thing at a time on the GUI thread, so that a burst of them never keeps the mouse waiting."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from PySide6.QtCore import QObject, QTimer, Slot
from shiboken6 import isValid


class Turns(QObject):
    """Gives each act a turn of the event loop, in the order asked for.

    Between two turns Qt handles input, timers and painting. An act that is asked for again under
    the same key before its turn came takes place once.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: dict[Hashable, Callable[[], None]] = {}
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._take_one)

    @property
    def idle(self) -> bool:
        """Whether every act has had its turn."""
        return not self._waiting

    def ask(self, key: Hashable, act: Callable[[], None]) -> None:
        """Act at a turn to come; once for all that ask under this key until then."""
        self._waiting.setdefault(key, act)
        self._timer.start()

    def finish(self) -> None:
        """Take all turns now, those that come up meanwhile too."""
        while self._waiting:
            self._take_one()

    @Slot()
    def _take_one(self) -> None:
        if self._waiting:
            key = next(iter(self._waiting))
            act = self._waiting.pop(key)
            owner = getattr(act, "__self__", None)
            if not isinstance(owner, QObject) or isValid(owner):  # else its panel was replaced
                act()
        if not self._waiting:
            self._timer.stop()
