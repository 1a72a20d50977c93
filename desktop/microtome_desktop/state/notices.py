"""What the window has to tell its user."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from psygnal import Signal


class Level(StrEnum):
    """How much a notice asks for attention."""

    INFO = "info"
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message: what happened, the way out, details to copy, and a command that helps."""

    level: Level
    title: str
    what: str = ""
    way_out: str = ""
    details: str = ""
    offer: str = ""  # the id of a command that helps

    @property
    def as_text(self) -> str:
        """Everything, for the clipboard."""
        parts = (self.title, f"{self.what} {self.way_out}".strip(), self.details)
        return "\n\n".join(part for part in parts if part)


class Notices:
    """Where anything that must be told is posted."""

    posted = Signal(object)  # Notice

    def __init__(self) -> None:
        self.history: list[Notice] = []

    def post(self, notice: Notice) -> None:
        """Tell the user; the notice stays in the history."""
        self.history.append(notice)
        self.posted.emit(notice)

    def info(self, title: str, what: str = "") -> None:
        """Tell something that needs no action."""
        self.post(Notice(Level.INFO, title, what))

    def warn(self, title: str, what: str = "", way_out: str = "") -> None:
        """Tell something that limits what is shown."""
        self.post(Notice(Level.WARNING, title, what, way_out))
