"""How large the parts of a session file would be."""

from __future__ import annotations

from psygnal import Signal


class Sizes:
    """The last estimate: title and bytes of each part."""

    changed = Signal(object)  # tuple[tuple[str, int], ...]

    def __init__(self) -> None:
        self.parts: tuple[tuple[str, int], ...] = ()

    def put(self, parts: tuple[tuple[str, int], ...]) -> None:
        """An estimate has arrived."""
        self.parts = parts
        self.changed.emit(parts)
