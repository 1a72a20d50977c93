"""The switch between the run without and with edits; there only when edits act."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QComboBox

from microtome.records.session import Session
from microtome_desktop.presenters.with_edits import Side, has_sides
from microtome_desktop.views.choice import Choice

_TITLES = {Side.WITHOUT: "without", Side.WITH: "with", Side.DIFFERENCE: "difference"}


class SideChoice(Choice):
    """Without edits, with them, or the difference."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName("Without or with edits")
        self.setToolTip("Without edits, with them, or the difference: with − without")
        self.addItems([_TITLES[side] for side in Side])
        self.hide()

    @property
    def side(self) -> Side:
        """What is to be shown."""
        return Side.WITHOUT if self.isHidden() else list(Side)[max(0, self.currentIndex())]

    def minimumSizeHint(self) -> QSize:
        """Its words are short, and always whole."""
        return QComboBox.minimumSizeHint(self)

    def follow(self, session: Session | None) -> None:
        """Be there while the session has a run with edits."""
        self.setVisible(has_sides(session))
