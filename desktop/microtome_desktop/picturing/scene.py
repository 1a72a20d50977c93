"""What a picture of the documentation is: a row of its scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtWidgets import QWidget

from microtome_desktop.picturing.stage import Stage


@dataclass(frozen=True, slots=True)
class Scene:
    """A row: the picture's name, what it shows in a sentence, and what sets it.

    ``set`` gives the widget to be pictured; ``ratio`` is pixels for one of the screen.
    ``panel`` names the panel that it is about, if it is about one.
    """

    name: str
    said: str
    set: Callable[[Stage], QWidget]
    ratio: int = 1
    panel: str = ""
