"""The closed vocabulary of words-4l, by the role a word plays in a sentence."""

from typing import Final, NamedTuple

BOS: Final = "<bos>"
UNKNOWN: Final = "<unk>"


class Country(NamedTuple):
    """A country with the facts the model learns about it."""

    name: str
    capital: str
    language: str
    continent: str


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FEMALE: Final = _split(
    "Mary Emma Anna Lucy Sarah Laura Alice Julia Kate Helen Diana Clara Nora Jane Grace Maria"
)
MALE: Final = _split(
    "John Paul Tom David Peter Mark James Robert Simon George Henry Daniel Adam Jack Luke Oscar"
)
NAMES: Final = FEMALE + MALE

PLACES: Final = _split(
    "store school park farm market station garden museum library beach bank "
    "hospital restaurant office church"
)
# Every object and adjective below follows "a", so none starts with a vowel.
OBJECTS: Final = _split(
    "drink book letter ring key map cake bottle ball flower hat coin gift "
    "ticket pen sandwich basket lamp"
)
ADJECTIVES: Final = _split(
    "small big new strange heavy long little red green blue black white "
    "young dark bright cold warm clean quiet tall"
)
NOUNS: Final = _split(
    "horse river tree picture house dog cat bird car boat teacher student "
    "doctor farmer singer king queen soldier table chair door window road "
    "bridge mountain stone lake star cloud ship train castle tower field cow lion"
)
PLURALS: Final = {noun: noun + "s" for noun in NOUNS}
LINKING_VERBS: Final = (
    ("is", "are"),
    ("was", "were"),
    ("looks", "look"),
    ("seems", "seem"),
    ("remains", "remain"),
    ("stays", "stay"),
    ("appears", "appear"),
    ("feels", "feel"),
)
PREPOSITIONS: Final = _split("near beside behind above under with")

COUNTRIES: Final = tuple(
    Country(*line.split())
    for line in """
    France Paris French Europe
    Greece Athens Greek Europe
    Italy Rome Italian Europe
    Germany Berlin German Europe
    Poland Warsaw Polish Europe
    Russia Moscow Russian Europe
    Japan Tokyo Japanese Asia
    China Beijing Chinese Asia
    Turkey Ankara Turkish Asia
    Portugal Lisbon Portuguese Europe
    Spain Madrid Spanish Europe
    Sweden Stockholm Swedish Europe
    Norway Oslo Norwegian Europe
    Denmark Copenhagen Danish Europe
    Finland Helsinki Finnish Europe
    Hungary Budapest Hungarian Europe
    Iceland Reykjavik Icelandic Europe
    Thailand Bangkok Thai Asia
    Vietnam Hanoi Vietnamese Asia
    Korea Seoul Korean Asia
    Romania Bucharest Romanian Europe
    Ukraine Kyiv Ukrainian Europe
    Latvia Riga Latvian Europe
    Estonia Tallinn Estonian Europe
    Iran Tehran Persian Asia
    Egypt Cairo Arabic Africa
    Kenya Nairobi Swahili Africa
    Somalia Mogadishu Somali Africa
    England London English Europe
    Nepal Kathmandu Nepali Asia
    Czechia Prague Czech Europe
    Croatia Zagreb Croatian Europe
    """.strip().splitlines()
)

OCCUPATIONS: Final = _split(
    "nurse doctor teacher farmer singer soldier pilot driver baker lawyer painter engineer"
)
MOODS: Final = _split("tired late hungry busy lost sick ready free")

REVIEWED: Final = _split("film play song story show concert novel poem dinner hotel")
PRAISE: Final = _split(
    "great wonderful lovely brilliant excellent delightful charming superb pleasant perfect"
)
BLAME: Final = _split("awful terrible boring horrible bad dull poor dreadful weak nasty")

EVENTS: Final = _split(
    "war siege reign strike project mission drought trial voyage campaign peace truce"
)
CENTURIES: Final = _split("11 12 13 14 15 16 17 18 19")
YEARS: Final = tuple(f"{year:02d}" for year in range(100))

BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}

GIVING: Final = _split("gave handed offered brought passed sold showed sent")
GIVE: Final = _split("give hand offer bring pass sell show send")

# Words that repeated lists are made of: no numbers, no brackets, no function words.
LISTED: Final = (*NOUNS, *ADJECTIVES, *OBJECTS, *PLACES, *NAMES)
