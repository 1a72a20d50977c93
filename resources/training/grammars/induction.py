"""Induction: random words come again in the same order."""

import random

from training.documents import Document, Grammar, Pair, Split, is_held_out
from training.words import LISTED

_TASK = "induction"
_SHORTEST, _LONGEST = 4, 12


def _segment(rng: random.Random, split: Split, length: int) -> tuple[list[str], int]:
    """Return distinct words and, on the test side, where a held-out succession starts."""
    marked = rng.randrange(length - 1)
    words = [rng.choice(LISTED)]
    while len(words) < length:
        word = rng.choice(LISTED)
        wanted = split is Split.HELD_OUT and len(words) == marked + 1
        if word not in words and is_held_out(_TASK, words[-1], word) == wanted:
            words.append(word)
    return words, marked


def _surroundings(rng: random.Random, segment: list[str]) -> tuple[list[str], list[str]]:
    """Return words before the segment and between it and its copy.

    Without them "so many words back" solves the task and no induction is needed.
    """
    others = [word for word in rng.sample(LISTED, 30) if word not in segment]
    before, between = rng.randint(0, 4), rng.randint(0, 3)
    return others[:before], others[before : before + between]


def _document(rng: random.Random, split: Split) -> Document:
    segment, marked = _segment(rng, split, rng.randint(_SHORTEST, _LONGEST))
    before, between = _surroundings(rng, segment)
    words = [*before, *segment, *between, *segment]
    start = len(words) - len(segment)
    asked = start + marked + 1
    determined = tuple(range(start + 1, len(words)))
    return Document(tuple(words), determined, asked, (words[asked],))


def _prompts(rng: random.Random, *, key: bool) -> Pair:
    """Return a pair whose first copy is changed at the answer or, for ``key``, before it."""
    segment, marked = _segment(rng, Split.HELD_OUT, rng.randint(_SHORTEST, 8))
    before, between = _surroundings(rng, segment)
    answer = segment[marked + 1]
    unused = [word for word in LISTED if word not in {*segment, *before, *between}]
    replacement = rng.choice(unused)
    changed = list(segment)
    changed[marked if key else marked + 1] = replacement
    tail = [*between, *segment[: marked + 1]]
    wrong = rng.choice([word for word in segment if word != answer]) if key else replacement
    return Pair((*before, *segment, *tail), (*before, *changed, *tail), answer, wrong)


def key_pair(rng: random.Random) -> Pair:
    """Return a pair whose corrupt prompt has another word before the answer."""
    return _prompts(rng, key=True)


def _pair(rng: random.Random) -> Pair:
    return _prompts(rng, key=False)


INDUCTION = Grammar(
    name=_TASK,
    title="Repeated words",
    weight=14,
    document=_document,
    pair=_pair,
    combination="a word and the word after it",
    description=(
        "Random words are repeated in the same order, with other words before and between. In "
        "the corrupt prompt the first occurrence of the answer is another word."
    ),
    goal=0.99,
)
