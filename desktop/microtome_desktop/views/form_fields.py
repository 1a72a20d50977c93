"""Boxes, numbers and lines of a form, each with its name for tests and for screen readers."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractSpinBox, QLineEdit, QScrollArea, QSpinBox, QWidget

from microtome_desktop.views.choice import Choice


def choice(name: str, said: str, entries: Iterable[str]) -> Choice:
    """A box to choose from."""
    made = Choice()
    made.setObjectName(name)
    made.setAccessibleName(said)
    made.addItems(list(entries))
    return made


def spin(name: str, said: str, low: int, high: int, value: int | None = None) -> QSpinBox:
    """A whole number."""
    made = QSpinBox()
    made.setObjectName(name)
    made.setAccessibleName(said)
    made.setToolTip(said.capitalize())
    made.setRange(low, high)
    made.setValue(low if value is None else value)
    make_plain(made)
    return made


def make_plain(box: QAbstractSpinBox) -> None:
    """No arrows: keys and the wheel count, and the theme's have no room for them."""
    box.setProperty("plain", True)
    box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    box.lineEdit().setTextMargins(7, 0, 0, 0)


def field(name: str, said: str) -> QLineEdit:
    """A line to type into."""
    made = QLineEdit()
    made.setObjectName(name)
    made.setAccessibleName(said)
    made.setPlaceholderText(said)
    made.setMinimumWidth(50)
    return made


def scrolled(part: QWidget, width: int) -> QScrollArea:
    """A column of fields behind a scroll bar, for a window that is lower than it."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(part)
    area.setFixedWidth(width)
    part.setAutoFillBackground(False)
    area.viewport().setAutoFillBackground(False)
    return area
