"""The switch between the run without and with edits; there only when edits act."""

from __future__ import annotations

from microtome.records.session import Session
from microtome_desktop.presenters.with_edits import Side, has_sides
from microtome_desktop.views.choice import Choice


class SideChoice(Choice):
    """Without edits, with them, or the difference."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName("Without or with edits")
        self.addItems([str(side) for side in Side])
        self.hide()

    @property
    def side(self) -> Side:
        """What is to be shown."""
        return Side(self.currentText()) if not self.isHidden() else Side.WITHOUT

    def follow(self, session: Session | None) -> None:
        """Be there while the session has a run with edits."""
        self.setVisible(has_sides(session))
