"""The words of claims: what a part says it computes, as a tree of frozen terms.

A claim is a small expression over the tokens of an input and the position ``at`` that is looked
at. It is parsed by our own parser and never evaluated as Python: a session may come from a
stranger, so that its length, its depth and its nested searches have limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from microtome.errors import InputError

MOST_TEXT = 500  # characters of a claim
MOST_TERMS = 120
MOST_DEPTH = 20
MOST_SEARCHES = 2  # one inside the other


class Kind(StrEnum):
    """What a term gives. ``NOTHING`` fits every kind: no such token, no such position."""

    TOKEN = "a token"
    NUMBER = "a number"
    TRUTH = "true or false"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a claim: what it is, what it gives, its own parts, and where it stands.

    ``what`` is the name of a function, an operator, or number, word, id, variable, at, last,
    nothing, search and in. ``column`` counts from 1.
    """

    what: str
    kind: Kind
    column: int
    parts: tuple[Term, ...] = ()
    value: str | int = ""


# What each function is given, and what it gives.
FUNCTIONS: Mapping[str, tuple[tuple[Kind, ...], Kind]] = {
    "token": ((Kind.NUMBER,), Kind.TOKEN),
    "previous": ((Kind.NUMBER,), Kind.NUMBER),
    "first": ((Kind.TOKEN,), Kind.NUMBER),
    "latest": ((Kind.TOKEN,), Kind.NUMBER),
    "count": ((Kind.TOKEN,), Kind.NUMBER),
    "min": ((Kind.NUMBER, Kind.NUMBER), Kind.NUMBER),
    "max": ((Kind.NUMBER, Kind.NUMBER), Kind.NUMBER),
    "if": ((Kind.TRUTH, Kind.NOTHING, Kind.NOTHING), Kind.NOTHING),
}
SEARCHES = ("first", "latest", "count")  # over positions too: first(p: condition)
PLACES: Mapping[str, Kind] = {
    "at": Kind.NUMBER,
    "last": Kind.NUMBER,
    "nothing": Kind.NOTHING,
}
RESERVED = frozenset({*FUNCTIONS, *PLACES, "id", "and", "or", "not", "in"})


def refusal(text: str, column: int, what: str, way_out: str) -> InputError:
    """The error that points at a column of a claim."""
    shown = text if len(text) <= 80 else f"{text[:77]}…"
    return InputError(f"Column {column} of the claim {shown!r}: {what}", way_out)
