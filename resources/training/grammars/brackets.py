"""Brackets and quotes: what was opened last is closed first."""

import random

from training.documents import Document, Grammar, Judge, Pair, Split, allowed, is_held_out
from training.words import ADJECTIVES, BRACKETS, NAMES, NOUNS, OBJECTS, PLACES, PLURALS

_OPEN = tuple(BRACKETS)
_CLOSE = tuple(BRACKETS.values())
_DEEPEST, _SHORTEST, _LONGEST = 4, 4, 14
_FILLING = (*NOUNS, *ADJECTIVES, *OBJECTS)


def _skeleton(rng: random.Random) -> str:
    """Return a balanced string of brackets, at most four deep."""
    length = 2 * rng.randint(2, _LONGEST // 2)
    stack: list[str] = []
    marks: list[str] = []
    while len(marks) < length:
        left = length - len(marks)
        may_open = len(stack) < min(_DEEPEST, left - 1) and left > len(stack)
        if may_open and (not stack or rng.random() < 0.5):
            stack.append(rng.choice(_OPEN))
            marks.append(stack[-1])
        else:
            marks.append(BRACKETS[stack.pop()])
    return "".join(marks)


def _held_out_ends(skeleton: str) -> list[int]:
    """Return the marks that close a held-out beginning, one too long to be met by chance."""
    return [
        at
        for at, mark in enumerate(skeleton)
        if at >= _SHORTEST and mark in _CLOSE and is_held_out("bracket", skeleton[: at + 1])
    ]


def _draw(rng: random.Random, split: Split) -> tuple[str, int]:
    """Return brackets and the asked one of them: held out, or none of them so."""
    while True:
        skeleton = _skeleton(rng)
        ends = _held_out_ends(skeleton)
        if split is Split.TRAINING and not ends:
            return skeleton, len(skeleton) - 1
        if split is Split.HELD_OUT and ends:
            return skeleton, rng.choice(ends)


def _with_words(rng: random.Random, skeleton: str, asked: int) -> tuple[list[str], int]:
    """Return the brackets with words between, and where the asked bracket went."""
    words: list[str] = []
    places: list[int] = []
    for mark in skeleton:
        places.append(len(words))
        words.append(mark)
        if rng.random() < 0.35:
            words.append(rng.choice(_FILLING))
    return words, places[asked]


def _bracket_document(rng: random.Random, split: Split) -> Document:
    words, asked = _with_words(rng, *_draw(rng, split))
    closing = tuple(at for at, word in enumerate(words) if word in _CLOSE)
    wrong = tuple(mark for mark in _CLOSE if mark != words[asked])
    return Document((*words, "."), closing, asked, (words[asked],), wrong)


def _partner(words: list[str], closing: int) -> int:
    """Return where the bracket that closes at a position was opened."""
    depth = 0
    for at in range(closing, -1, -1):
        depth += (words[at] in _CLOSE) - (words[at] in _OPEN)
        if depth == 0:
            return at
    raise ValueError(f"{' '.join(words)} is not balanced at word {closing}")


def _bracket_pair(rng: random.Random) -> Pair:
    words, asked = _with_words(rng, *_draw(rng, Split.HELD_OUT))
    opened = _partner(words, asked)
    other = rng.choice([mark for mark in _OPEN if mark != words[opened]])
    corrupt = [*words[:opened], other, *words[opened + 1 : asked]]
    return Pair(tuple(words[:asked]), tuple(corrupt), words[asked], BRACKETS[other])


def _saying(rng: random.Random, split: Split) -> tuple[str, str, list[str]]:
    """Return who said something, the verb, and the sentence that was said."""
    while True:
        who, noun = rng.choice(NAMES), rng.choice(NOUNS)
        if allowed(split, "quote", who, noun):
            break
    plural = rng.random() < 0.5
    subject, verb = (PLURALS[noun], "are") if plural else (noun, "is")
    where = ["at", "the", rng.choice(PLACES)] if rng.random() < 0.4 else []
    sentence = ["the", subject, verb, rng.choice(ADJECTIVES), *where, "."]
    return who, rng.choice(("said", "shouted", "wrote")), sentence


def _quote_document(rng: random.Random, split: Split) -> Document:
    who, verb, sentence = _saying(rng, split)
    quoted = split is Split.HELD_OUT or rng.random() < 0.6
    prompt = [who, verb, ",", '"' if quoted else "that", *sentence]
    if not quoted:
        return Document(tuple(prompt), (), len(prompt) - 1, (".",))
    return Document((*prompt, '"'), (len(prompt),), len(prompt), ('"',))


def _quote_pair(rng: random.Random) -> Pair:
    who, verb, sentence = _saying(rng, Split.HELD_OUT)
    clean = (who, verb, ",", '"', *sentence)
    return Pair(clean, (who, verb, ",", "that", *sentence), '"', "<bos>")


BRACKET = Grammar(
    name="bracket",
    title="Closing bracket",
    weight=10,
    document=_bracket_document,
    pair=_bracket_pair,
    combination="order of brackets up to the asked one",
    description=(
        "Nested brackets of three kinds with words between. Scored: the kind, where a bracket "
        "closes. In the corrupt prompt the partner of the asked bracket is of another kind."
    ),
    judge=Judge.AMONG,
    goal=0.99,
)
QUOTE = Grammar(
    name="quote",
    title="Closing quotation mark",
    weight=3,
    document=_quote_document,
    pair=_quote_pair,
    combination="speaker and subject",
    description=(
        "A quoted sentence ends with a quotation mark. In the corrupt prompt the sentence is "
        "reported, so nothing is left to close."
    ),
)
