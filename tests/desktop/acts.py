"""What tests do in a window again and again: let it rest, write into a field, drop files."""

from __future__ import annotations

import time

from PySide6.QtCore import (
    QCoreApplication,
    QEventLoop,
    QMimeData,
    QPoint,
    QPointF,
    Qt,
    QTimer,
    QUrl,
)
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

PATIENCE = 60_000  # milliseconds
SOON = 2  # seconds
LOOK_MS = 10


def rest(bench, qtbot):
    """Wait until nothing is under way, and draw what that has changed."""
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=PATIENCE)
    bench.runner.turns.finish()


def to_front(window):
    """Give a window the keyboard, which nobody else does without a window manager.

    A system that took the keyboard from a dialog may have handed it to this window in silence, and
    then tells nothing where it is asked again: another window takes it for a moment.
    """
    window.activateWindow()
    if not _soon(window.isActiveWindow):
        other = QWidget()
        other.show()
        _soon(other.isVisible)
        other.activateWindow()
        _soon(other.isActiveWindow)
        window.activateWindow()
        _soon(window.isActiveWindow)
        other.deleteLater()


def until(condition, seconds=300):
    """Let the window work until something holds; between its events the processor is free.

    As qtbot waits, also where no test runs, and as soon as an event has brought it about.
    """
    assert _soon(condition, seconds), "waited too long"


def _soon(condition, seconds=SOON):
    end, ticks = time.monotonic() + seconds, QTimer(interval=LOOK_MS)
    ticks.start()  # for what comes about without an event
    while not (held := condition()) and time.monotonic() < end:
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    ticks.stop()
    return held


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
    return drop_data(window, data)


def drop_data(window, data):
    """The same with anything that another program drags."""
    keys = Qt.KeyboardModifier.NoModifier
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPoint(300, 300), action, data, button, keys)
    QApplication.sendEvent(window, enter)
    if enter.isAccepted():
        QApplication.sendEvent(window, QDropEvent(QPointF(300, 300), action, data, button, keys))
    return enter.isAccepted()
