"""Suites from files and from prompt sets, with the slices that these know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import microtome_resources as resources
from microtome.errors import InputError, WrongKind, described, expect
from microtome.prompt_sets import PromptSet, SetPair, load_prompt_set, read_json
from microtome.prompts import Prompt, plain_prompt
from microtome.records.suite import Case, Suite

_COMMON = 5  # cases with the same answer make a slice
_KEYS = ("prompt", "answer", "wrong", "corrupt", "slices")
_WAY_OUT = "Each case needs prompt and answer; wrong, corrupt and slices may stand beside them."

Source = str | Path | PromptSet


def load_suite(
    source: Source | Sequence[Source],
    *,
    limit: int | None = None,
    words: Mapping[str, Sequence[str]] | None = None,
) -> Suite:
    """A suite from its JSON file, or from one or several prompt sets.

    Of sets the clean prompts are the cases, the first ``limit`` of each or all; their slices are
    the ``task``, each ``answer`` that five or more cases of a task share with others beside it, and
    the ``length`` in three parts of about as many cases, counted in words (ids: in tokens).
    ``words`` makes further slices, of either: a case is in one whose list has a word of its
    prompt, for example ``{"gender: she": ["Mary", "Kate"]}``.
    Raises InputError that names what is missing or wrong.
    """
    if limit is not None:
        expect(limit, int, "limit", "a number of cases", "Give 1 or more, or None for all.")
        if limit < 1:
            raise InputError(f"The limit is {limit} cases.", "Give 1 or more, or None for all.")
    listed: list[Any] = [source] if isinstance(source, str | Path | PromptSet) else _list(source)
    if len(listed) == 1 and _is_suite(listed[0]):
        suite = _read(Path(listed[0]).expanduser()).first(limit)
    else:
        suite = suite_of_sets([_set(one) for one in listed], limit=limit)
    return suite if words is None else with_words(suite, words)


def _list(source: Any) -> list[Any]:
    if not isinstance(source, Sequence) or not source:
        raise WrongKind(
            f"source is {described(source)}, but a file, a prompt set or a list was expected.",
            "Write for example load_suite('suite.json') or load_suite(['name', 'agreement']).",
        )
    return list(source)


def _set(one: Any) -> PromptSet:
    if isinstance(one, PromptSet):
        return one
    way_out = "Write for example load_suite('suite.json') or load_suite(['name', 'agreement'])."
    expect(one, (str, Path), "source", "a prompt set or a file", way_out)
    return load_prompt_set(one)


def _is_suite(source: Any) -> bool:
    """Whether it names a file that holds cases, not pairs."""
    if not isinstance(source, str | Path) or str(source) in resources.prompt_set_names():
        return False
    path = Path(source).expanduser()
    return path.is_file() and "pairs" not in _dict(read_json(path, "a suite"))


def _dict(row: Any) -> dict[str, Any]:
    return row if isinstance(row, dict) else {}


def prompts_in(source: Source) -> tuple[Prompt, ...]:
    """All prompts of a suite file or of a prompt set, clean and corrupt. Raises InputError."""
    if _is_suite(source):
        cases = _read(Path(str(source)).expanduser()).cases
        listed = [prompt for case in cases for prompt in (case.prompt, case.corrupt)]
        return tuple(prompt for prompt in listed if prompt is not None)
    return tuple(prompt for pair in _set(source).pairs for prompt in (pair.clean, pair.corrupt))


# ---------------------------------------------------------------------- files


def _read(path: Path) -> Suite:
    content = _dict(read_json(path, "a suite"))
    rows = content.get("cases")
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path.name} is not a suite: it has no list of cases.", _WAY_OUT)
    name = str(content.get("name", path.stem))
    cases = tuple(_case(path, at, _dict(row)) for at, row in enumerate(rows))
    return Suite(name, cases, str(content.get("title", name)))


def _case(path: Path, at: int, row: dict[str, Any]) -> Case:
    for key in ("prompt", "answer"):
        if key not in row:
            raise InputError(f"{path.name} is not a suite: case {at} has no {key}.", _WAY_OUT)
    if unknown := [key for key in row if key not in _KEYS]:
        told = f"case {at} has {unknown[0]!r}, which no case has"
        raise InputError(f"{path.name} is not a suite: {told}.", _WAY_OUT)
    if marked := [key for key in ("answer", "wrong") if isinstance(row.get(key), bool)]:
        told = f"of case {at}, {marked[0]} is {row[marked[0]]}, neither a word nor a token id"
        raise InputError(f"{path.name} is not a suite: {told}.", _WAY_OUT)
    held = {key: row[key] for key in _KEYS[:-1] if key in row}
    held |= {key: tuple(ids) for key, ids in held.items() if isinstance(ids, list)}
    try:
        return Case(**held, slices=row.get("slices", ()))
    except InputError as error:
        raise InputError(
            f"{path.name} is not a suite: of case {at}, {error.what}", _WAY_OUT
        ) from error


# ---------------------------------------------------------------------- prompt sets


def suite_of_sets(sets: Sequence[PromptSet], *, limit: int | None = None) -> Suite:
    """The clean prompts of prompt sets as cases, in slices by task, answer and length."""
    cases = [case for held in sets for case in _cases(held, held.pairs[:limit])]
    names = [held.name for held in sets]
    title = sets[0].title if len(sets) == 1 else f"{len(sets)} tasks"
    return Suite("+".join(names), tuple(_by_length(cases)), title)


def _cases(held: PromptSet, pairs: Sequence[SetPair]) -> list[Case]:
    shared = Counter(pair.answer for pair in pairs)
    cases = []
    for pair in pairs:
        slices = [f"task: {held.name}"]
        if _COMMON <= shared[pair.answer] < len(pairs):
            slices.append(f"answer: {pair.answer}")
        cases.append(Case(pair.clean, pair.answer, pair.wrong, pair.corrupt, tuple(slices)))
    return cases


def _by_length(cases: Sequence[Case]) -> list[Case]:
    """Each case in one of three slices of about as many cases, where lengths differ."""
    lengths = [_length(case.prompt) for case in cases]
    ordered = sorted(lengths)
    ends = sorted({ordered[(part * len(ordered) - 1) // 3] for part in (1, 2, 3)})
    if len(ends) == 1:
        return list(cases)
    starts = [ordered[0], *(end + 1 for end in ends[:-1])]
    named = {
        end: f"length: {start}" if start == end else f"length: {start}–{end}"
        for start, end in zip(starts, ends, strict=True)
    }
    return [
        replace(case, slices=(*case.slices, named[next(end for end in ends if length <= end)]))
        for case, length in zip(cases, lengths, strict=True)
    ]


def _length(prompt: Prompt) -> int:
    told = plain_prompt(prompt)
    return len(told.split()) if isinstance(told, str) else len(told)


def with_words(suite: Suite, words: Mapping[str, Sequence[str]]) -> Suite:
    """The suite with slices of the prompts that hold one of some words.

    Raises InputError for a slice that no case is in.
    """
    wanted = "a table of slices and their words"
    example = "Write for example words={'gender: she': ['Mary', 'Kate']}."
    expect(words, Mapping, "words", wanted, example)
    cases = list(suite.cases)
    for name, listed in words.items():
        own, found = set(listed), False
        for at, case in enumerate(cases):
            if own & _words(case.prompt):
                cases[at] = replace(case, slices=(*case.slices, name))
                found = True
        if not found:
            raise InputError(f"No prompt holds a word of the slice {name!r}.", example)
    return replace(suite, cases=tuple(cases))


def _words(prompt: Prompt) -> set[str]:
    return {word.strip(".,;:?!") for word in prompt.split()} if isinstance(prompt, str) else set()
