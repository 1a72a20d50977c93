"""What stands in the place of the drawing while there is no hypothesis."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout

from microtome_desktop.views.text_flow import EmptyState

_WHAT = (
    "A hypothesis says which parts compute what, and which part reads which. "
    "Its test reads every part from other inputs that agree, and tells what is left."
)


class HypothesisEmpty(EmptyState):
    """Says what a hypothesis is, and offers one to begin with."""

    asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Begin with induction")
        self.button.setToolTip("Boxes and arrows of an induction circuit, to test and to change")
        self.button.clicked.connect(self.asked)
        column = self.layout()
        assert isinstance(column, QVBoxLayout)  # noqa: S101
        at = column.count() - 1  # above the room that is left
        column.insertSpacing(at, 8)
        column.insertWidget(at + 1, self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        self.tell("No hypothesis yet", _WHAT)
