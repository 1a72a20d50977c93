"""A suite: prompts with the answers that are expected, in slices, as plain values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from microtome.errors import InputError, expect
from microtome.prompts import Prompt, as_prompt, expect_word, plain_prompt

EVERY = "all"  # the slice that every case is in


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt and the answer that should follow it.

    ``wrong`` is what the answer is compared with, ``corrupt`` a prompt of the same number of
    tokens with another answer, which circuits need. A case may be in several ``slices``; names
    read ``kind: value``, for example ``task: name``.
    """

    prompt: Prompt
    answer: str | int
    wrong: str | int | None = None
    corrupt: Prompt | None = None
    slices: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", as_prompt(self.prompt))
        expect_word(self.answer, "answer")
        if self.wrong is not None:
            expect_word(self.wrong, "wrong")
        if self.answer == self.wrong:
            raise InputError(
                f"Answer and wrong answer are both {self.answer!r}.", "Give two different words."
            )
        if self.corrupt is not None:
            object.__setattr__(self, "corrupt", as_prompt(self.corrupt))
        example = "Write for example slices=('task: name',)."
        expect(self.slices, (tuple, list), "slices", "a list of names", example)
        for name in self.slices:
            expect(name, str, "slice", "a name", example)
        object.__setattr__(self, "slices", tuple(dict.fromkeys(self.slices)))


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases under a name. Raises InputError without any."""

    name: str
    cases: Sequence[Case]
    title: str = ""

    def __post_init__(self) -> None:
        expect(self.name, str, "name", "a text", "Write for example Suite('names', [Case(…)]).")
        expect(self.cases, Sequence, "cases", "a list of cases", "Write for example [Case(…)].")
        if not self.cases:
            raise InputError(f"The suite {self.name} has no case.", "Give one or more.")
        for case in self.cases:
            expect(case, Case, "case", "a Case", "Write for example Case('The keys', 'are').")
        object.__setattr__(self, "cases", tuple(self.cases))
        object.__setattr__(self, "title", self.title or self.name)

    @property
    def slices(self) -> tuple[str, ...]:
        """The names of all slices, kind by kind: as they first come, numbers in their order."""
        names = list(dict.fromkeys(name for case in self.cases for name in case.slices))
        kinds = list(dict.fromkeys(name.partition(": ")[0] for name in names))
        places = {name: at for at, name in enumerate(names)}

        def order(name: str) -> tuple[int, int, int]:
            kind, _, value = name.partition(": ")
            number = re.match(r"\d+", value)
            return kinds.index(kind), int(number[0]) if number else -1, places[name]

        return tuple(sorted(names, key=order))

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts, case by case."""
        return tuple(case.prompt for case in self.cases)

    def first(self, limit: int | None) -> Suite:
        """The first cases, or all."""
        return self if limit is None else replace(self, cases=self.cases[:limit])

    def of_slice(self, name: str) -> Suite:
        """The cases of one slice. Raises InputError when there is none of this name."""
        if name == EVERY:
            return self
        found = tuple(case for case in self.cases if name in case.slices)
        if not found:
            raise InputError(
                f"The suite {self.name} has no slice {name!r}.",
                f"Slices: {', '.join((EVERY, *self.slices))}.",
            )
        return replace(self, cases=found)

    def as_json(self) -> dict[str, Any]:
        """The suite as its file holds it."""
        return {
            "name": self.name,
            "title": self.title,
            "cases": [_plain(case) for case in self.cases],
        }

    @property
    def digest(self) -> str:
        """The same for the same cases."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(case: Case) -> dict[str, Any]:
    held: dict[str, Any] = {"prompt": plain_prompt(case.prompt), "answer": case.answer}
    if case.wrong is not None:
        held["wrong"] = case.wrong
    if case.corrupt is not None:
        held["corrupt"] = plain_prompt(case.corrupt)
    return held | {"slices": list(case.slices)}
