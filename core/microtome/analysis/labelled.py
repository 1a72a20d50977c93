"""Labelled prompts for probes: typed, from a file, or from a prompt set with answers.

Typed are lines of a label and a prompt with a bar or a tab between; a third part names what belongs
together, such as a pair that differs in the concept alone:

    singular | The key to the cabinets | 1
    plural | The keys to the cabinet | 1
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microtome.errors import InputError
from microtome.prompt_sets import PromptSet, load_prompt_set
from microtome.prompts import Prompt

_LIMIT = 16 << 20  # bytes of a file
_WAY_OUT = (
    "Write a line for each prompt, label | prompt, or give a CSV or JSON file with the columns "
    "prompt and label, and group if prompts belong together."
)


@dataclass(frozen=True, slots=True)
class LabelledPrompts:
    """Prompts with a label each; those of one group are never on both sides of a validation."""

    prompts: tuple[Prompt, ...]
    labels: tuple[str, ...]
    groups: tuple[int, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many prompts have each label."""
        return {label: self.labels.count(label) for label in sorted(set(self.labels))}


@dataclass(frozen=True, slots=True)
class ProbeExample:
    """Labelled prompts of an embedded prompt set: its answers stand for labels."""

    name: str
    title: str
    prompt_set: str
    labels: Mapping[str, str]


EXAMPLES = (
    ProbeExample("grammar", "Grammar: singular or plural subject", "agreement",
                 {"is": "singular", "was": "singular", "are": "plural", "were": "plural"}),
    ProbeExample("sentiment", "Sentiment: good or bad", "sentiment",
                 {"liked": "good", "happy": "good", "hated": "bad", "sad": "bad"}),
    ProbeExample("entity", "Entity: woman or man", "pronoun",
                 {"she": "woman", "her": "woman", "he": "man", "his": "man"}),
)  # fmt: skip


def example_prompts(name: str, pairs: int | None = None) -> LabelledPrompts:
    """The prompts of an example, of the first so many pairs. Raises InputError for no such name."""
    for one in EXAMPLES:
        if one.name == name:
            return labelled_pairs(load_prompt_set(one.prompt_set), one.labels, pairs)
    known = ", ".join(one.name for one in EXAMPLES)
    raise InputError(f"There is no example {name!r}.", f"Known: {known}.")


def labelled_pairs(
    held: PromptSet, names: Mapping[str, str] | None = None, pairs: int | None = None
) -> LabelledPrompts:
    """Both prompts of each pair, labelled by their answers, or by what these stand for."""
    rows: list[tuple[Prompt, str, Any]] = []
    for number, one in enumerate(held.pairs[:pairs]):
        for prompt, answer in ((one.clean, one.answer), (one.corrupt, one.wrong)):
            label = str(answer) if names is None else names.get(str(answer), str(answer))
            rows.append((prompt, label, number))
    return _together(rows, held.name)


def parse_labelled(text: str, name: str = "The text") -> LabelledPrompts:
    """Lines as they are typed. Raises InputError that names the line."""
    rows: list[tuple[Prompt, str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split("\t" if "\t" in line else "|")]
        if len(parts) not in {2, 3} or not all(parts[:2]):
            raise InputError(
                f"Line {number} is no label | prompt: {line.strip()[:60]!r}.", _WAY_OUT
            )
        rows.append((parts[1], parts[0], parts[2] if len(parts) == 3 else f"line {number}"))
    return _together(rows, name)


def lines_of(held: LabelledPrompts) -> str:
    """The same as lines to type; groups are named where there are any."""
    grouped = len(set(held.groups)) < len(held.groups)
    rows = zip(held.labels, held.prompts, held.groups, strict=True)
    return "\n".join(
        f"{label} | {prompt}{f' | {group + 1}' if grouped else ''}" for label, prompt, group in rows
    )


def read_labelled(path: str | Path) -> LabelledPrompts:
    """The labelled prompts of a CSV, TSV, JSON, JSON lines or text file.

    Raises InputError for what cannot be read, or has no prompts and labels.
    """
    place = Path(path).expanduser()
    if place.exists() and not place.is_file():  # a pipe would be waited for
        raise InputError(f"{place.name} cannot be read: it is no plain file.", _WAY_OUT)
    try:
        if place.stat().st_size > _LIMIT:
            raise InputError(f"{place.name} is too large for labelled prompts.", _WAY_OUT)
        text = place.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"{place.name} cannot be read: {what}.", _WAY_OUT) from error
    if place.suffix.lower() in {".json", ".jsonl"}:
        return _of_rows(_json_rows(text, place), place.name)
    if place.suffix.lower() in {".csv", ".tsv"}:
        tabs = place.suffix.lower() == ".tsv"
        return _of_rows(
            csv.DictReader(text.splitlines(), delimiter="\t" if tabs else ","), place.name
        )
    return parse_labelled(text, place.name)


def _json_rows(text: str, place: Path) -> list[Any]:
    try:
        if place.suffix.lower() == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place.name} is not readable as JSON: {error}.", _WAY_OUT) from error
    if not isinstance(held, list):
        raise InputError(f"{place.name} holds no list of prompts.", _WAY_OUT)
    return held


def _of_rows(rows: Iterable[Any], name: str) -> LabelledPrompts:
    found: list[tuple[Prompt, str, Any]] = []
    for number, row in enumerate(rows):
        told = row if isinstance(row, dict) else {}
        prompt, label = told.get("prompt"), str(told.get("label") or "").strip()
        ids = isinstance(prompt, list) and all(type(token) is int for token in prompt)
        if not (ids or (isinstance(prompt, str) and prompt.strip())) or not label:
            raise InputError(f"{name} has no prompt and label in row {number + 1}.", _WAY_OUT)
        given = tuple(prompt) if isinstance(prompt, list) else str(prompt)
        group = told.get("group")
        found.append((given, label, f"row {number}" if group in {None, ""} else str(group)))
    return _together(found, name)


def _together(rows: list[tuple[Prompt, str, Any]], name: str) -> LabelledPrompts:
    if not rows:
        raise InputError(f"{name} holds no labelled prompts.", _WAY_OUT)
    numbers: dict[Any, int] = {}
    groups = tuple(numbers.setdefault(group, len(numbers)) for _, _, group in rows)
    return LabelledPrompts(tuple(row[0] for row in rows), tuple(row[1] for row in rows), groups)
