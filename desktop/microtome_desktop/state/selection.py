"""The one selection that drives every panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from psygnal import Signal


@dataclass(frozen=True, slots=True)
class Selected:
    """What is selected: a place in the prompt, in the model, and in the circuit.

    ``node`` is a node id of the circuit; ``edge`` a pair of node ids with the edge kind's
    number; ``prompt`` the row of a prompt set that a point of the feature space belongs to
    (None for the prompt that was run). ``others`` are nodes that are selected beside ``node``,
    for what is done to several at once. ``feature`` is the fingerprint of a sparse dictionary and
    the number of a feature in it; ``hovered_feature`` is one that the pointer is on. ``unit`` is
    one of a model that sees, as ``records.units.Unit`` writes it: ``pool/12``.
    """

    position: int | None = None
    layer: int | None = None
    head: int | None = None
    neuron: int | None = None
    site: str | None = None
    node: str | None = None
    edge: tuple[str, str, int] | None = None
    prompt: int | None = None
    others: tuple[str, ...] = ()
    hovered_position: int | None = None
    feature: tuple[str, int] | None = None
    unit: str | None = None
    hovered_feature: tuple[str, int] | None = None


class Selection:
    """Holds the current ``Selected`` and tells who listens what changed."""

    # Emits the new value and the names of the fields that differ from the old one.
    changed = Signal(Selected, frozenset)

    def __init__(self) -> None:
        self._current = Selected()
        # What else changes with some changes, so that one act tells of both at once.
        self.follow: Callable[[Selected, Mapping[str, Any]], Mapping[str, Any]] | None = None

    @property
    def current(self) -> Selected:
        """The selection now."""
        return self._current

    def update(self, **changes: Any) -> None:
        """Change the named fields; the others stay. Nothing is emitted when nothing differs."""
        if self.follow is not None:
            changes = {**self.follow(self._current, changes), **changes}
        new = replace(self._current, **changes)
        names = [field.name for field in fields(Selected)]
        differing = frozenset(n for n in names if getattr(new, n) != getattr(self._current, n))
        if differing:
            self._current = new
            self.changed.emit(new, differing)

    def clear(self) -> None:
        """Select nothing."""
        self.update(**{field.name: field.default for field in fields(Selected)})
