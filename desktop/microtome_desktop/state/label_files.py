"""Reading labels of features: CSV, JSON, or JSON lines, ours and those of other tools."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from microtome.errors import InputError

# Columns, or keys of an object, that hold the number and the label; ours stand first.
_NUMBERS = ("feature", "index", "feature_index", "id")
_TEXTS = ("label", "description", "explanation", "name")
_MOST_BYTES, _MOST_LETTERS = 256 << 20, 500
_WAY_OUT = 'Give a CSV with the columns "feature" and "label", or a JSON list of such objects.'


def read_labels(path: Path, n_features: int) -> dict[int, str]:
    """Feature -> label of a file. Raises InputError for one that holds none, or of another size."""
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path.name} is too large for a file of labels.", _WAY_OUT)
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _csv(text) if path.suffix.lower() in {".csv", ".tsv"} else _json(text)
        found = dict(filter(None, map(_pair, rows)))
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error, RecursionError) as error:
        raise InputError(f"{path.name} cannot be read as labels ({error}).", _WAY_OUT) from error
    if not found:
        raise InputError(f"{path.name} holds no labels.", _WAY_OUT)
    beyond = max(found)
    if beyond >= n_features or min(found) < 0:
        raise InputError(
            f"{path.name} labels feature {beyond:,}, but the dictionary has {n_features:,}.",
            "Choose the labels of this dictionary.",
        )
    return found


def _csv(text: str) -> Iterable[Mapping[str, Any]]:
    first = text.partition("\n")[0]
    return csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in first else ",")


def _json(text: str) -> Iterable[Any]:
    try:
        held = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(held, dict) and not _number_in(held):
        return [{"feature": key, "label": value} for key, value in held.items()]
    return held if isinstance(held, list) else [held]


def _number_in(row: Mapping[str, Any]) -> bool:
    return any(name in row for name in _NUMBERS) and any(name in row for name in _TEXTS)


def _pair(row: Any) -> tuple[int, str] | None:
    if not isinstance(row, Mapping):
        return None
    number = next((row[name] for name in _NUMBERS if row.get(name) not in (None, "")), None)
    text = next((row[name] for name in _TEXTS if row.get(name)), None)
    if not isinstance(text, str) or not str(number).strip().isdecimal():
        return None
    return int(str(number)), " ".join(text.split())[:_MOST_LETTERS]
