"""PySide6 must not lose a reference to None whenever a method returns nothing.

PySide6 6.12.0 does on Python 3.10 and 3.11, and the interpreter aborts after some thousand calls.
From 3.12 on None is immortal and its count stands still.
"""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QImage, QPainter, QPen

CALLS = 1000


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_void_calls_keep_the_count_of_none():
    image = QImage(8, 8, QImage.Format.Format_ARGB32)
    pen = QPen(QColor("white"))
    painter = QPainter(image)
    before = sys.getrefcount(None)
    for _ in range(CALLS):
        pen.setWidthF(1.0)
        painter.setPen(pen)
        painter.drawLine(QPointF(0, 0), QPointF(8, 8))
    drift = sys.getrefcount(None) - before
    painter.end()
    assert abs(drift) < CALLS / 2
