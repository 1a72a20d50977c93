"""What claims mean: the value of each at every position of an input, from its tokens alone."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from microtome.circuits.scrubbing.terms import Term
from microtome.errors import InputError
from microtome.jobs import Job, job_or_default
from microtome.metrics import Vocabulary

# A token's id, a number, a truth, or nothing.
Value: TypeAlias = int | bool | None
Reading: TypeAlias = Callable[["Place"], Value]

MOST_STEPS = 50_000_000  # of searches, over all inputs of a run
_LOOK = 4096  # steps between two looks at the job


@dataclass(slots=True)
class Meter:
    """Counts the steps of searches, stops where the user wants, and refuses what has no end."""

    job: Job = field(default_factory=lambda: job_or_default(None))
    steps: int = 0

    def tick(self) -> None:
        """One position looked at."""
        self.steps += 1
        if self.steps % _LOOK == 0:
            self.job.check()
        if self.steps > MOST_STEPS:
            raise InputError(
                f"The claims look at more than {MOST_STEPS:,} positions.",
                "Give fewer or shorter inputs, or claims with fewer searches.",
            )


@dataclass(slots=True)
class Place:
    """A position of an input, and what the variables of searches stand at."""

    ids: Sequence[int]
    at: int
    meter: Meter
    variables: dict[str, int] = field(default_factory=dict)


def reading(term: Term, vocabulary: Vocabulary) -> Reading:
    """What gives a claim's value at a place; its words become tokens of the vocabulary.

    Raises AnswerError for a word that is not one token.
    """
    if term.what in ("word", "id"):
        token = vocabulary.answer_token(term.value)
        return lambda _: token
    if term.what.endswith(" search"):
        return _search(term.what, str(term.value), reading(term.parts[0], vocabulary))
    if not term.parts:
        return _leaf(term)
    parts = tuple(reading(part, vocabulary) for part in term.parts)
    return _RULES[term.what](parts)


def values(
    term: Term, vocabulary: Vocabulary, ids: Sequence[int], meter: Meter | None = None
) -> tuple[Value, ...]:
    """The value of a claim at every position of an input."""
    read = reading(term, vocabulary)
    meter = meter or Meter()
    return tuple(read(Place(ids, at, meter)) for at in range(len(ids)))


def _leaf(term: Term) -> Reading:
    value = term.value
    if term.what == "variable":
        return lambda place: place.variables[str(value)]
    if term.what == "number":
        return lambda _: int(value)
    return _PLACES[term.what]


_PLACES: Mapping[str, Reading] = {
    "at": lambda place: place.at,
    "last": lambda place: len(place.ids) - 1,
    "nothing": lambda _: None,
}


def _search(what: str, name: str, condition: Reading) -> Reading:
    kind = what.partition(" ")[0]

    def read(place: Place) -> Value:
        order = range(len(place.ids))
        found = 0
        for at in reversed(order) if kind == "latest" else order:
            place.meter.tick()
            place.variables[name] = at
            if condition(place):
                if kind != "count":
                    return at
                found += 1
        return found if kind == "count" else None

    return read


def _token(parts: tuple[Reading, ...]) -> Reading:
    def read(place: Place) -> Value:
        at = parts[0](place)
        return place.ids[at] if at is not None and 0 <= at < len(place.ids) else None

    return read


def _previous(parts: tuple[Reading, ...]) -> Reading:
    def read(place: Place) -> Value:
        at = parts[0](place)
        if at is None or not 0 <= at < len(place.ids):
            return None
        found = _where(place, place.ids[at], at)
        return found[-1] if found else None

    return read


def _where(place: Place, token: Value, before: int | None = None) -> list[int]:
    place.meter.tick()
    return [at for at, own in enumerate(place.ids[:before]) if own == token]


def _of_token(choose: Callable[[list[int]], Value]) -> Callable[[tuple[Reading, ...]], Reading]:
    return lambda parts: lambda place: choose(_where(place, parts[0](place)))


def _of_numbers(act: Callable[..., Value]) -> Callable[[tuple[Reading, ...]], Reading]:
    """A function of numbers, nothing where one of them is nothing."""

    def rule(parts: tuple[Reading, ...]) -> Reading:
        def read(place: Place) -> Value:
            given = [part(place) for part in parts]
            return None if None in given else act(*given)

        return read

    return rule


def _compare(act: Callable[[int, int], bool]) -> Callable[[tuple[Reading, ...]], Reading]:
    """An order of numbers, false where one of them is nothing."""

    def rule(parts: tuple[Reading, ...]) -> Reading:
        def read(place: Place) -> Value:
            left, right = parts[0](place), parts[1](place)
            return left is not None and right is not None and act(left, right)

        return read

    return rule


_RULES: Mapping[str, Callable[[tuple[Reading, ...]], Reading]] = {
    "or": lambda parts: lambda place: bool(parts[0](place)) or bool(parts[1](place)),
    "and": lambda parts: lambda place: bool(parts[0](place)) and bool(parts[1](place)),
    "not": lambda parts: lambda place: not parts[0](place),
    "=": lambda parts: lambda place: parts[0](place) == parts[1](place),
    "!=": lambda parts: lambda place: parts[0](place) != parts[1](place),
    "in": lambda parts: lambda place: parts[0](place) in [part(place) for part in parts[1:]],
    "if": lambda parts: lambda place: parts[1](place) if parts[0](place) else parts[2](place),
    "<": _compare(operator.lt),
    "<=": _compare(operator.le),
    ">": _compare(operator.gt),
    ">=": _compare(operator.ge),
    "+": _of_numbers(operator.add),
    "-": _of_numbers(operator.sub),
    "min": _of_numbers(min),
    "max": _of_numbers(max),
    "token": _token,
    "previous": _previous,
    "first": _of_token(lambda found: found[0] if found else None),
    "latest": _of_token(lambda found: found[-1] if found else None),
    "count": _of_token(len),
}
