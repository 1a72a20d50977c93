"""Prompt sets: named lists of clean and corrupt prompts with their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import microtome_resources as resources
from microtome.errors import InputError
from microtome.prompts import Prompt, PromptPair, as_prompt
from microtome.triage.plain_json import read_plain

_LIMIT = 16 << 20  # bytes of a file


@dataclass(frozen=True, slots=True)
class SetPair:
    """One question of a set: two prompts, the answer to the clean one and a wrong answer."""

    clean: Prompt
    corrupt: Prompt
    answer: str | int
    wrong: str | int

    @property
    def pair(self) -> PromptPair:
        """The two prompts."""
        return PromptPair(self.clean, self.corrupt)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """A set of questions that ask for one ability.

    ``model`` is the embedded model that the set was made for, empty when it fits any.
    """

    name: str
    title: str
    model: str
    description: str
    pairs: tuple[SetPair, ...]


def prompt_set_names(model: str | None = None) -> tuple[str, ...]:
    """The names of the embedded sets, or of those made for one model."""
    if model is not None and model.partition("@")[0] not in resources.model_names():
        return ()
    return tuple(resources.prompt_set_names(model))


def load_prompt_set(name: str | Path) -> PromptSet:
    """An embedded set, or one from a JSON file of the same form.

    Raises InputError that names what is missing or wrong in it.
    """
    text = str(name)
    if text in resources.prompt_set_names():
        return _read(resources.prompt_set_path(text))
    path = Path(text).expanduser()
    if not path.is_file():
        known = ", ".join(resources.prompt_set_names())
        raise InputError(
            f"There is no prompt set {text!r}, embedded or as a file.", f"Embedded: {known}."
        )
    return _read(path)


def read_json(path: Path, what: str = "a prompt set") -> Any:
    """What a JSON file holds. Raises InputError for one that is too large or cannot be read."""
    try:
        if path.stat().st_size > _LIMIT:
            raise InputError(f"{path.name} is too large for {what}.")
        return read_plain(path, most=_LIMIT)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InputError(f"{path.name} {error}.") from error


def _read(path: Path) -> PromptSet:
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("pairs"), list):
        raise _bad(path, "it has no list of pairs")
    if not content["pairs"]:
        raise _bad(path, "its list of pairs is empty")
    name = str(content.get("name", path.stem))
    return PromptSet(
        name=name,
        title=str(content.get("title", name)),
        model=str(content.get("model", "")),
        description=str(content.get("description", "")),
        pairs=tuple(_pair(path, at, row) for at, row in enumerate(content["pairs"])),
    )


def _pair(path: Path, at: int, row: Any) -> SetPair:
    missing = [key for key in ("clean", "corrupt", "answer", "wrong") if key not in _dict(row)]
    if missing:
        raise _bad(path, f"pair {at} has no {missing[0]}")
    clean, corrupt = (_prompt(path, at, row[side]) for side in ("clean", "corrupt"))
    answer, wrong = (_word(path, at, row[side]) for side in ("answer", "wrong"))
    return SetPair(clean, corrupt, answer, wrong)


def _dict(row: Any) -> dict[str, Any]:
    return row if isinstance(row, dict) else {}


def _prompt(path: Path, at: int, value: Any) -> Prompt:
    ids = isinstance(value, Sequence) and all(type(token) is int for token in value)
    if not isinstance(value, str) and not ids:
        raise _bad(path, f"a prompt of pair {at} is neither text nor a list of token ids")
    return as_prompt(value)


def _word(path: Path, at: int, value: Any) -> str | int:
    if type(value) not in (str, int):
        raise _bad(path, f"an answer of pair {at} is neither a word nor a token id")
    return value  # type: ignore[no-any-return]


def _bad(path: Path, why: str) -> InputError:
    return InputError(
        f"{path.name} is not a prompt set: {why}.",
        "Each pair needs clean, corrupt, answer and wrong.",
    )
