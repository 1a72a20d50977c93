"""Keys of a file's nodes that no column holds.

They are kept short, and by node id, so that they survive the choice of a part of the graph.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Kept = dict[str, dict[str, Any]]  # key → usual value, other values by id, ids without it


def packed(ids: Sequence[str], extras: Sequence[Mapping[str, Any]]) -> Kept:
    """What many nodes have as an own key is written once."""
    keys = dict.fromkeys(key for extra in extras for key in extra)
    return {key: _column(key, ids, extras) for key in keys}


def _column(key: str, ids: Sequence[str], extras: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    held = {id_: extra[key] for id_, extra in zip(ids, extras, strict=True) if key in extra}
    told = {id_: _comparable(value) for id_, value in held.items()}
    most, count = Counter(told.values()).most_common(1)[0]
    if 2 * count <= len(ids):
        return {"nodes": held}
    column = {
        "usual": next(value for id_, value in held.items() if told[id_] == most),
        "nodes": {id_: value for id_, value in held.items() if told[id_] != most},
        "without": [id_ for id_ in ids if id_ not in held],
    }
    return {name: value for name, value in column.items() if name == "usual" or value}


def _comparable(value: Any) -> tuple[type, Any]:
    """Equal for equal values alone: 1, 1.0 and true are three."""
    if isinstance(value, list | dict):
        return type(value), json.dumps(value, sort_keys=True)
    return type(value), value


def unpacked(kept: Any, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The keys of each node that were packed; nothing for what is no such table."""
    found: list[dict[str, Any]] = [{} for _ in ids]
    for key, column in kept.items() if isinstance(kept, dict) else ():
        others = column.get("nodes", {})
        without = set(column.get("without", ()))
        for id_, extra in zip(ids, found, strict=True):
            if id_ in others:
                extra[key] = others[id_]
            elif "usual" in column and id_ not in without:
                extra[key] = column["usual"]
    return found
