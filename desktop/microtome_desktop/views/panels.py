"""The panels by name: those that are made, and those that are made when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microtome_desktop.views.panel import Panel


class Panels(dict[str, Panel]):
    """Iterates over the panels that are made; ``panels[name]`` and ``get`` make a late one."""

    def __init__(self, make: Callable[[str], None]) -> None:
        super().__init__()
        self._make = make
        self.late: set[str] = set()

    def __missing__(self, name: str) -> Panel:
        if name not in self.late:
            raise KeyError(name)
        self.late.remove(name)
        self._make(name)
        return self[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The panel, made now if it is late; ``default`` where there is none."""
        return self[name] if name in self or name in self.late else default

    @property
    def names(self) -> tuple[str, ...]:
        """Every panel, made or not."""
        return (*self, *sorted(self.late))

    def clear(self) -> None:
        """Let all of them go, and make none any more."""
        super().clear()
        self.late.clear()
