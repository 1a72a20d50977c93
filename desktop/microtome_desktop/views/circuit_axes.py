"""The axes of the circuit: tokens below, layers at the left; a click picks one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.spoken import tell
from microtome_desktop.views.stepping import Stepping

_GAP = 7.0  # between two names


class AxisStrip(Stepping):
    """Names along a line; where they would touch, the more important ones stay."""

    picked = Signal(int)
    hovered = Signal(int)  # -1 when the cursor leaves

    def __init__(
        self, orientation: Qt.Orientation, said: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(said)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keyboard to the nodes
        self._across = orientation == Qt.Orientation.Horizontal
        self._font = mono_font(11)
        self._metrics = QFontMetricsF(self._font)
        self._names: tuple[str, ...] = ()
        self._choosable: tuple[int, ...] = ()
        self._places: Float[np.ndarray, " name"] = np.zeros(0)
        self._important: frozenset[int] = frozenset()
        self._groups: Mapping[int, str] = {}
        self._selected: int | None = None
        self._longest = 0  # pixels
        self._scale, self._shift = 1.0, 0.0
        self.setMouseTracking(True)
        fixed, free = QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored
        self.setSizePolicy(*((free, fixed) if self._across else (fixed, free)))

    def sizeHint(self) -> QSize:
        return QSize(100, 26) if self._across else QSize(max(48, self._longest + 12), 100)

    def set_names(
        self,
        names: Sequence[str],
        places: Float[np.ndarray, " name"],
        important: Sequence[int],
        choosable: Sequence[int] | None = None,
    ) -> None:
        """Show these names at these places; the important ones are brighter and win.

        Keys go from one that can be chosen to the next, all by default.
        """
        longest = max((self._metrics.horizontalAdvance(name) for name in names), default=0.0)
        if not self._across and round(longest) != self._longest:
            self._longest = round(longest)
            self.updateGeometry()
        self._names, self._places = tuple(names), places
        self._choosable = tuple(range(len(names))) if choosable is None else tuple(choosable)
        self._important = frozenset(important)
        self.update()

    def set_selected(self, index: int | None) -> None:
        """Mark one name."""
        if index != self._selected:
            self._selected = index
            self.update()
        known = index is not None and index < len(self._names)
        tell(self, self._names[index] if known and index is not None else "none is selected")

    def count(self) -> int:
        return len(self._choosable)

    def current(self) -> int | None:
        held = self._selected
        return self._choosable.index(held) if held in self._choosable else None

    def rise(self) -> int:
        return 0 if self._across else 1

    def step_to(self, index: int) -> None:
        """As a click on the name."""
        name = self._choosable[index]
        self.set_selected(name)  # at once: the next key may come before the selection is drawn
        self.picked.emit(name)

    def set_groups(self, groups: Mapping[int, str]) -> None:
        """Underline names in the colours of the groups that they are in."""
        if groups != self._groups:
            self._groups = groups
            self.update()

    def set_view(self, scale: float, shift: float) -> None:
        """Follow the canvas: a place p lies at pixel ``scale`` * p + ``shift``."""
        if (scale, shift) != (self._scale, self._shift):
            self._scale, self._shift = scale, shift
            self.update()

    def shown(self) -> tuple[tuple[int, QRectF], ...]:
        """The names that fit, with their boxes."""
        room = self.width() if self._across else self.height()
        gap = _GAP if self._across else 0.0
        pixels = self._places * self._scale + self._shift
        inside = np.flatnonzero((pixels >= 0) & (pixels <= room)).tolist()
        order = sorted(inside, key=lambda i: (i != self._selected, i not in self._important))
        # What is taken never overlaps, so a name has to be compared with its two neighbours.
        lows, highs = [-np.inf, np.inf], [-np.inf, np.inf]
        chosen = []
        for index in order:
            pixel = float(pixels[index])
            before = bisect_right(lows, pixel) - 1
            if highs[before] + gap > pixel or lows[before + 1] - gap < pixel:
                continue  # most end here, before the name is measured
            box = self._box(index)
            low, high = (box.left(), box.right()) if self._across else (box.top(), box.bottom())
            if low < max(0.0, highs[before] + gap) or high > min(room, lows[before + 1] - gap):
                continue
            lows.insert(before + 1, low)
            highs.insert(before + 1, high)
            chosen.append((index, box))
        return tuple(chosen)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the names that fit."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font)
        for index, box in self.shown():
            selected = index == self._selected
            if selected:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(colours.LINE))
                painter.drawRoundedRect(box.adjusted(-4, 0, 4, 0), 3, 3)
            bright = colours.TEXT if selected else colours.TEXT_DIM
            painter.setPen(
                QColor(bright if selected or index in self._important else colours.TEXT_FAINT)
            )
            align = Qt.AlignmentFlag.AlignHCenter if self._across else Qt.AlignmentFlag.AlignRight
            painter.drawText(box, align | Qt.AlignmentFlag.AlignVCenter, self._names[index])
        painter.setPen(Qt.PenStyle.NoPen)
        for index, colour in self._groups.items():
            if index < len(self._places):
                pixel = float(self._places[index]) * self._scale + self._shift
                painter.setBrush(QColor(colour))
                painter.drawRoundedRect(QRectF(pixel - 9, self.height() - 4, 18, 3), 1.5, 1.5)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A left click picks the nearest name."""
        index = self._at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and index >= 0:
            self.picked.emit(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.hovered.emit(self._at(event.position()))

    def leaveEvent(self, event: object) -> None:
        self.hovered.emit(-1)

    def _at(self, place: QPointF) -> int:
        if not len(self._places):
            return -1
        pixel = place.x() if self._across else place.y()
        return int(np.argmin(np.abs(self._places * self._scale + self._shift - pixel)))

    def _box(self, index: int) -> QRectF:
        pixel = float(self._places[index]) * self._scale + self._shift
        height = self._metrics.height()
        if self._across:
            width = self._metrics.horizontalAdvance(self._names[index])
            return QRectF(pixel - width / 2, (self.height() - height) / 2, width, height)
        width = self._metrics.horizontalAdvance(self._names[index])
        return QRectF(self.width() - 8 - width, pixel - height / 2, width, height)
