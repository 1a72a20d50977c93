"""Labels that show markup.

All other labels and all tool tips are plain text, by the theme's style sheet: a name from a file
may look like markup, and Qt would open the image that it speaks of.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel


def take_markup(label: QLabel) -> QLabel:
    """The label, which shows markup from now on: what is not ours in its text must be escaped."""
    label.setProperty("markup", True)  # for the style sheet, which speaks last
    label.setTextFormat(Qt.TextFormat.RichText)
    return label
