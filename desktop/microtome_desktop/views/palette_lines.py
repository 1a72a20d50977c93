"""How a line of the command palette is drawn."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QKeySequence, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from microtome_desktop import palette as colours
from microtome_desktop.presenters.palette_entries import Entry, marked
from microtome_desktop.views.fonts import mono_font, text_font

ENTRY = Qt.ItemDataRole.UserRole
LINE = 30
_Index = QModelIndex | QPersistentModelIndex
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_GROUP = 76  # room for the longest group's name, so that details stand in a column


class PaletteLines(QStyledItemDelegate):
    """Title with the typed letters marked, detail, keys, and the group at the right end."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.words = ""
        self._ground = colours.CARD
        self._title, self._small, self._keys = text_font(13), text_font(11), mono_font(11)
        self._strong = text_font(13)
        self._strong.setWeight(QFont.Weight.DemiBold)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Draw one line."""
        entry: Entry = index.data(ENTRY)
        rect: QRect = option.rect
        painter.save()
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        self._ground = colours.SELECTED if chosen else colours.CARD
        if chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.SELECTED))
            painter.drawRoundedRect(rect.adjusted(2, 0, -2, 0), 5, 5)
        inside = rect.adjusted(12, 0, -12, 0)
        self._write(painter, inside, _RIGHT, entry.group, self._small, colours.TEXT_FAINT)
        inside.setRight(inside.right() - _GROUP)
        keys = QKeySequence(entry.keys).toString(QKeySequence.SequenceFormat.NativeText)
        self._write(painter, inside, _RIGHT, keys, self._keys, colours.TEXT_DIM)
        painter.setFont(self._keys)
        room = painter.fontMetrics().horizontalAdvance(keys) + 14 if keys else 0
        inside.setRight(inside.right() - room)
        inside.setLeft(self._draw_title(painter, inside, entry) + 14)
        told = f"{entry.blocked}" if entry.blocked else entry.detail
        painter.setFont(self._small)
        told = painter.fontMetrics().elidedText(told, Qt.TextElideMode.ElideRight, inside.width())
        ink = colours.WARM if entry.blocked else colours.TEXT_DIM
        self._write(painter, inside, _LEFT, told, self._small, ink)
        painter.restore()

    def _draw_title(self, painter: QPainter, rect: QRect, entry: Entry) -> int:
        """Write the title; where it ends."""
        plain = colours.TEXT_FAINT if entry.blocked else colours.TEXT
        left = rect.left()
        for text, typed in marked(entry.title, self.words):
            font = self._strong if typed else self._title
            ink = colours.ACCENT if typed and not entry.blocked else plain
            place = QRect(left, rect.top(), max(0, rect.right() - left), rect.height())
            self._write(painter, place, _LEFT, text, font, ink)
            left += painter.fontMetrics().horizontalAdvance(text)
        return left

    def _write(
        self,
        painter: QPainter,
        rect: QRect,
        side: Qt.AlignmentFlag,
        text: str,
        font: QFont,
        ink: str,
    ) -> None:
        painter.setFont(font)
        faint = colours.contrast(ink, self._ground) < colours.READABLE
        painter.setPen(QColor(colours.TEXT if faint else ink))
        painter.drawText(rect, side | Qt.TextFlag.TextSingleLine, text)

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        """One line."""
        return QSize(200, LINE)
