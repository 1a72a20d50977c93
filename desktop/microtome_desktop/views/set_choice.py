"""Boxes that image sets are chosen in: each is known by what it is loaded by, not by its name."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox

from microtome_desktop.presenters.units import images_title


def insert_set(box: QComboBox, images: str) -> None:
    """Offer a set in front; of two folders of one name the second is told by its place."""
    if box.findData(images) < 0:
        named = images_title(images)
        box.insertItem(0, named if box.findText(named) < 0 else images, images)
        box.setItemData(0, images, Qt.ItemDataRole.ToolTipRole)
