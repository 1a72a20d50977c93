"""The grammar of claims: what each form means, and how what is no claim is refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from microtome.circuits.scrubbing import meaning
from microtome.circuits.scrubbing.meaning import Meter, values
from microtome.circuits.scrubbing.parser import parse_claim
from microtome.circuits.scrubbing.terms import MOST_TERMS, MOST_TEXT
from microtome.errors import AnswerError, Cancelled, InputError
from microtome.jobs import Job

WORDS = {"Mary": 1, "John": 2, "store": 3}


class Words:
    """A vocabulary of three words; the ids 0 to 6 are tokens."""

    def answer_token(self, word: str | int) -> int:
        if isinstance(word, str) and word not in WORDS:
            raise AnswerError(f"{word!r} is no token.")
        return WORDS[word] if isinstance(word, str) else word

    def token_text(self, token: int) -> str:
        return str(token)


def before(ids: Sequence[int], at: int | None) -> int | None:
    """The last place before ``at`` of the token there, found the slow way."""
    if at is None or not 0 <= at < len(ids):
        return None
    return next((p for p in range(at - 1, -1, -1) if ids[p] == ids[at]), None)


def token(ids: Sequence[int], at: int | None) -> int | None:
    return ids[at] if at is not None and 0 <= at < len(ids) else None


def plus(at: int | None, more: int) -> int | None:
    return None if at is None else at + more


def repeated_name(ids: Sequence[int], at: int) -> int | None:
    names = [p for p, t in enumerate(ids) if t in (1, 2) and t in ids[:p]]
    return ids[names[-1]] if names else None


def name_that_stands_once(ids: Sequence[int], at: int) -> int | None:
    return next((t for t in ids if t in (1, 2) and list(ids).count(t) == 1), None)


# A claim, and the same said in plain Python over (ids, at).
MEANINGS: dict[str, Callable[[Sequence[int], int], object]] = {
    "at": lambda ids, at: at,
    "last - at": lambda ids, at: len(ids) - 1 - at,
    "nothing": lambda ids, at: None,
    "token(at)": token,
    "token(at - 1)": lambda ids, at: token(ids, at - 1),
    "previous(at)": before,
    "token(previous(at) - 1)": lambda ids, at: token(ids, plus(before(ids, at), -1)),
    "token(previous(at) + 1)": lambda ids, at: token(ids, plus(before(ids, at), 1)),
    "previous(previous(at))": lambda ids, at: before(ids, before(ids, at)),
    "first(token(at))": lambda ids, at: list(ids).index(ids[at]),
    "latest('store')": lambda ids, at: max((p for p, t in enumerate(ids) if t == 3), default=None),
    "count(token(at))": lambda ids, at: list(ids).count(ids[at]),
    "count(token(at)) > 1 and not token(at) = id(4)": lambda ids, at: (
        list(ids).count(ids[at]) > 1 and ids[at] != 4
    ),
    "min(at, 3, last - 2)": lambda ids, at: min(at, 3, len(ids) - 3),
    "max(previous(at), 2)": lambda ids, at: (
        None if before(ids, at) is None else max(before(ids, at) or 0, 2)
    ),
    "previous(at) < 3": lambda ids, at: (before(ids, at) or 0) < 3 and before(ids, at) is not None,
    "previous(at) != nothing or at = 2": lambda ids, at: before(ids, at) is not None or at == 2,
    "token(at) in ('Mary', \"John\", id(5))": lambda ids, at: ids[at] in (1, 2, 5),
    "if(at >= 2, token(at - 2), nothing)": lambda ids, at: token(ids, at - 2) if at >= 2 else None,
    "-at + 1": lambda ids, at: 1 - at,
    "latest(p: p < at and token(p) = token(at))": before,
    "count(p: p <= at and count(q: token(q) = token(p)) = 1)": lambda ids, at: sum(
        list(ids).count(ids[p]) == 1 for p in range(at + 1)
    ),
    "token(latest(p: token(p) in ('Mary', 'John') and previous(p) != nothing))": repeated_name,
    "token(first(p: token(p) in ('Mary', 'John') and count(token(p)) = 1))": name_that_stands_once,
}


@pytest.mark.parametrize("text", MEANINGS)
def test_a_claim_means_what_plain_python_says(text: str) -> None:
    draw = random.Random(text)
    for length in (1, 2, 5, 9):
        for _ in range(4):
            ids = [draw.randrange(7) for _ in range(length)]
            expected = tuple(MEANINGS[text](ids, at) for at in range(length))
            assert values(parse_claim(text), Words(), ids) == expected, ids


# What is no claim: the column named, and a part of the message.
REFUSED = {
    "": (1, "missing before the end"),
    "token(at - )": (12, "missing before ')'"),
    "token at": (7, "'(' was expected, and 'at' is there"),
    "token(at": (9, "')' was expected, and the end is there"),
    "token(at) token(at)": (11, "comes after the end"),
    "  token(here)": (9, "'here' is unknown"),
    "token(at) = 'Mary": (13, "without its closing quote"),
    "token(at) = ' '": (13, "empty"),
    "token(at) ** 2": (11, "'*' has no meaning"),
    "at.__class__": (3, "'.' has no meaning"),
    "__import__('os')": (1, "'__import__' is unknown"),
    "token(token(at))": (7, "a number was expected, and this is a token"),
    "at = 'Mary'": (6, "a number was expected"),
    "token(at) < 'Mary'": (1, "a number was expected"),
    "at + token(at)": (6, "a number was expected"),
    "at and at": (1, "true or false was expected"),
    "not at": (5, "true or false"),
    "if(at, 1, 2)": (4, "true or false"),
    "if(at = 1, 2, token(at))": (15, "a number was expected"),
    "min(at)": (1, "given 1 values, and takes 2"),
    "id(at)": (4, "id of a token is a number"),
    "99999999999": (1, "too large"),
    "first(at: at = 1)": (7, "'at' is taken"),
    "first(p: first(q: first(r: r = p) = q) = p)": (25, "a search too many"),
    "first(p: p = 1) = p": (19, "'p' is unknown"),
    "(" * 60 + "at" + ")" * 60: (21, "nested too deeply"),
    "not " * 60 + "at = 1": (81, "nested too deeply"),
    " + ".join(["1"] * (MOST_TERMS)): (239, "parts at most"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_claim_is_refused_at_its_column(text: str) -> None:
    column, part = REFUSED[text]
    with pytest.raises(InputError) as refused:
        parse_claim(text)
    assert refused.value.what.startswith(f"Column {column} of the claim")
    assert part in refused.value.what
    assert refused.value.way_out


def test_claims_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"{MOST_TEXT} are the most"):
        parse_claim(" " * MOST_TEXT + "1")
    with pytest.raises(AnswerError, match="'Paul'"):
        values(parse_claim("token(at) = 'Paul'"), Words(), [1])
    endless = parse_claim("count(p: count(q: q = p) = at)")
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        values(endless, Words(), [0] * 100, Meter(job))
    monkeypatch.setattr(meaning, "MOST_STEPS", 1_000)
    with pytest.raises(InputError, match="more than 1,000 positions"):
        values(endless, Words(), [0] * 100)
