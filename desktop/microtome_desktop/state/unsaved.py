"""Changes beside session files that a crash left, and that wait for a word of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

if TYPE_CHECKING:
    from microtome.session.unsaved import Unsaved


class Waiting:
    """What was found last; ``found`` is emitted for each."""

    found = Signal(object)  # microtome.session.unsaved.Unsaved

    def put(self, unsaved: Unsaved) -> None:
        """Changes were found beside a file."""
        self.found.emit(unsaved)
