"""A claim cut into lexemes: numbers, quoted words, names and signs, each with its column."""

from __future__ import annotations

import re
from dataclasses import dataclass

from microtome.circuits.scrubbing.terms import MOST_TEXT, refusal
from microtome.errors import InputError, expect

_LEXEME = re.compile(
    r"""\s*(?:
    (?P<number>[0-9]+)
    | (?P<word>"[^"]*"|'[^']*')
    | (?P<name>[A-Za-z_][A-Za-z_0-9]*)
    | (?P<sign><=|>=|!=|[-+=<>(),:])
    )""",
    re.VERBOSE,
)
_LONGEST_NUMBER = 9  # digits


@dataclass(frozen=True, slots=True)
class Lexeme:
    """One piece of a claim; ``kind`` is number, word, name, sign or end."""

    kind: str
    text: str
    column: int


def lexemes(text: str) -> tuple[Lexeme, ...]:
    """The pieces of a claim, and an end.

    Raises InputError with the column of what belongs to no claim, and for a text that is too long.
    """
    expect(text, str, "A claim", "a text", "Write for example 'token(at - 1)'.")
    if len(text) > MOST_TEXT:
        raise InputError(
            f"A claim has {len(text)} characters, and {MOST_TEXT} are the most.", "Shorten it."
        )
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _LEXEME.match(text, at)
        if match is None:
            raise _strange(text, at)
        kind = str(match.lastgroup)
        found.append(Lexeme(kind, match[kind], match.start(kind) + 1))
        if kind == "number" and len(match[kind]) > _LONGEST_NUMBER:
            raise refusal(text, found[-1].column, "a number too large.", "Write a smaller one.")
        at = match.end()
    return (*found, Lexeme("end", "", end + 1))


def _strange(text: str, at: int) -> InputError:
    at += len(text[at:]) - len(text[at:].lstrip())
    if text[at] in "\"'":
        return refusal(text, at + 1, "a word without its closing quote.", 'Write "Mary".')
    return refusal(
        text, at + 1, f"{text[at]!r} has no meaning here.", 'Write for example token(at) = "Mary".'
    )
