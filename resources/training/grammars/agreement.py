"""Agreement: the verb takes the number of the subject, not of the noun beside it."""

import random

from training.documents import Document, Grammar, Pair, Split, allowed
from training.words import ADJECTIVES, LINKING_VERBS, NOUNS, PLURALS, PREPOSITIONS

_TASK = "agreement"
_SINGULAR = tuple(verb for verb, _ in LINKING_VERBS)
_PLURAL = tuple(verb for _, verb in LINKING_VERBS)


def _noun(noun: str, plural: bool) -> str:
    return PLURALS[noun] if plural else noun


def _adjective(rng: random.Random, share: float) -> list[str]:
    return [rng.choice(ADJECTIVES)] if rng.random() < share else []


def _nouns(rng: random.Random, split: Split) -> tuple[str, str]:
    while True:
        subject, other = rng.sample(NOUNS, 2)
        if allowed(split, _TASK, subject, other):
            return subject, other


def _phrases(rng: random.Random, other: str) -> list[str]:
    """Return what stands between the subject and its verb."""
    words = [rng.choice(PREPOSITIONS), "the", *_adjective(rng, 0.2)]
    words.append(_noun(other, rng.random() < 0.5))
    if rng.random() < 0.15:
        last = _noun(rng.choice(NOUNS), rng.random() < 0.5)
        words += [rng.choice(PREPOSITIONS), "the", last]
    return words


def _document(rng: random.Random, split: Split) -> Document:
    subject, other = _nouns(rng, split)
    plural = rng.random() < 0.5
    bare = split is Split.TRAINING and rng.random() < 0.2
    words = ["The", *_adjective(rng, 0.35), _noun(subject, plural)]
    words += [] if bare else _phrases(rng, other)
    asked = len(words)
    right, wrong = (_PLURAL, _SINGULAR) if plural else (_SINGULAR, _PLURAL)
    words += [rng.choice(right), *_adverb(rng), rng.choice(ADJECTIVES), "."]
    return Document(tuple(words), (asked,), asked, right, wrong)


def _adverb(rng: random.Random) -> list[str]:
    return [rng.choice(("very", "still"))] if rng.random() < 0.3 else []


def _pair(rng: random.Random) -> Pair:
    subject, other = _nouns(rng, Split.HELD_OUT)
    plural = rng.random() < 0.5
    before = ["The", *_adjective(rng, 0.35)]
    after = _phrases(rng, other)
    singular_verb, plural_verb = rng.choice(LINKING_VERBS[:2])
    answer, wrong = (plural_verb, singular_verb) if plural else (singular_verb, plural_verb)
    clean = (*before, _noun(subject, plural), *after)
    corrupt = (*before, _noun(subject, not plural), *after)
    return Pair(clean, corrupt, answer, wrong)


AGREEMENT = Grammar(
    name=_TASK,
    title="Number of the verb",
    weight=10,
    document=_document,
    pair=_pair,
    combination="subject and the noun beside it",
    description=(
        "A verb agrees with its subject although another noun stands nearer. Scored: the top "
        "word is a verb of the right number. In the corrupt prompt the subject changes number."
    ),
    goal=0.99,
)
