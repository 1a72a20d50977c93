"""What takes too long to make where it is shown: made by a worker, kept for the panels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from psygnal import Signal

_KEPT_BYTES = 512 * 2**20  # a feature space of a million points takes 150 MB


class Prepared:
    """Drawings by what they are drawn from; each knows its ``nbytes``.

    ``arrived`` tells the panels to draw again.
    """

    arrived = Signal(object)  # the key

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, Any] = OrderedDict()
        self._asked: set[Hashable] = set()

    def get(self, key: Hashable) -> Any:
        """What was made for a key, None while there is nothing."""
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def take(self, key: Hashable) -> Any:
        """The same for good: it is not kept here any longer."""
        return self._held.pop(key, None)

    def wants(self, key: Hashable) -> bool:
        """Whether it has to be asked for: true once, until it comes or fails."""
        new = key not in self._asked
        self._asked.add(key)
        return new

    def keep(self, key: Hashable, value: Any) -> None:
        """Keep what was made at once, dropping what was not used for longest."""
        self._held[key] = value
        while len(self._held) > 1 and sum(v.nbytes for v in self._held.values()) > _KEPT_BYTES:
            self._held.popitem(last=False)

    def put(self, key: Hashable, value: Any) -> None:
        """Keep what a worker has made, and tell."""
        self.keep(key, value)
        self.arrived.emit(key)

    def forget(self, key: Hashable) -> None:
        """It will not come, or has come: it may be asked for again."""
        self._asked.discard(key)

    def clear(self) -> None:
        """Another session: nothing of the last one is shown again."""
        self._held.clear()
        self._asked.clear()
