"""Painted things in a row, one of which is chosen by the arrow keys as well as by a click."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

_KEY = Qt.Key
_ENDS = {_KEY.Key_Home: 0, _KEY.Key_End: -1}


class Stepping(QWidget):
    """Takes Left, Right, Home and End, and Up and Down where there are rows."""

    def count(self) -> int:
        """How many things there are."""
        raise NotImplementedError

    def current(self) -> int | None:
        """Which one is chosen."""
        raise NotImplementedError

    def step_to(self, index: int) -> None:
        """Choose another one."""
        raise NotImplementedError

    def rise(self) -> int:
        """How many things further the one above is; 0 where all are side by side."""
        return 0

    def after(self, key: int) -> int | None:
        """Which one a key leads to, None where it leads nowhere."""
        count, rise = self.count(), self.rise()
        steps = {_KEY.Key_Left: -1, _KEY.Key_Right: 1}
        steps |= {_KEY.Key_Up: rise, _KEY.Key_Down: -rise} if rise else {}
        pressed = _KEY(key)
        if not count or pressed not in (*steps, *_ENDS):
            return None
        if pressed in _ENDS:
            return _ENDS[pressed] % count
        at = self.current()
        return 0 if at is None else min(max(at + steps[pressed], 0), count - 1)

    def event(self, event: QEvent) -> bool:
        """Such keys are ours while we have the keyboard, whatever they are for what is around."""
        override = event.type() == QEvent.Type.ShortcutOverride
        if override and isinstance(event, QKeyEvent) and self._is_ours(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go one further, or to an end."""
        index = self.after(event.key()) if self._is_ours(event) else None
        if index is None:
            super().keyPressEvent(event)
        elif index != self.current():  # a click on the chosen one may let it go
            self.step_to(index)

    def _is_ours(self, event: QKeyEvent) -> bool:
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        return plain and self.after(event.key()) is not None
