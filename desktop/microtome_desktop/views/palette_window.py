"""The command palette: type a few letters of anything, press Enter."""

from __future__ import annotations

from collections.abc import Callable

import shiboken6
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QFocusEvent, QHideEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.presenters.palette_entries import Entry, found
from microtome_desktop.state.settings import Settings
from microtome_desktop.views.palette_lines import ENTRY, LINE, PaletteLines

_WIDTH, _LINES, _TOP = 720, 13, 58
_STEPS = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 10, Qt.Key.Key_PageUp: -10}
_NOTHING = "Nothing is called like that."


class Palette(QFrame):
    """A field with a list under it, in the middle of the window's top.

    Esc, a click elsewhere and the loss of the keyboard close it.
    """

    def __init__(
        self, window: QWidget, settings: Settings, offer: Callable[[], tuple[Entry, ...]]
    ) -> None:
        super().__init__(window)
        self.setObjectName("palette")
        self._window, self._settings, self._offer = window, settings, offer
        self._entries: tuple[Entry, ...] = ()
        self._act: Callable[[Entry], None] | None = None
        self._before: QWidget | None = None  # had the keyboard
        self.words = QLineEdit()
        self.words.setObjectName("palette_words")
        self.words.setAccessibleName("find commands, panels, nodes, tokens and settings")
        self.words.setPlaceholderText("Commands, panels, nodes, heads, tokens, settings, lessons")
        self.list = QListWidget()
        self.list.setObjectName("palette_list")
        self.list.setAccessibleName("Found")
        self._lines = PaletteLines(self.list)
        self.list.setItemDelegate(self._lines)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setUniformItemSizes(True)
        self.nothing = QLabel(_NOTHING)
        self.nothing.setObjectName("dim")
        self.nothing.setContentsMargins(12, 4, 12, 6)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        for part in (self.words, self.nothing, self.list):
            column.addWidget(part)
        self.setAutoFillBackground(True)
        self.words.textChanged.connect(self._search)
        self.words.installEventFilter(self)
        self.list.itemClicked.connect(self._take)
        self.hide()

    def ask(self, act: Callable[[Entry], None]) -> None:
        """Open, and do ``act`` with the line that is chosen."""
        self._act, self._entries = act, self._offer()
        if not self.isVisible():
            self._before = QApplication.focusWidget()
            # Not the application: for that Python would be handed all that Qt makes for itself,
            # and shiboken 6.11 may trip over what it wrapped and did not make.
            if (handle := self._window.windowHandle()) is not None:
                handle.installEventFilter(self)
        self.words.clear()
        self._search("")
        width = min(_WIDTH, self._window.width() - 40)
        self.setFixedWidth(width)
        self.move((self._window.width() - width) // 2, _TOP)
        self.show()
        self.raise_()
        self.words.setFocus()

    def _search(self, words: str) -> None:
        self._lines.words = words
        self.list.clear()
        for entry in found(self._entries, words, self._settings.recent_found):
            item = QListWidgetItem()
            item.setData(ENTRY, entry)
            item.setToolTip(entry.blocked or entry.detail)
            # Read out by screen readers, drawn by the delegate.
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.group}: {entry.title}")
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        count = self.list.count()
        self.nothing.setVisible(not count)
        self.list.setVisible(bool(count))
        self.list.setFixedHeight(LINE * min(max(count, 1), _LINES) + 4)
        self.adjustSize()

    def hideEvent(self, event: QHideEvent) -> None:
        """Give the keyboard back to who had it."""
        super().hideEvent(event)
        if (handle := self._window.windowHandle()) is not None:
            handle.removeEventFilter(self)
        before, self._before = self._before, None
        held = QApplication.focusWidget()
        mine = held is None or self.isAncestorOf(held)
        if mine and before is not None and shiboken6.isValid(before):
            before.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keys of the list work in the field; a click elsewhere and losing the keyboard close."""
        kind = event.type()
        if isinstance(event, QMouseEvent) and kind == QEvent.Type.MouseButtonPress:
            self._pressed(event)
        if watched is not self.words:
            return False
        if isinstance(event, QKeyEvent):
            key = Qt.Key(event.key())
            # Escape is a shortcut of the window too; while the palette is open it is ours.
            if kind == QEvent.Type.ShortcutOverride and key == Qt.Key.Key_Escape:
                event.accept()
                return True
            if kind == QEvent.Type.KeyPress:
                return self._key(key)
        # The field's own menu takes the keyboard for a while.
        if (
            isinstance(event, QFocusEvent)
            and event.lostFocus()
            and event.reason() is not Qt.FocusReason.PopupFocusReason
        ):
            self.hide()
        return False

    def _pressed(self, event: QMouseEvent) -> None:
        """Close at a press beside it; its own menu, when there is one, is in another window."""
        if self.isVisible() and not self.geometry().contains(event.position().toPoint()):
            self.hide()

    def _key(self, key: Qt.Key) -> bool:
        if key == Qt.Key.Key_Escape:
            self.hide()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            item = self.list.currentItem()
            if item is not None:
                self._take(item)
        elif key in _STEPS and self.list.count():
            place = self.list.currentRow() + _STEPS[key]
            once = abs(_STEPS[key]) == 1
            last = self.list.count() - 1
            self.list.setCurrentRow(place % (last + 1) if once else min(max(place, 0), last))
        else:
            return False
        return True

    def _take(self, item: QListWidgetItem) -> None:
        entry: Entry = item.data(ENTRY)
        if entry.blocked or self._act is None:
            return  # a blocked line says why beside its title
        self.hide()
        self._settings.remember_found(entry.key)
        self._act(entry)
