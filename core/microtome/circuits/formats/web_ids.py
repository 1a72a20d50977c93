"""Which node an id of a file means: known collisions of old files, resolved where certain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int

from microtome.circuits.formats.links import Links
from microtome.circuits.formats.rows import counted
from microtome.circuits.formats.web_nodes import current_error_id
from microtome.errors import GraphError

# In these files links name nodes by the name that the page uses.
_NAMED_BY_PAGE = "jackl-circuits-runs-1-4-sofa-v3_0"


@dataclass(frozen=True, slots=True, eq=False)
class Ids:
    """Today's id of every node of a file, and what the file's own ids mean."""

    current: tuple[str, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)  # certain ones
    collided: Mapping[str, int] = field(default_factory=dict)  # id of a feature → row of an error

    def rename(self, id_: Any) -> Any:
        """Today's id of one that the file names; those that mean two nodes stay the feature's."""
        return self.renamed.get(id_, id_) if isinstance(id_, str) else id_


def ids_of(nodes: list[Any], scan: str) -> Ids:
    """The ids of a file's nodes. Raises GraphError where two share one for no known reason."""
    key = "jsNodeId" if scan == _NAMED_BY_PAGE else "node_id"
    given, current, renamed = [], [], {}
    for node in nodes:
        if not isinstance(node, dict) or not isinstance(node.get(key), str):
            raise GraphError(
                f"A node of the file has no {key}: {str(node)[:120]}.", "Export it anew."
            )
        today = current_error_id(node) if key == "node_id" else None
        given.append(node[key])
        current.append(today or node[key])
        if today:
            renamed[node[key]] = today
    _expect_unique(current)
    plain = {id_ for id_, today in zip(given, current, strict=True) if id_ == today}
    row = {id_: number for number, id_ in enumerate(current)}
    collided = {id_: row[today] for id_, today in renamed.items() if id_ in plain}
    certain = {id_: today for id_, today in renamed.items() if id_ not in collided}
    return Ids(tuple(current), certain, collided)


def _expect_unique(ids: list[str]) -> None:
    first: dict[str, int] = {}
    for number, id_ in enumerate(ids):
        if id_ in first:
            raise GraphError(
                f"The nodes {first[id_]} and {number} of the file are both called {id_[:80]}; "
                "which of them a link means cannot be told.",
                "Give each node its own id.",
            )
        first[id_] = number


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Rows of nodes at the ends of links, -1 where there is none, and what was decided."""

    source: Int[np.ndarray, " link"]
    target: Int[np.ndarray, " link"]
    notes: tuple[str, ...] = ()


def ends_of(links: Links, ids: Ids) -> Ends:
    """The nodes that links connect."""
    row_of = np.full(len(links.numbers), -1, np.int32)
    for row, id_ in enumerate(ids.current):
        number = links.numbers.get(id_)
        if number is not None:
            row_of[number] = row
    for old, today in ids.renamed.items():
        number, now = links.numbers.get(old), links.numbers.get(today)
        if number is not None:
            row_of[number] = ids.current.index(today) if now is None else row_of[now]
    source, target = row_of[links.source], row_of[links.target]
    notes = _resolve(links, ids, source) if ids.collided else ()
    return Ends(source, target, notes)


def _resolve(links: Links, ids: Ids, source: Int[np.ndarray, " link"]) -> tuple[str, ...]:
    """Give the second of two links with equal ends to the error node: errors come behind features.

    An error has no inputs, so only sources are in doubt. A single link is left to the feature.
    """
    numbers = {links.numbers[id_]: row for id_, row in ids.collided.items() if id_ in links.numbers}
    named = links.source
    doubtful = np.flatnonzero(np.isin(named, list(numbers)))
    seen: set[tuple[int, int]] = set()
    second = 0
    for link in doubtful.tolist():
        ends = int(named[link]), int(links.target[link])
        if ends in seen:
            source[link] = numbers[ends[0]]
            second += 1
        seen.add(ends)
    single = len(doubtful) - 2 * second
    notes = [f"{counted(len(ids.collided), 'id')} meant both a feature and an error node."]
    if single:
        notes.append(f"{counted(single, 'link')} may start at either; they stay with the feature.")
    return tuple(notes)
