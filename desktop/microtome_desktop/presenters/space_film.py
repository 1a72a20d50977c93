"""One site through the layers: clouds turned onto each other, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from microtome.analysis.aligning import alignment
from microtome_desktop.presenters.space import Space, keys


def family(site: str | None) -> tuple[str, int] | None:
    """The name and layer of a site that has layers, for example ``resid_post`` and 2."""
    name, _, layer = (site or "").rpartition(".")
    plain = name and "." not in name and " " not in name  # no sites are directions of features
    return (name, int(layer)) if plain and layer.isdigit() else None


@dataclass(slots=True)
class Alignments:
    """Each layer's drawing turned onto the one before it, back to the first that is there."""

    found: dict[tuple[str, int], tuple[Space, Space]] = field(default_factory=dict)

    def aligned(self, name: str, layer: int, spaces: Mapping[int, Space]) -> Space:
        """A layer's drawing in the axes of the first of an unbroken row of layers before it."""
        first = layer
        while first - 1 in spaces:
            first -= 1
        shown = spaces[first]
        for number in range(first + 1, layer + 1):
            shown = self._turned(f"{name}.{first}", number, spaces[number], shown)
        return shown

    def _turned(self, onto: str, layer: int, now: Space, before: Space) -> Space:
        held = self.found.get((onto, layer))
        if held is not None and held[0] is now:
            return held[1]
        ours, theirs = shared(now, before)
        rotation = alignment(now.points[ours], before.points[theirs])
        turned = now.turned(rotation, f"axes aligned to {onto}")
        self.found[onto, layer] = now, turned
        return turned


def shared(one: Space, other: Space) -> tuple[np.ndarray, np.ndarray]:
    """The rows of both that show the same token."""
    a, b = keys(one.prompts, one.positions), keys(other.prompts, other.positions)
    if np.array_equal(a, b):
        rows = np.arange(len(a))
        return rows, rows
    _, ours, theirs = np.intersect1d(a, b, return_indices=True)
    return ours, theirs


def between(start: Space, end: Space) -> Callable[[float], Space]:
    """The drawing on its way from one to the other, at a share from 0 to 1 of the way.

    Points that only the end has stand where they will be.
    """
    ours, theirs = shared(end, start)
    leave = end.points.copy()
    leave[ours] = start.points[theirs]
    step = end.points - leave

    def at(share: float) -> Space:
        smooth = np.float32(share * share * (3 - 2 * share))
        return replace(end, points=leave + smooth * step)

    return at
