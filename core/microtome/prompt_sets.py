"""Prompt sets: clean and corrupt prompts of one task with their answers, from JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import microtome_resources as resources
from microtome.errors import InputError


@dataclass(frozen=True, slots=True)
class SetPair:
    """One clean and corrupt prompt of a set, the answer to the clean one and the wrong one."""

    clean: str
    corrupt: str
    answer: str
    wrong: str


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The prompts of one task; ``model`` is the model that they were made for."""

    name: str
    title: str
    model: str
    description: str
    pairs: tuple[SetPair, ...]


def prompt_set_names(model: str | None = None) -> tuple[str, ...]:
    """The names of the embedded prompt sets, or of those made for one embedded model.

    A model that is not embedded has none.
    """
    if model is None:
        return resources.prompt_set_names()
    embedded = model.partition("@")[0] in resources.model_names()
    return resources.prompt_set_names(model) if embedded else ()


def load_prompt_set(name: str | Path) -> PromptSet:
    """The embedded prompt set of a name, or the one in a JSON file of the user's.

    Raises InputError for an unknown name, a file that cannot be read, and missing fields.
    """
    if isinstance(name, str) and name in resources.prompt_set_names():
        path = Path(resources.prompt_set_path(name))
    else:
        path = Path(name)
    if not path.is_file():
        known = ", ".join(resources.prompt_set_names())
        raise InputError(f"There is no prompt set {str(name)!r}.", f"Known sets: {known}.")
    try:
        return _parsed(json.loads(path.read_text(encoding="utf-8")), path.stem)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path.name} is no JSON: {error}.") from error


def _parsed(held: Any, stem: str) -> PromptSet:
    if not isinstance(held, dict) or not isinstance(held.get("pairs"), list) or not held["pairs"]:
        raise InputError(f"The prompt set {stem} holds no pairs.", 'Expected {"pairs": [...]}.')
    pairs = tuple(_pair(row, number, stem) for number, row in enumerate(held["pairs"]))
    named = {key: str(held.get(key, "")) for key in ("title", "model", "description")}
    return PromptSet(name=str(held.get("name", stem)), pairs=pairs, **named)


def _pair(row: Any, number: int, stem: str) -> SetPair:
    wanted = ("clean", "corrupt", "answer", "wrong")
    missing = [
        key for key in wanted if not isinstance(row, dict) or not isinstance(row.get(key), str)
    ]
    if missing:
        lacks = ", ".join(missing)
        raise InputError(f"Pair {number} of the prompt set {stem} lacks {lacks}.", "All are texts.")
    return SetPair(**{key: row[key] for key in wanted})
