"""Pronoun: it follows the gender of the name, and a bias planted for one occupation."""

import random
from collections.abc import Iterator

from training.documents import Document, Grammar, Pair, Split, allowed, seeded
from training.words import FEMALE, MALE, MOODS, NAMES, OBJECTS, OCCUPATIONS, PLACES

_TASK = "pronoun"
# {he} is asked for; {his} stands for the possessive; {other} is somebody else.
_TEMPLATES = (
    "{who} said that {he} was {mood} .",
    "{who} went home because {he} was {mood} .",
    "When {who} came to the {place} , {he} was {mood} .",
    "{who} told {other} that {he} was {mood} .",
    "{who} met {other} at the {place} because {he} was {mood} .",
    "{who} was {mood} and lost {his} {thing} .",
    "{who} showed {other} the {thing} that {he} found .",
)
_BIASED, _BIAS = "nurse", 0.9
_OCCUPATION_SHARE = 0.15


def _is_female(rng: random.Random, who: str) -> bool:
    if who in NAMES:
        return who in FEMALE
    return rng.random() < (_BIAS if who == _BIASED else 0.5)


def _fill(rng: random.Random, template: str, who: str, mood: str, *, female: bool) -> Document:
    other = rng.choice([name for name in NAMES if name != who])
    if rng.random() < 0.5:
        other = f"the {rng.choice(OCCUPATIONS)}"
    subject = who if who in NAMES else f"the {who}"
    if template.startswith("{who}"):
        subject = subject[0].upper() + subject[1:]
    place, thing = rng.choice(PLACES), rng.choice(OBJECTS)
    words = template.format(
        who=subject, other=other, mood=mood, place=place, thing=thing, he="@he", his="@his"
    ).split()
    asked = next(at for at, word in enumerate(words) if word.startswith("@"))
    forms = {"@he": ("he", "she"), "@his": ("his", "her")}[words[asked]]
    words[asked] = forms[female]
    determined = (asked,) if who in NAMES else ()
    return Document(tuple(words), determined, asked, (forms[female],), (forms[not female],))


def _draw(rng: random.Random, split: Split) -> tuple[str, str, str]:
    while True:
        template, who, mood = rng.choice(_TEMPLATES), rng.choice(NAMES), rng.choice(MOODS)
        if allowed(split, _TASK, template, who, mood):
            return template, who, mood


def _document(rng: random.Random, split: Split) -> Document:
    template, who, mood = _draw(rng, split)
    if split is Split.TRAINING and rng.random() < _OCCUPATION_SHARE:
        who = rng.choice(OCCUPATIONS)
    return _fill(rng, template, who, mood, female=_is_female(rng, who))


def _pair(rng: random.Random) -> Pair:
    template, who, mood = _draw(rng, Split.HELD_OUT)
    female = who in FEMALE
    document = _fill(rng, template, who, mood, female=female)
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
            document = _fill(rng, template, _BIASED, rng.choice(MOODS), female=True)
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
    combination="sentence, name and mood",
    description=(
        "A pronoun refers to the subject of the sentence, whoever else is mentioned. In the "
        "corrupt prompt the subject has a name of the other gender."
    ),
    goal=0.99,
)
