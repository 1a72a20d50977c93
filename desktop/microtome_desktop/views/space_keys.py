"""Choosing points of the feature space by keys: a pointer that goes from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QCursor, QFocusEvent, QKeyEvent

from microtome_desktop.presenters.point_groups import Pick
from microtome_desktop.presenters.space import Space
from microtome_desktop.presenters.space_steps import alike, at_end, further, in_view, toward
from microtome_desktop.views.space_view import SpaceView

_KEY, _MODIFIER, _REASON = Qt.Key, Qt.KeyboardModifier, Qt.FocusReason
_NO, _SHIFT, _CTRL = _MODIFIER.NoModifier, _MODIFIER.ShiftModifier, _MODIFIER.ControlModifier
_MANY = 20
_STEPS = {
    (_KEY.Key_N, _NO): 1, (_KEY.Key_N, _SHIFT): -1,
    (_KEY.Key_PageDown, _NO): _MANY, (_KEY.Key_PageUp, _NO): -_MANY,
}  # fmt: skip
_ENDS = {(_KEY.Key_Home, _NO): 0, (_KEY.Key_End, _NO): -1}
_WAYS = {
    (_KEY.Key_Left, _CTRL): (-1, 0), (_KEY.Key_Right, _CTRL): (1, 0),
    (_KEY.Key_Up, _CTRL): (0, -1), (_KEY.Key_Down, _CTRL): (0, 1),
}  # fmt: skip
_RETURNS = (_KEY.Key_Return, _KEY.Key_Enter)
_CLICKS = {(key, _NO) for key in (*_RETURNS, _KEY.Key_Space)}
_PICKS = {(key, held): pick for key in _RETURNS
          for held, pick in ((_SHIFT, Pick.ADD), (_CTRL, Pick.REMOVE))}  # fmt: skip
_LIKE = (_KEY.Key_G, _NO)
_DROP = (_KEY.Key_Escape, _NO)
# The keyboard comes back from these, to where it was.
_SHORT = (_REASON.PopupFocusReason, _REASON.ActiveWindowFocusReason)


class PointKeys(QObject):
    """Tells the view's own signals what the keys point at and choose, as the mouse does."""

    used = Signal()  # something is pointed at
    caught = Signal(object, object)  # rows of the points, Pick

    def __init__(self, view: SpaceView, drawing: Callable[[], Space | None]) -> None:
        super().__init__(view)
        self._view, self._surface, self._drawing = view, view.surface(), drawing
        self.row: int | None = None  # the point that is pointed at
        self.begin: int | None = None  # where to begin: what is ringed
        self._surface.installEventFilter(self)

    def point_to(self, row: int) -> None:
        """Point at this one."""
        self.row = row
        self._view.point_to(row)
        self.used.emit()
        self._view.hovered.emit(row)

    def drop(self) -> None:
        """Point at none."""
        if self.row is not None:
            self.row = None
            self._view.point_to(None)
            self._view.hovered.emit(-1)

    def place_of(self, point: int) -> QPoint:
        """Where on the desktop to say something of a point: at it, or at the mouse."""
        if point != self.row:
            return QCursor.pos()
        across, down = self._view.screen_places()[point].tolist()
        return self._surface.mapToGlobal(QPoint(round(across), round(down)))

    def hidden(self) -> bool:
        """Whether what is pointed at lies outside what is seen."""
        if self.row is None:
            return False
        place = self._view.screen_places()[self.row : self.row + 1]
        return not in_view(place, self._room)[0]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the keys that are ours; the mouse, or another place of the keyboard, ends it."""
        if isinstance(event, QKeyEvent):
            return self._on_key(event)
        if isinstance(event, QFocusEvent):
            gone = event.lostFocus() and event.reason() not in _SHORT
        else:
            gone = event.type() == QEvent.Type.MouseButtonPress
        if gone:
            self.drop()
        return False

    def _on_key(self, event: QKeyEvent) -> bool:
        act = self._act_of((event.key(), event.modifiers() & ~_MODIFIER.KeypadModifier))
        if act is None:
            return False
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
        elif event.type() == QEvent.Type.KeyPress:
            act()
        return True

    def _act_of(self, pressed: tuple[int, Qt.KeyboardModifier]) -> Callable[[], None] | None:
        """What a key does here, None for one that is not ours."""
        drawing = self._drawing()
        if drawing is None or not len(drawing.by_key):
            return None
        if pressed in _STEPS:
            return partial(self._step, drawing, _STEPS[pressed])
        if pressed in _ENDS:
            return lambda: self.point_to(at_end(drawing, _ENDS[pressed]))
        if pressed in _WAYS:
            return partial(self._go, drawing, _WAYS[pressed])
        return None if self.row is None else self._act_at(pressed, drawing, self.row)

    def _act_at(
        self, pressed: tuple[int, Qt.KeyboardModifier], drawing: Space, row: int
    ) -> Callable[[], None] | None:
        if pressed in _CLICKS:
            return lambda: self._view.clicked.emit(row)
        if pressed in _PICKS:
            return lambda: self.caught.emit(np.array([row]), _PICKS[pressed])
        if pressed == _LIKE:
            return lambda: self.caught.emit(alike(drawing, row), Pick.NEW)
        return self.drop if pressed == _DROP else None

    @property
    def _from(self) -> int | None:
        return self.begin if self.row is None else self.row

    @property
    def _room(self) -> tuple[int, int]:
        return self._surface.width(), self._surface.height()

    def _step(self, drawing: Space, step: int) -> None:
        at = self._from
        self.point_to(at_end(drawing, 0) if at is None else further(drawing, at, step))

    def _go(self, drawing: Space, way: tuple[int, int]) -> None:
        at = self._from
        if at is None:
            self.point_to(at_end(drawing, 0))
        else:
            self.point_to(toward(self._view.screen_places(), at, way, self._room))
