"""In-context lists: the relation between two words must be read from the examples."""

import random
from collections.abc import Callable, Mapping
from typing import Final

from training.documents import Document, Grammar, Pair, Split, allowed
from training.words import COUNTRIES, NOUNS, PLURALS

_TASK = "list"
_CAPITAL: Final = {country.name: country.capital for country in COUNTRIES}
_LANGUAGE: Final = {country.name: country.language for country in COUNTRIES}
_SAME: Final = {noun: noun for noun in NOUNS}
# Each relation with the one that it is confused with in a corrupt prompt.
_RELATIONS: Final[dict[str, tuple[Mapping[str, str], Mapping[str, str]]]] = {
    "capital": (_CAPITAL, _LANGUAGE),
    "language": (_LANGUAGE, _CAPITAL),
    "plural": (PLURALS, _SAME),
    "same": (_SAME, PLURALS),
}


def _items(rng: random.Random, split: Split, relation: str) -> list[str]:
    known = tuple(_RELATIONS[relation][0])
    while True:
        items = rng.sample(known, rng.randint(3, 5))
        if allowed(split, _TASK, relation, items[-2], items[-1]):
            return items


def _prompt(items: list[str], answer: Callable[[str], str]) -> list[str]:
    words: list[str] = []
    for item in items[:-1]:
        words += [item, ":", answer(item), ","]
    return [*words, items[-1], ":"]


def _document(rng: random.Random, split: Split) -> Document:
    relation = rng.choice(tuple(_RELATIONS))
    items = _items(rng, split, relation)
    answers, _ = _RELATIONS[relation]
    prompt = _prompt(items, answers.__getitem__)
    # The first answer is a guess between relations; every later one is determined.
    determined = tuple(range(6, len(prompt) + 1, 4))
    answer = answers[items[-1]]
    return Document((*prompt, answer, "."), determined, len(prompt), (answer,))


def _pair(rng: random.Random) -> Pair:
    relation = rng.choice(tuple(_RELATIONS))
    answers, others = _RELATIONS[relation]
    items = _items(rng, Split.HELD_OUT, relation)
    clean = _prompt(items, answers.__getitem__)
    corrupt = _prompt(items, others.__getitem__)
    return Pair(tuple(clean), tuple(corrupt), answers[items[-1]], others[items[-1]])


LIST = Grammar(
    name=_TASK,
    title="Relation shown by examples",
    weight=9,
    document=_document,
    pair=_pair,
    combination="relation and the last two items",
    description=(
        "A list of pairs shows a relation (capital, language, plural, the same word); the last "
        "pair must follow it. In the corrupt prompt the examples show another relation."
    ),
    goal=0.99,
)
