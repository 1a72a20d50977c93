"""Labellers that installed packages offer, by name; looking for them loads none of them.

A package offers a class, or a function without arguments, under the entry point group
``microtome.labellers``:

    [project.entry-points."microtome.labellers"]
    mine = "my_package.labels:MyLabeller"
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

GROUP = "microtome.labellers"


def offered_labellers() -> dict[str, EntryPoint]:
    """What is offered, by name."""
    return {one.name: one for one in entry_points(group=GROUP)}


def installed_labellers() -> tuple[str, ...]:
    """The names on offer, in the order of the alphabet."""
    return tuple(sorted(offered_labellers()))
