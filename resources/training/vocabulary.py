"""The token table of words-4l."""

from collections.abc import Sequence
from typing import Final

from training.documents import Split, seeded
from training.tasks import TASKS
from training.words import BOS, UNKNOWN, YEARS

_DRAWS: Final = 8_000


def vocabulary() -> tuple[str, ...]:
    """Return every word the grammars can say, the special tokens and years first.

    The words are collected from a fixed draw of documents, large enough to meet
    each of them; a word that it missed would fail loudly when it is encoded.
    """
    rng = seeded("vocabulary")
    said = {
        word
        for task in TASKS
        for _ in range(_DRAWS)
        for word in task.document(rng, Split.TRAINING).words
    }
    first = (BOS, UNKNOWN, *YEARS)
    return (*first, *sorted(said.difference(first)))


def encoder(words: Sequence[str]) -> dict[str, int]:
    """Return the id of each word."""
    return {word: at for at, word in enumerate(words)}
