"""All heads of one layer as small maps in a row that wraps; a click selects a head."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QToolTip

from microtome_desktop import palette
from microtome_desktop.presenters.attention import HeadMap
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.spoken import tell
from microtome_desktop.views.stepping import Stepping

_SIDE, _GAP, _CAPTION = 56, 8, 26


class HeadThumbnails(Stepping):
    """Draws head maps; emits ``head_clicked``."""

    head_clicked = Signal(int)
    menu_asked = Signal(int, QPoint)  # head, where on the screen

    def __init__(self) -> None:
        super().__init__()
        self._maps: tuple[HeadMap, ...] = ()
        self._pictures: list[QImage] = []
        self._selected: int | None = None
        self.setAccessibleName("heads of the layer")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_maps(self, maps: tuple[HeadMap, ...]) -> None:
        """Show the heads of another layer."""
        self._maps = maps
        self._pictures = [_image(head.picture) for head in maps]
        self.setMinimumHeight(self.heightForWidth(self.width()))
        self.update()

    def select(self, head: int | None) -> None:
        """Frame a head."""
        self._selected = head
        at = self.current()
        tell(self, "none is selected" if at is None else _told(self._maps[at]))
        self.update()

    def count(self) -> int:
        """Heads."""
        return len(self._maps)

    def current(self) -> int | None:
        """Where the framed head stands."""
        places = (at for at, held in enumerate(self._maps) if held.head == self._selected)
        return next(places, None)

    def rise(self) -> int:
        """A row of maps."""
        return -self._columns(self.width())

    def step_to(self, index: int) -> None:
        """As a click on the map."""
        self.select(self._maps[index].head)  # at once, for the next key
        self.head_clicked.emit(self._maps[index].head)

    def cell(self, index: int) -> QRect:
        """Where a head's map is drawn, in pixels of this widget."""
        row, column = divmod(index, self._columns(self.width()))
        left, top = column * (_SIDE + _GAP), row * (_SIDE + _CAPTION + _GAP)
        return QRect(left + 2, top + 2, _SIDE, _SIDE)

    def heightForWidth(self, width: int) -> int:
        """Height that shows all heads."""
        rows = -(-max(1, len(self._maps)) // self._columns(width))
        return rows * (_SIDE + _CAPTION + _GAP)

    def sizeHint(self) -> QSize:
        """Room for four heads in a row."""
        width = 4 * (_SIDE + _GAP)
        return QSize(width, self.heightForWidth(width))

    def resizeEvent(self, event: QEvent) -> None:
        """Wrap again."""
        self.setMinimumHeight(self.heightForWidth(self.width()))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw all maps with their names."""
        painter = QPainter(self)
        for index, (head, picture) in enumerate(zip(self._maps, self._pictures, strict=True)):
            self._paint_head(painter, self.cell(index), head, picture)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Select the head under the cursor."""
        head = self._head_at(event.position().toPoint())
        if head is not None and event.button() == Qt.MouseButton.LeftButton:
            self.head_clicked.emit(head.head)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for what can be done to the head under the cursor, or to the framed one."""
        head, place = self._head_at(event.pos()), event.globalPos()
        at = self.current()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            head = None if at is None else self._maps[at]
            place = self.mapToGlobal(self.cell(at or 0).center())
        if head is not None:
            self.menu_asked.emit(head.head, place)

    def event(self, event: QEvent) -> bool:
        """Say what the detectors found under the cursor."""
        if isinstance(event, QHelpEvent):
            head = self._head_at(event.pos())
            said = _told(head) if head else ""
            QToolTip.showText(event.globalPos(), said, self)
            return True
        return super().event(event)

    def _columns(self, width: int) -> int:
        return max(1, (width + _GAP) // (_SIDE + _GAP))

    def _head_at(self, place: QPoint) -> HeadMap | None:
        hits = (m for i, m in enumerate(self._maps) if self.cell(i).contains(place))
        return next(hits, None)

    def _paint_head(self, painter: QPainter, cell: QRect, head: HeadMap, picture: QImage) -> None:
        chosen = head.head == self._selected
        painter.drawImage(cell, picture)
        painter.setPen(QPen(QColor(palette.ACCENT if chosen else palette.LINE), 2 if chosen else 1))
        painter.drawRect(cell)
        painter.setPen(QColor(palette.TEXT if chosen else palette.TEXT_DIM))
        painter.setFont(mono_font(10))
        below = QRect(cell.left(), cell.bottom() + 2, _SIDE, 12)
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, f"H{head.head}")
        if head.label:
            painter.setPen(QColor(palette.WARM))
            painter.setFont(text_font(9))
            line = QRect(cell.left() - 4, cell.bottom() + 13, _SIDE + 8, 12)
            painter.drawText(
                line, Qt.AlignmentFlag.AlignHCenter, _SHORT.get(head.label, head.label)
            )


def _told(head: HeadMap) -> str:
    return f"Head {head.head}  {head.detail or 'no detector names it'}"


_SHORT = {"previous token": "previous", "duplicate token": "duplicate"}


def _image(picture: np.ndarray) -> QImage:
    rows = np.ascontiguousarray(picture)
    height, width = rows.shape[:2]
    # The copy owns its bytes; the array may go.
    return QImage(rows.data, width, height, width * 4, QImage.Format.Format_RGBA8888).copy()
