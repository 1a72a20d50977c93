"""JSON of strangers: bounded in size, depth and the length of its numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST_BYTES = 16 << 20
DEEPEST = 64


def parse_plain(data: bytes, *, most: int = MOST_BYTES) -> Any:
    """The value of a JSON text. Raises ValueError that says, after a name, what is wrong with it.

    NaN and Infinity are read: settings of models hold them.
    """
    if len(data) > most:
        raise ValueError(f"has {len(data):,} bytes, over {most:,}")
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not readable as JSON: {str(error)[:120]}") from error
    expect_flat(value)
    return value


def read_plain(path: Path, *, most: int = MOST_BYTES) -> Any:
    """The value of a JSON file. Raises ValueError as ``parse_plain``, and OSError."""
    if path.stat().st_size > most:
        raise ValueError(f"has {path.stat().st_size:,} bytes, over {most:,}")
    return parse_plain(path.read_bytes(), most=most)


def expect_flat(value: Any, deepest: int = DEEPEST) -> None:
    """Raise ValueError for a value that is nested deeper than so many levels."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > deepest:
            raise ValueError(f"is nested deeper than {deepest} levels")
        nested: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                nested.extend(item.values())
            elif isinstance(item, list):
                nested.extend(item)
        level = nested
