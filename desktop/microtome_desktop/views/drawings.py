"""Paintings that stay lines and text: SVG and PDF."""

from __future__ import annotations

from PySide6.QtGui import QPaintEngine, QPainter

_LINES = frozenset({QPaintEngine.Type.SVG, QPaintEngine.Type.Pdf})


def keeps_lines(painter: QPainter) -> bool:
    """Whether what is painted stays lines, so that pictures of them would be a loss."""
    return painter.paintEngine().type() in _LINES
