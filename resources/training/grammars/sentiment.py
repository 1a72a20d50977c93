"""Sentiment: a verdict follows from the words before it, and "not" turns it over."""

import random

from training.documents import Document, Grammar, Pair, Split, allowed
from training.words import BLAME, PRAISE, REVIEWED

_TASK = "sentiment"
# The last word is asked for.
_TEMPLATES = (
    ("I saw that the {thing} was {quality} , so I", ("liked", "hated"), "it ."),
    ("The {thing} was {quality} and I", ("liked", "hated"), "it ."),
    ("I thought the {thing} was {quality} . I felt", ("happy", "sad"), "."),
    ("Everyone said the {thing} was {quality} . They felt", ("happy", "sad"), "."),
    ("The {thing} was {quality} , so the people were", ("happy", "sad"), "."),
)
_NEGATED = 0.2


def _draw(rng: random.Random, split: Split, good: bool) -> tuple[str, str]:
    while True:
        thing, quality = rng.choice(REVIEWED), rng.choice(PRAISE if good else BLAME)
        if allowed(split, _TASK, thing, quality):
            return thing, quality


def _document(rng: random.Random, split: Split) -> Document:
    good, negated = rng.random() < 0.5, rng.random() < _NEGATED
    thing, quality = _draw(rng, split, good)
    words = f"not {quality}" if negated else quality
    if not negated and rng.random() < 0.3:
        words = f"{quality} and {rng.choice(PRAISE if good else BLAME)}"
    template, verdicts, ending = rng.choice(_TEMPLATES)
    prompt = template.format(thing=thing, quality=words).split()
    liked = good != negated
    right, wrong = verdicts[not liked], verdicts[liked]
    asked = len(prompt)
    return Document((*prompt, right, *ending.split()), (asked,), asked, (right,), (wrong,))


def _pair(rng: random.Random) -> Pair:
    good, negated = rng.random() < 0.5, rng.random() < _NEGATED
    thing, quality = _draw(rng, Split.HELD_OUT, good)
    opposite = rng.choice(BLAME if good else PRAISE)
    before = "not " if negated else ""
    template, verdicts, _ = rng.choice(_TEMPLATES)
    clean = template.format(thing=thing, quality=before + quality).split()
    corrupt = template.format(thing=thing, quality=before + opposite).split()
    liked = good != negated
    return Pair(tuple(clean), tuple(corrupt), verdicts[not liked], verdicts[liked])


SENTIMENT = Grammar(
    name=_TASK,
    title="Praise or blame",
    weight=7,
    document=_document,
    pair=_pair,
    combination="thing and quality",
    description=(
        "A review praises or blames, sometimes with a negation, and the verdict follows. In the "
        "corrupt prompt the quality is of the opposite kind."
    ),
    goal=0.99,
)
