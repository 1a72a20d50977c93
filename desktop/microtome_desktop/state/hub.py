"""What the hub said of the model that somebody asked for last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psygnal import Signal

if TYPE_CHECKING:
    from microtome.models.download import Download


@dataclass(frozen=True, slots=True)
class Looked:
    """A model that is here already, one that would be fetched, or why it cannot be opened."""

    name: str = ""
    plan: Download | None = None
    problem: str = ""

    @property
    def here(self) -> bool:
        """Whether it opens without the network."""
        return bool(self.name) and self.plan is None and not self.problem


class Hub:
    """Holds the answer and tells who listens when another one comes."""

    changed = Signal(object)  # Looked

    def __init__(self) -> None:
        self.looked = Looked()

    def put(self, looked: Looked) -> None:
        """An answer has arrived."""
        self.looked = looked
        self.changed.emit(looked)
