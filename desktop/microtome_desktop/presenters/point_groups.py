"""Groups of points that the user made: their colours, their members, and what shows them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

import numpy as np
from jaxtyping import Float, Int

from microtome.records.marks import OWN_PROMPT, Marks, PointGroup
from microtome_desktop import palette
from microtome_desktop.presenters.space import Space
from microtome_desktop.presenters.space_colours import rgba

COLOUR_NAMES = ("yellow", "pink", "cyan", "green", "orange", "violet", "plain", "red")
LARGEST = 100_000  # points of a group: a session keeps each of them
_BEHIND = 0.4  # opacity of what is in no group, where there are groups
_KEPT = 32

Points = tuple[tuple[int, int], ...]
_arrays: OrderedDict[int, tuple[Points, Int[np.ndarray, "2 member"]]] = OrderedDict()


class Pick(Enum):
    """What is done with points that were caught."""

    NEW = "new"
    ADD = "add"
    REMOVE = "remove"


def colour_of(group: PointGroup) -> str:
    """A group's colour in the theme of the window."""
    return palette.POINT_GROUPS[group.colour % len(palette.POINT_GROUPS)]


def next_colour(groups: tuple[PointGroup, ...]) -> int:
    """The first colour that no group has, or the next one in turn."""
    taken = {group.colour for group in groups}
    free = (row for row in range(len(COLOUR_NAMES)) if row not in taken)
    return next(free, len(groups) % len(COLOUR_NAMES))


def free_name(groups: tuple[PointGroup, ...], wanted: str = "") -> str:
    """A name that no group has."""
    taken = {group.name for group in groups}
    if wanted and wanted not in taken:
        return wanted
    stem, number = wanted or "group", 2 if wanted else 1
    while f"{stem} {number}" in taken:
        number += 1
    return f"{stem} {number}"


def members(points: Points) -> Int[np.ndarray, "2 member"]:
    """Prompt rows and positions as arrays; remembered, because tuples are slow to read."""
    held = _arrays.get(id(points))
    if held is None or held[0] is not points:
        held = points, np.array(points, np.int64).reshape(-1, 2).T
        _arrays[id(points)] = held
        while len(_arrays) > _KEPT:
            _arrays.popitem(last=False)
    return held[1]


def points_at(space: Space, rows: Int[np.ndarray, " some"]) -> Points:
    """The members that rows of a drawing stand for, in order, each once."""
    prompts, positions = space.prompts[rows], space.positions[rows]
    order = np.lexsort((positions, prompts))
    pairs = zip(prompts[order].tolist(), positions[order].tolist(), strict=True)
    return tuple(dict.fromkeys(pairs))


def changed(group: PointGroup, points: Points, pick: Pick) -> PointGroup:
    """The group with points added or taken away."""
    held = set(group.points)
    kept = held - set(points) if pick is Pick.REMOVE else held | set(points)
    return replace(group, points=tuple(sorted(kept)))


def rows_in(space: Space, group: PointGroup) -> Int[np.ndarray, " found"]:
    """The rows of a drawing that a group holds.

    The tokens of the run are its own in every projection; rows of a prompt set only where the
    drawing is of that set.
    """
    prompts, positions = members(group.points)
    if group.prompts and space.of and group.prompts != space.of:
        own = prompts == OWN_PROMPT
        prompts, positions = prompts[own], positions[own]
    return space.rows_of(prompts, positions)


def tinted(space: Space, groups: tuple[PointGroup, ...]) -> Float[np.ndarray, "point 4"]:
    """The colours of the points: groups in theirs, the others stepping back behind them."""
    if not groups:
        return space.colours
    colours = space.colours.copy()
    colours[:, 3] *= _BEHIND
    for group in groups:
        colours[rows_in(space, group)] = rgba(colour_of(group))
    return colours


def token_colours(marks: Marks) -> Mapping[int, str]:
    """Position -> colour, for the tokens of the run that are in a group; the last group wins."""
    found: dict[int, str] = {}
    for group in marks.point_groups:
        for prompt, position in group.points:  # in order: the run's own come first
            if prompt != OWN_PROMPT:
                break
            found[position] = colour_of(group)
    return found


def token_groups(marks: Marks, position: int) -> str:
    """The names of the groups that a token of the run is in, empty without any."""
    own = (OWN_PROMPT, position)
    names = [f"“{group.name}”" for group in marks.point_groups if own in group.points]
    return f"in {', '.join(names)}" if names else ""


def count_text(group: PointGroup) -> str:
    """How many points a group has, and how many of them are tokens of the run."""
    own = sum(1 for prompt, _ in group.points if prompt == OWN_PROMPT)
    return f"{len(group.points):,} points, {own} of this prompt"
