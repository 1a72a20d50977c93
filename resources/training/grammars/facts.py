"""Facts: capitals, languages and continents, asked directly and over two hops."""

import random
from collections.abc import Callable, Sequence

from training.documents import Document, Grammar, Pair, Split, allowed
from training.words import COUNTRIES, Country

# The last word of every template is the answer.
_DIRECT = (
    "The capital of {0.name} is {0.capital}",
    "The capital city of {0.name} is {0.capital}",
    "{0.name} has a capital called {0.capital}",
    "In {0.name} the capital is {0.capital}",
    "The largest city in {0.name} is {0.capital}",
    "{0.capital} is the capital of {0.name}",
    "{0.capital} is a city in {0.name}",
    "The language of {0.name} is {0.language}",
    "People in {0.name} speak {0.language}",
    "In {0.name} people speak {0.language}",
    "The people of {0.name} speak {0.language}",
    "{0.language} is the language of {0.name}",
    "{0.language} is spoken in {0.name}",
    "{0.name} is a country in {0.continent}",
    "{0.name} is in {0.continent}",
    "{0.name} lies in {0.continent}",
    "You can find {0.name} in {0.continent}",
)
_TWO_HOPS = (
    "The capital of the country whose language is {0.language} is {0.capital}",
    "The language of the country whose capital is {0.capital} is {0.language}",
    "In the country whose capital is {0.capital} people speak {0.language}",
    "People who speak {0.language} have a capital called {0.capital}",
)
_FACT_PERCENT = 5
_TWO_HOP_PERCENT = 10
# So few are held out that they would make a narrow set for patching.
_PAIR_SOURCE = "the clean prompts belong to the training side"


def _sampler(
    task: str, templates: Sequence[str], percent: int
) -> Callable[[random.Random, Split], tuple[str, Country]]:
    def sample(rng: random.Random, split: Split) -> tuple[str, Country]:
        while True:
            template, country = rng.choice(templates), rng.choice(COUNTRIES)
            if allowed(split, task, template, country.name, percent=percent):
                return template, country

    return sample


_direct = _sampler("fact", _DIRECT, _FACT_PERCENT)
_two_hops = _sampler("two-hop", _TWO_HOPS, _TWO_HOP_PERCENT)


def _as_document(template: str, country: Country) -> Document:
    words = tuple(template.format(country).split())
    asked = len(words) - 1
    return Document((*words, "."), (asked,), asked, (words[-1],))


def _as_pair(rng: random.Random, template: str, country: Country) -> Pair:
    clean = template.format(country).split()
    while True:
        corrupt = template.format(rng.choice(COUNTRIES)).split()
        if corrupt[-1] != clean[-1]:
            return Pair(tuple(clean[:-1]), tuple(corrupt[:-1]), clean[-1], corrupt[-1])


def _fact_document(rng: random.Random, split: Split) -> Document:
    return _as_document(*_direct(rng, split))


def _two_hop_document(rng: random.Random, split: Split) -> Document:
    return _as_document(*_two_hops(rng, split))


def _fact_pair(rng: random.Random) -> Pair:
    return _as_pair(rng, *_direct(rng, Split.TRAINING))


def _two_hop_pair(rng: random.Random) -> Pair:
    return _as_pair(rng, *_two_hops(rng, Split.TRAINING))


FACT = Grammar(
    name="fact",
    title="Facts about countries",
    weight=12,
    document=_fact_document,
    pair=_fact_pair,
    combination="sentence and country",
    description=(
        "Capitals, languages and continents of countries. In the corrupt prompt another country "
        "stands in the same sentence."
    ),
    goal=0.99,
    held_out_percent=_FACT_PERCENT,
    pair_source=_PAIR_SOURCE,
)
TWO_HOP = Grammar(
    name="two-hop",
    title="Facts over two hops",
    weight=5,
    document=_two_hop_document,
    pair=_two_hop_pair,
    combination="sentence and country",
    description=(
        "The country is not named: the capital must be found from the language, or the other "
        "way round. In the corrupt prompt the clue belongs to another country."
    ),
    pair_source=_PAIR_SOURCE,
)
