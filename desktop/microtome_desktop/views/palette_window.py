"""The command palette: type a few letters of anything, press Enter."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.views import colours
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.palette_entries import Entry, found

_Index = QModelIndex | QPersistentModelIndex
_WIDTH, _LINE, _LINES = 620, 30, 13
_ENTRY = Qt.ItemDataRole.UserRole
_STEPS = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 10, Qt.Key.Key_PageUp: -10}


class _Lines(QStyledItemDelegate):
    """Title, dim group and detail, and the shortcut at the right end."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Draw one line."""
        entry = index.data(_ENTRY)
        rect: QRect = option.rect
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        if chosen:
            painter.fillRect(rect, QColor(colours.SELECTED))
        inside = rect.adjusted(12, 0, -12, 0)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setFont(text_font(13))
        painter.setPen(QColor(colours.TEXT_FAINT if entry.blocked else colours.TEXT))
        painter.drawText(inside, left, entry.title)
        used = painter.fontMetrics().horizontalAdvance(entry.title) + 14
        painter.setFont(mono_font(11))
        keys = painter.fontMetrics().horizontalAdvance(entry.keys) + 14 if entry.keys else 0
        painter.setPen(QColor(colours.TEXT_DIM))
        painter.drawText(inside, right, entry.keys)
        painter.setFont(text_font(11))
        painter.setPen(QColor(colours.TEXT_FAINT))
        room = inside.adjusted(used, 0, -keys, 0)
        told = f"{entry.group} \N{MIDDLE DOT} {entry.blocked or entry.detail}"
        shown = painter.fontMetrics().elidedText(told, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, left, shown)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        """One line."""
        return QSize(_WIDTH, _LINE)


class Palette(QFrame):
    """A field with a list under it, in the middle of the window's top; Esc or a click closes it."""

    def __init__(self, window: QWidget, offer: Callable[[], tuple[Entry, ...]]) -> None:
        super().__init__(window)
        self.setObjectName("palette")
        self._window, self._offer = window, offer
        self._entries: tuple[Entry, ...] = ()
        self._act: Callable[[Entry], None] | None = None
        self.recent: list[str] = []
        self.words = QLineEdit()
        self.words.setObjectName("palette_words")
        self.words.setPlaceholderText("Commands, nodes, heads, tokens, lessons …")
        self.list = QListWidget()
        self.list.setObjectName("palette_list")
        self.list.setItemDelegate(_Lines(self.list))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setUniformItemSizes(True)
        self.nothing = QLabel("Nothing is called like that.")
        self.nothing.setObjectName("dim")
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        for part in (self.words, self.nothing, self.list):
            column.addWidget(part)
        self.setAutoFillBackground(True)
        self.setStyleSheet(
            f"QFrame#palette {{ background: {colours.RAISED}; border: 1px solid {colours.LINE};"
            " border-radius: 8px; }"
        )
        self.words.textChanged.connect(self._search)
        self.words.installEventFilter(self)
        self.list.itemClicked.connect(self._on_item)
        self.hide()

    def ask(self, act: Callable[[Entry], None]) -> None:
        """Open, and do ``act`` with the line that is chosen."""
        self._act, self._entries = act, self._offer()
        self.words.clear()
        self._search("")
        self.resize(min(_WIDTH, self._window.width() - 40), _LINE * _LINES + 70)
        self.move((self._window.width() - self.width()) // 2, 64)
        self.show()
        self.raise_()
        self.words.setFocus()

    def _search(self, words: str) -> None:
        self.list.clear()
        for entry in found(self._entries, words, self.recent):
            item = QListWidgetItem()
            item.setData(_ENTRY, entry)
            item.setToolTip(entry.blocked or entry.detail)
            # Read out by screen readers, drawn by the delegate.
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.group}: {entry.title}")
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.nothing.setVisible(not self.list.count())
        self.list.setVisible(bool(self.list.count()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keys of the list work in the field; losing the keyboard closes."""
        key = Qt.Key(event.key()) if isinstance(event, QKeyEvent) else None
        # Escape is a shortcut of the window too; while the palette is open it is ours.
        if event.type() == QEvent.Type.ShortcutOverride and key == Qt.Key.Key_Escape:
            event.accept()
            return True
        if event.type() == QEvent.Type.KeyPress and key is not None:
            return self._key(key)
        if event.type() == QEvent.Type.FocusOut and self.isVisible():
            self.hide()
        return super().eventFilter(watched, event)

    def _key(self, key: Qt.Key) -> bool:
        if key == Qt.Key.Key_Escape:
            self.hide()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._take(self.list.currentItem())
        elif key in _STEPS and self.list.count():
            place = self.list.currentRow() + _STEPS[key]
            once = abs(_STEPS[key]) == 1
            last = self.list.count() - 1
            self.list.setCurrentRow(place % (last + 1) if once else min(max(place, 0), last))
        else:
            return False
        return True

    def _on_item(self, item: QListWidgetItem) -> None:
        self._take(item)

    def _take(self, item: QListWidgetItem | None) -> None:
        entry = None if item is None else item.data(_ENTRY)
        if entry is None or entry.blocked or self._act is None:
            return  # a blocked line says why beside its title
        self.hide()
        self.recent = [entry.key, *(key for key in self.recent if key != entry.key)][:20]
        self._act(entry)
