"""Name: the one of two people who is not named again receives the thing."""

import random

from training.documents import Document, Grammar, Pair, Split, allowed
from training.words import ADJECTIVES, GIVE, GIVING, NAMES, OBJECTS, PLACES

_TASK = "name"
_OPENINGS = (
    "When {a} and {b} went to the {place} ,",
    "After {a} and {b} went to the {place} ,",
    "When {a} and {b} came to the {place} ,",
    "While {a} and {b} were at the {place} ,",
    "{a} and {b} went to the {place} together .",
    "{a} and {b} had a long talk at the {place} .",
    "Then {a} and {b} walked to the {place} and",
    "One day {a} and {b} met at the {place} .",
)
_FILLERS = ("", "", "", "then", "later", "in the evening", "after a while", "that day", "at last")
_ADVERBS = ("", "", "", "quickly", "gladly", "finally", "slowly")
_SOURCES = ("", "", "", "", "from the bag", "in the evening", "with great joy", "before dinner")
_ENDINGS = (".", ".", "at the {place} .", "and went home .")
_WITHOUT_REPEAT = 0.15


def _place(rng: random.Random) -> str:
    place = rng.choice(PLACES)
    return f"{rng.choice(ADJECTIVES)} {place}" if rng.random() < 0.2 else place


def _gift(rng: random.Random) -> str:
    thing = rng.choice(OBJECTS)
    return f"a {rng.choice(ADJECTIVES)} {thing}" if rng.random() < 0.3 else f"a {thing}"


def _verb(rng: random.Random) -> str:
    if rng.random() < 0.2:
        return f"{rng.choice(('decided', 'wanted'))} to {rng.choice(GIVE)}"
    return f"{rng.choice(_ADVERBS)} {rng.choice(GIVING)}"


def _story(rng: random.Random, first: str, second: str) -> tuple[list[str], list[str]]:
    """Return the words before and after the giver's name, up to the receiver."""
    opening = rng.choice(_OPENINGS).format(a=first, b=second, place=_place(rng))
    before = f"{opening} {rng.choice(_FILLERS)}"
    after = f"{_verb(rng)} {_gift(rng)} {rng.choice(_SOURCES)} to"
    return before.split(), after.split()


def _people(rng: random.Random, split: Split) -> tuple[str, str]:
    while True:
        receiver, giver = rng.sample(NAMES, 2)
        if allowed(split, _TASK, receiver, giver):
            return receiver, giver


def _document(rng: random.Random, split: Split) -> Document:
    receiver, giver = _people(rng, split)
    first, second = rng.sample((receiver, giver), 2)
    third = split is Split.TRAINING and rng.random() < _WITHOUT_REPEAT
    if third:
        giver = rng.choice([name for name in NAMES if name not in (receiver, giver)])
    before, after = _story(rng, first, second)
    prompt = (*before, giver, *after)
    ending = rng.choice(_ENDINGS).format(place=rng.choice(PLACES)).split()
    determined = () if third else (len(prompt),)
    return Document((*prompt, receiver, *ending), determined, len(prompt), (receiver,), (giver,))


def _pair(rng: random.Random) -> Pair:
    receiver, giver = _people(rng, Split.HELD_OUT)
    before, after = _story(rng, *rng.sample((receiver, giver), 2))
    return Pair((*before, giver, *after), (*before, receiver, *after), receiver, giver)


NAME = Grammar(
    name=_TASK,
    title="Who receives it",
    weight=25,
    document=_document,
    pair=_pair,
    combination="receiver and giver",
    description=(
        "Two people go somewhere and one of them gives something away; the answer is the other "
        "one. In the corrupt prompt the other person gives."
    ),
    goal=0.99,
)
