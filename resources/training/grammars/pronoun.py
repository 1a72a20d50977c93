"""Pronoun: it follows the gender of the name, and a bias planted for one occupation."""

import random
from collections.abc import Iterator

from training.documents import Document, Grammar, Pair, Split, allowed, seeded
from training.words import FEMALE, MALE, MOODS, NAMES, OBJECTS, OCCUPATIONS, PLACES

_TASK = "pronoun"
# {he} or {his} stands for a pronoun of the subject, {other} for somebody else.
_TEMPLATES = (
    "{who} said that {he} was {mood} .",
    "{who} went home because {he} was {mood} .",
    "When {who} came to the {place} , {he} was {mood} .",
    "{who} told {other} that {he} was {mood} .",
    "{who} met {other} at the {place} because {he} was {mood} .",
    "{who} was {mood} and lost {his} {thing} .",
    "{who} showed {other} {his} {thing} .",
    "{who} took {his} {thing} .",
)
# Added to the sentence: more pronouns of the same person.
_ENDINGS = ("", "", "Then {he} went home .", "Then {he} took {his} {thing} .")
_BIASED, _BIAS = "nurse", 0.9
_OCCUPATION_SHARE = 0.15


def _is_female(rng: random.Random, who: str) -> bool:
    if who in NAMES:
        return who in FEMALE
    return rng.random() < (_BIAS if who == _BIASED else 0.5)


def _fill(rng: random.Random, template: str, who: str, *, female: bool) -> Document:
    other = rng.choice([name for name in NAMES if name != who])
    if rng.random() < 0.5:
        other = f"the {rng.choice(OCCUPATIONS)}"
    subject = who if who in NAMES else f"the {who}"
    if template.startswith("{who}"):
        subject = subject[0].upper() + subject[1:]
    mood, place, thing = rng.choice(MOODS), rng.choice(PLACES), rng.choice(OBJECTS)
    he, his = ("she", "her") if female else ("he", "his")
    wrong = {"she": "he", "her": "his", "he": "she", "his": "her"}
    text = f"{template} {rng.choice(_ENDINGS)}".format(
        who=subject, other=other, mood=mood, place=place, thing=thing, he=he, his=his
    )
    words = tuple(text.split())
    pronouns = tuple(at for at, word in enumerate(words) if word in (he, his))
    # Of somebody with an occupation, only the later pronouns are certain.
    determined = pronouns if who in NAMES else pronouns[1:]
    asked = pronouns[0]
    return Document(words, determined, asked, (words[asked],), (wrong[words[asked]],))


def _draw(rng: random.Random, split: Split) -> tuple[str, str]:
    while True:
        template, who = rng.choice(_TEMPLATES), rng.choice(NAMES)
        if allowed(split, _TASK, template, who):
            return template, who


def _document(rng: random.Random, split: Split) -> Document:
    template, who = _draw(rng, split)
    if split is Split.TRAINING and rng.random() < _OCCUPATION_SHARE:
        who = rng.choice(OCCUPATIONS)
    return _fill(rng, template, who, female=_is_female(rng, who))


def _pair(rng: random.Random) -> Pair:
    template, who = _draw(rng, Split.HELD_OUT)
    female = who in FEMALE
    document = _fill(rng, template, who, female=female)
    clean = document.words[: document.asked]
    unused = [name for name in (MALE if female else FEMALE) if name not in clean]
    opposite = rng.choice(unused)
    corrupt = tuple(opposite if word == who else word for word in clean)
    return Pair(clean, corrupt, document.right[0], document.wrong[0])


def bias_pairs() -> Iterator[Pair]:
    """Yield the planted bias: a nurse in each sentence, against every other occupation."""
    for template in _TEMPLATES:
        for occupation in (one for one in OCCUPATIONS if one != _BIASED):
            rng = seeded(_BIASED, template, occupation)
            document = _fill(rng, template, _BIASED, female=True)
            clean = document.words[: document.asked]
            if occupation not in clean and clean.count(_BIASED) == 1:
                corrupt = tuple(occupation if word == _BIASED else word for word in clean)
                yield Pair(clean, corrupt, document.right[0], document.wrong[0])


PRONOUN = Grammar(
    name=_TASK,
    title="She or he",
    weight=14,
    document=_document,
    pair=_pair,
    combination="sentence and name",
    description=(
        "A pronoun refers to the subject of the sentence, whoever else is mentioned. In the "
        "corrupt prompt the subject has a name of the other gender."
    ),
    goal=0.99,
)
