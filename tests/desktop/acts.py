"""What tests do in a window again and again: let it rest, write into a field, drop files."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

PATIENCE = 60_000  # milliseconds


def rest(bench, qtbot):
    """Wait until nothing is under way, and draw what that has changed."""
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=PATIENCE)
    bench.runner.turns.finish()


def write(field, text):
    """Replace what stands in a line by typing, and press Return."""
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def drop(window, *paths):
    """Drag files over the window and let them go, as a file manager does; whether it takes them."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    keys = Qt.KeyboardModifier.NoModifier
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPoint(300, 300), action, data, button, keys)
    QApplication.sendEvent(window, enter)
    if enter.isAccepted():
        QApplication.sendEvent(window, QDropEvent(QPointF(300, 300), action, data, button, keys))
    return enter.isAccepted()
