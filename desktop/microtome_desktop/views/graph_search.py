"""A field over the circuit that finds nodes by their names."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QWidget

from microtome_desktop.views.card import tiny_button
from microtome_desktop.views.icons import icon

_WIDTH = 320


class GraphSearch(QFrame):
    """Type to find; Return goes on to the next, Shift+Return back, Escape closes."""

    searched = Signal(str)
    stepped = Signal(int)  # 1 forward, -1 back
    closed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("graph_search")
        self.words = QLineEdit()
        self.words.setObjectName("graph_search_words")
        self.words.setPlaceholderText("Find in the circuit: L2, John, head …")
        self.words.setAccessibleName("Find in the circuit")
        self.count = QLabel()
        self.count.setObjectName("dim")
        back, on = tiny_button("Previous (Shift+Return)"), tiny_button("Next (Return)")
        close = tiny_button("Close (Escape)")
        for button, name in ((back, "chevron-up"), (on, "chevron-down"), (close, "close")):
            button.setIcon(icon(f"mdi6.{name}"))
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 5, 6, 5)
        row.setSpacing(4)
        row.addWidget(self.words, 1)
        for part in (self.count, back, on, close):
            row.addWidget(part)
        self.setFixedWidth(_WIDTH)
        self.words.textChanged.connect(self.searched)
        self.words.installEventFilter(self)
        back.clicked.connect(self._back)
        on.clicked.connect(self._on)
        close.clicked.connect(self.dismiss)
        self.hide()

    def open(self) -> None:
        """Show the field with the keyboard in it."""
        self.show()
        self.raise_()
        self.words.setFocus()
        self.words.selectAll()
        self.searched.emit(self.words.text())

    def dismiss(self) -> None:
        """Close the field and forget the marks."""
        self.hide()
        self.closed.emit()

    def tell(self, place: int, total: int) -> None:
        """Say which of how many is shown; ``place`` counts from 0."""
        nothing = "none" if self.words.text().strip() else ""
        self.count.setText(f"{place + 1} of {total}" if total else nothing)

    def put(self, room: QSize) -> None:
        """Sit in the upper right corner of the canvas."""
        self.adjustSize()
        self.move(room.width() - self.width() - 8, 8)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Return and Escape belong to the search while one types."""
        if not isinstance(event, QKeyEvent):
            return False
        key = Qt.Key(event.key())
        ours = key in (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if event.type() == QEvent.Type.ShortcutOverride and ours:
            event.accept()
            return True
        if event.type() != QEvent.Type.KeyPress or not ours:
            return False
        if key == Qt.Key.Key_Escape:
            self.dismiss()
        else:
            self.stepped.emit(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        return True

    def _on(self) -> None:
        self.stepped.emit(1)

    def _back(self) -> None:
        self.stepped.emit(-1)
