"""The one widget that shows an image, with values over it and a part of it framed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.image_pixels import with_overlay
from microtome_desktop.views.fonts import text_font

_TITLE = 16  # pixels above the image, where it has a title
_STEPS = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}  # fmt: skip
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class ImageView(QWidget):
    """Draws an image as large as there is room, each pixel a square; nothing without one.

    The arrow keys walk over it, by a pixel or by a cell of ``show_grid``; Enter presses there.
    """

    hovered = Signal(int, int)  # row and column of the image; -1, -1 when the pointer leaves
    pressed = Signal(int, int)  # row and column of the image

    def __init__(self, parent: QWidget | None = None, *, side: int = 160) -> None:
        super().__init__(parent)
        self._side = side
        self._image: QImage | None = None
        self._small: QImage | None = None  # as shown, of an image larger than its place
        self._title = ""
        self._grid = (0, 0)
        self._mark: tuple[int, int, int, int] | None = None
        self._at = (-1, -1)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("image")

    def show_image(
        self,
        values: UInt8[np.ndarray, "row column channel"] | None,
        overlay: Float[np.ndarray, "_ _"] | None = None,
        *,
        signed: bool = False,
        title: str = "",
    ) -> None:
        """Show an image of 1 or 3 channels, with an overlay of any resolution over all of it.

        A ``signed`` overlay runs from orange below zero to blue above it; any other is drawn from
        zero upward. The frame and the grid of the image before are gone. None shows nothing.
        """
        self._image = None if values is None else _as_image(values, overlay, signed=signed)
        self._title, self._small, self._mark, self._at = title, None, None, (-1, -1)
        self._grid = (0, 0)
        size = "" if values is None else f", {values.shape[0]} × {values.shape[1]} pixels"
        self.setAccessibleDescription(f"{title}{size}".removeprefix(", "))
        self.updateGeometry()
        self.update()

    def show_grid(self, rows: int, columns: int) -> None:
        """Divide the image into so many cells; none with 0. The arrow keys go from cell to cell."""
        self._grid = (rows, columns)
        self.update()

    def mark(self, row: int, column: int, rows: int, columns: int) -> None:
        """Frame a part: where it begins, and how many rows and columns of the image it has.

        What lies outside the image is cut off; a part of no rows frames nothing.
        """
        self._mark = (row, column, rows, columns) if rows > 0 and columns > 0 else None
        self.update()

    @property
    def shown(self) -> QImage | None:
        """The picture as it is drawn, a pixel for each of the image; None without one."""
        return self._image

    @property
    def framed(self) -> tuple[int, int, int, int] | None:
        """Row, column, rows and columns of the framed part."""
        return self._mark

    def image_rect(self) -> QRectF:
        """Where in the widget the image is."""
        if self._image is None:
            return QRectF()
        top = _TITLE if self._title else 0
        room = QRectF(self.rect()).adjusted(1, top + 1, -1, -1)
        scale = min(
            room.width() / self._image.width(), room.height() / self._image.height()
        )  # at any scale, so that images of different sizes are equally large
        wide, high = max(1.0, scale * self._image.width()), max(1.0, scale * self._image.height())
        return QRectF(room.left() + (room.width() - wide) / 2, room.top(), wide, high)

    def place_of(self, row: int, column: int) -> QPointF:
        """The middle of a pixel of the image, in the widget."""
        place, (across, down) = self.image_rect(), self._pixel()
        return QPointF(place.left() + (column + 0.5) * across, place.top() + (row + 0.5) * down)

    def sizeHint(self) -> QSize:
        """As high as asked for when made, as wide as the image then is."""
        top = _TITLE if self._title else 0
        if self._image is None:
            return QSize(self._side, self._side)
        wide = round(self._side * self._image.width() / max(1, self._image.height()))
        return QSize(min(wide, 3 * self._side) + 2, self._side + top + 2)

    def minimumSizeHint(self) -> QSize:
        """Small enough to be squeezed, large enough to be seen."""
        return QSize(min(48, self._side), min(48, self._side))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw title, image, grid, frame and where the keyboard is."""
        if self._image is None:
            return
        painter, place = QPainter(self), self.image_rect()
        if self._title:
            painter.setFont(text_font(11))
            painter.setPen(QColor(colours.TEXT_DIM))
            room = QRectF(0, 0, self.width(), _TITLE)
            metrics = painter.fontMetrics()
            shown = metrics.elidedText(self._title, Qt.TextElideMode.ElideRight, self.width())
            painter.drawText(room, Qt.AlignmentFlag.AlignHCenter, shown)
        painter.drawImage(place, self._fitted(self._image, place))
        painter.setPen(QPen(QColor(colours.LINE), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(place)
        self._draw_grid(painter, place)
        if self._mark is not None:
            self._frame(painter, self._part(*self._mark), colours.WARM)
        if self.hasFocus() and self._at != (-1, -1):
            self._frame(painter, self._part(*self._cell(*self._at)), colours.ACCENT)
        painter.end()

    def _fitted(self, image: QImage, place: QRectF) -> QImage:
        """The image itself, or a smooth smaller one where there are more pixels than room."""
        wanted = (place.size() * self.devicePixelRatioF()).toSize().expandedTo(QSize(1, 1))
        if image.width() <= wanted.width() and image.height() <= wanted.height():
            return image
        if self._small is None or self._small.size() != wanted:
            smooth = Qt.TransformationMode.SmoothTransformation
            self._small = image.scaled(wanted, Qt.AspectRatioMode.IgnoreAspectRatio, smooth)
        return self._small

    def _draw_grid(self, painter: QPainter, place: QRectF) -> None:
        rows, columns = self._grid
        if rows * columns == 0 or place.width() / columns < 4 or place.height() / rows < 4:
            return
        line = QColor(colours.TEXT)
        line.setAlpha(70)
        painter.setPen(QPen(line, 1))
        for row in range(1, rows):
            y = place.top() + place.height() * row / rows
            painter.drawLine(QPointF(place.left(), y), QPointF(place.right(), y))
        for column in range(1, columns):
            x = place.left() + place.width() * column / columns
            painter.drawLine(QPointF(x, place.top()), QPointF(x, place.bottom()))

    def _frame(self, painter: QPainter, part: QRectF, colour: str) -> None:
        # A dark line below the bright one is seen on any image.
        for width, ink in ((4.0, QColor(0, 0, 0, 150)), (2.0, QColor(colour))):
            painter.setPen(QPen(ink, width))
            painter.drawRect(part)

    def _part(self, row: int, column: int, rows: int, columns: int) -> QRectF:
        """Where a part of the image is in the widget."""
        place, (across, down) = self.image_rect(), self._pixel()
        left, top = place.left() + column * across, place.top() + row * down
        return QRectF(left, top, columns * across, rows * down).intersected(place)

    def _pixel(self) -> tuple[float, float]:
        """How wide and high a pixel of the image is in the widget."""
        if self._image is None:
            return 0.0, 0.0
        place = self.image_rect()
        return place.width() / self._image.width(), place.height() / self._image.height()

    def _cell(self, row: int, column: int) -> tuple[int, int, int, int]:
        """The cell of the grid (without one: the pixel) that holds a pixel, as a part."""
        image, (rows, columns) = self._image, self._grid
        if image is None or rows * columns == 0:
            return row, column, 1, 1
        down, across = row * rows // image.height(), column * columns // image.width()
        top, left = -(-down * image.height() // rows), -(-across * image.width() // columns)
        below = -(-(down + 1) * image.height() // rows)
        right = -(-(across + 1) * image.width() // columns)
        return top, left, below - top, right - left

    def pixel_at(self, point: QPointF) -> tuple[int, int]:
        """Row and column of the pixel at a point of the widget; -1, -1 beside the image."""
        image, place = self._image, self.image_rect()
        if image is None or not place.contains(point):
            return -1, -1
        row = int((point.y() - place.top()) / place.height() * image.height())
        column = int((point.x() - place.left()) / place.width() * image.width())
        return min(row, image.height() - 1), min(column, image.width() - 1)

    def _go(self, at: tuple[int, int]) -> None:
        if at != self._at:
            self._at = at
            self.hovered.emit(*at)
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the pixel under the pointer."""
        self._go(self.pixel_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the pointer."""
        self._go((-1, -1))

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The keyboard is elsewhere."""
        self._go((-1, -1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Tell the pixel that was pressed; a press beside the image is the parent's."""
        at = self.pixel_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and at != (-1, -1):
            self.setFocus(Qt.FocusReason.MouseFocusReason)
            self._at = at
            self.pressed.emit(*at)
            self.update()
        else:
            event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Walk with the arrows, press with Enter or the space bar."""
        key = Qt.Key(event.key())
        if self._image is not None and key in _STEPS:
            self._walk(self._image.size(), *_STEPS[key])
        elif self._image is not None and key in _ENTER and self._at != (-1, -1):
            self.pressed.emit(*self._at)
        else:
            super().keyPressEvent(event)

    def _walk(self, size: QSize, down: int, across: int) -> None:
        if self._at == (-1, -1):
            self._go((0, 0))
            return
        row, column, rows, columns = self._cell(*self._at)
        wanted = (row + (rows if down > 0 else down), column + (columns if across > 0 else across))
        if 0 <= wanted[0] < size.height() and 0 <= wanted[1] < size.width():
            top, left, _, _ = self._cell(*wanted)
            self._go((top, left))


def _as_image(
    values: UInt8[np.ndarray, "row column channel"],
    overlay: Float[np.ndarray, "_ _"] | None,
    *,
    signed: bool,
) -> QImage:
    pixels = with_overlay(values, overlay, signed=signed)
    rows, columns = pixels.shape[:2]
    # Copied: a QImage does not keep the memory that it is made of.
    return QImage(pixels.tobytes(), columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()
