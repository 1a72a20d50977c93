"""Comparison: what began in one year of a century ends in a later one."""

import random

from training.documents import Document, Grammar, Judge, Pair, Split, allowed
from training.words import CENTURIES, EVENTS, YEARS

_TASK = "comparison"
_TEMPLATES = (
    "The {event} lasted from the year {century} {start} to the year {century}",
    "The {event} began in {century} {start} and ended in {century}",
    "The {event} ran from {century} {start} to {century}",
)
_EARLIEST, _LATEST = 2, 96


def _draw(rng: random.Random, split: Split) -> tuple[str, int]:
    while True:
        event, start = rng.choice(EVENTS), rng.randint(_EARLIEST, _LATEST)
        if allowed(split, _TASK, event, YEARS[start]):
            return event, start


def _prompt(template: str, event: str, century: str, start: int) -> tuple[str, ...]:
    return tuple(template.format(event=event, century=century, start=YEARS[start]).split())


def _document(rng: random.Random, split: Split) -> Document:
    event, start = _draw(rng, split)
    prompt = _prompt(rng.choice(_TEMPLATES), event, rng.choice(CENTURIES), start)
    later, earlier = YEARS[start + 1 :], YEARS[: start + 1]
    asked = len(prompt)
    # The century said again is determined, and that the year is later.
    return Document((*prompt, rng.choice(later), "."), (asked - 1, asked), asked, later, earlier)


def _pair(rng: random.Random) -> Pair:
    """Return a pair whose wrong answer is possible after the corrupt start year only."""
    while True:
        event, start = _draw(rng, Split.HELD_OUT)
        answer, wrong = start + rng.randint(2, 15), start - rng.randint(5, 20)
        earlier = wrong - rng.randint(5, 20)
        if earlier >= _EARLIEST and answer <= _LATEST:
            break
    template, century = rng.choice(_TEMPLATES), rng.choice(CENTURIES)
    clean = _prompt(template, event, century, start)
    corrupt = _prompt(template, event, century, earlier)
    return Pair(clean, corrupt, YEARS[answer], YEARS[wrong])


COMPARISON = Grammar(
    name=_TASK,
    title="Later year",
    weight=10,
    document=_document,
    pair=_pair,
    combination="event and start year",
    description=(
        "An event ends in a later year than it began. Scored: the later years together are more "
        "probable than the others. In the corrupt prompt it begins so early that "
        "the wrong answer is possible too."
    ),
    judge=Judge.MASS,
    goal=0.98,
)
