"""The run with edits, in the place of the run: what draws the one draws the other."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.records.pattern import HeadPattern
from microtome.records.session import Session
from microtome_desktop.presenters.attention import Kind, attention_grid, head_pattern
from microtome_desktop.presenters.heatmaps import Grid, Missing, Quantity, heatmap
from microtome_desktop.state.arrays import EDITED, Arrays

_PREFIX = "edited-"
_NO_RUN = "These edits were not run yet."
_UNEDITED = "The circuit is that of the run without edits."


class Side(StrEnum):
    """Which run a panel shows."""

    WITHOUT = "without edits"
    WITH = "with edits"
    DIFFERENCE = "with \N{MINUS SIGN} without"


def has_sides(session: Session | None) -> bool:
    """Whether there is a run with edits to look at."""
    return session is not None and session.edited is not None and bool(session.edited.activations)


def as_edited(session: Session) -> Session:
    """The session as if the run with edits had been the run.

    It lacks every analysis that was not made of the run with edits.
    """
    if session.edited is None:
        return session
    own = {
        name.removeprefix(_PREFIX): one
        for name, one in session.analyses.items()
        if name.startswith(_PREFIX)
    }
    scores = {name: one for name, one in session.analyses.items() if name == "head-scores"}
    traces = (session.edited, *session.traces[1:])
    return replace(session, traces=traces, analyses=MappingProxyType({**scores, **own}))


class EditedArrays(Arrays):
    """Activations of the run with edits, where those of the run are asked for."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        self._of = arrays

    def get(self, trace: int, site: str, layer: int | None = None) -> NDArray[Any] | None:
        """The values of one site and layer, or None while a file is being read."""
        return self._of.get(EDITED if trace == 0 else trace, site, layer)

    def pattern(
        self, layer: int, head: int, *, site: str = "pattern", ask: bool = True
    ) -> HeadPattern | None:
        """None: patterns are computed again of the unedited model alone."""
        return None


def sided(session: Session, arrays: Arrays, side: Side) -> tuple[Session, Arrays]:
    """What to draw from, for one side or for the difference's own run."""
    if side is Side.WITHOUT or not has_sides(session):
        return session, arrays
    return as_edited(session), EditedArrays(arrays)


def sided_heatmap(
    session: Session, arrays: Arrays, quantity: Quantity, side: Side
) -> Grid | Missing:
    """The map of one quantity without the edits, with them, or how they change it."""
    if side is not Side.WITHOUT and session.edited is None:
        return Missing(_NO_RUN)
    if side is not Side.WITHOUT and quantity is Quantity.UNITS:
        return Missing(_UNEDITED)
    found = heatmap(*sided(session, arrays, side), quantity)
    if side is not Side.DIFFERENCE or isinstance(found, Missing):
        return found if isinstance(found, Missing) else _titled(found, side)
    return difference(found, heatmap(session, arrays, quantity))


def attention_change(
    after: Grid, session: Session, arrays: Arrays, place: tuple[int, int], kind: Kind
) -> Grid | Missing:
    """How the edits change where a head (layer, head) looks; ``after`` is its map with them."""
    before = head_pattern(session, arrays, *place, kind=kind)
    if isinstance(before, Missing):
        return before
    return difference(after, attention_grid(session, before, kind))


def difference(after: Grid | Missing, before: Grid | Missing) -> Grid | Missing:
    """How the edits change a map, where both sides have it."""
    if isinstance(before, Missing):
        return before
    if isinstance(after, Missing):
        return after
    if before.values.shape != after.values.shape:
        return Missing("The two runs were kept in different layers.")
    change = after.values - before.values
    bound = max(float(np.abs(change).max(initial=0.0)), 1e-9)
    return replace(
        after, values=change, low=-bound, high=bound, signed=True, logarithmic=False, coarser=(),
        title=f"{Side.DIFFERENCE}: {before.title}",
    )  # fmt: skip


def _titled(grid: Grid, side: Side) -> Grid:
    return grid if side is Side.WITHOUT else replace(grid, title=f"{side}: {grid.title}")
