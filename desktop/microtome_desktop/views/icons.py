"""Icons in the theme's colours."""

from __future__ import annotations

from functools import cache

import qtawesome
from PySide6.QtGui import QIcon

from microtome_desktop import palette as colours


@cache
def icon(name: str, colour: str = colours.TEXT_DIM) -> QIcon:
    """A qtawesome icon; faint where its button is disabled, blank for no name."""
    if not name:
        return QIcon()
    made: QIcon = qtawesome.icon(name, color=colour, color_disabled=colours.TEXT_FAINT)
    return made
