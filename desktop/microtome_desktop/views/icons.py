"""Icons in the theme's colours."""

from __future__ import annotations

from functools import cache

import qtawesome
from PySide6.QtGui import QIcon

from microtome_desktop import palette as colours


def icon(name: str, colour: str = "") -> QIcon:
    """A qtawesome icon, dim unless a colour is given; blank for no name."""
    return _made(name, colour or colours.TEXT_DIM, colours.OFF) if name else QIcon()


@cache
def _made(name: str, colour: str, disabled: str) -> QIcon:
    made: QIcon = qtawesome.icon(name, color=colour, color_disabled=disabled)
    return made
