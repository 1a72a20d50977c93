"""What leaves the window: tables, and text on its way to the clipboard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psygnal import Signal


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers: text, whole numbers, or floats at full precision."""

    headers: tuple[str, ...]
    rows: Sequence[Sequence[Any]]

    def text(self, delimiter: str = ",") -> str:
        """The table as csv writes it, a line a row; an empty cell for None and for no number."""
        held = io.StringIO()
        writer = csv.writer(held, delimiter=delimiter, lineterminator="\n")
        writer.writerow(self.headers)
        writer.writerows([_cell(value) for value in row] for row in self.rows)
        return held.getvalue()

    def json(self, made: Sequence[Mapping[str, Any]] | None = None) -> str:
        """The rows as a JSON list of objects, null for what is no number; beside what made them."""
        rows = [
            {header: _plain(value) for header, value in zip(self.headers, row, strict=True)}
            for row in self.rows
        ]
        told = rows if made is None else {"made": list(made), "rows": rows}
        return json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    held = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(held, float) and not np.isfinite(held) else held


def _cell(value: Any) -> str:
    # The text of a numpy number is the shortest that reads back as the same number.
    floating = isinstance(value, float | np.floating)
    return "" if value is None or (floating and np.isnan(value)) else str(value)


class Clip:
    """Text that a worker made for the clipboard, which only the window can reach."""

    offered = Signal(str)

    def put(self, text: str) -> None:
        """Text has arrived."""
        self.offered.emit(text)
