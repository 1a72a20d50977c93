"""Rows of packed documents with the weight of each word in the loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from training.documents import Document, Grammar, Split, seeded
from training.tasks import TASKS
from training.words import ADJECTIVES, BOS, OBJECTS, PLACES, UNKNOWN

DETERMINED_WEIGHT: Final = 3.0
# Some words that matter to no answer are shown as unknown, so that a text with a word
# outside the vocabulary is still understood. The model is never asked to predict it.
_BLURRED_SHARE: Final = 0.02
_BLURRED: Final = frozenset((*ADJECTIVES, *OBJECTS, *PLACES))
_COPYING: Final = frozenset({"induction"})


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids [row, position] and the loss weight of each of them."""

    ids: Tensor
    weights: Tensor


class Stream:
    """An endless mixture of documents, packed row by row as "<bos> text <bos> text"."""

    def __init__(self, ids: Mapping[str, int], split: Split, seed: str) -> None:
        self._ids = ids
        self._split = split
        self._rng = seeded(seed)
        self._shares = [task.weight for task in TASKS]

    def _marked(self, task: Grammar, document: Document) -> tuple[list[str], list[float]]:
        """Return the words as the model sees them, and their weights."""
        words = list(document.words)
        weights = [1.0] * len(words)
        for at in document.determined:
            weights[at] = DETERMINED_WEIGHT
        for at, word in enumerate(words):
            may_blur = word in _BLURRED and task.name not in _COPYING
            if may_blur and self._rng.random() < _BLURRED_SHARE:
                words[at], weights[at] = UNKNOWN, 0.0
        return words, weights

    def _row(self, length: int) -> tuple[list[int], list[float]]:
        ids: list[int] = []
        weights: list[float] = []
        while len(ids) < length:
            (task,) = self._rng.choices(TASKS, self._shares)
            document = task.document(self._rng, self._split)
            words, marks = self._marked(task, document)
            ids += [self._ids[BOS], *(self._ids[word] for word in words)]
            weights += [1.0, *marks]
        return ids[:length], weights[:length]

    def batch(self, rows: int, length: int) -> Batch:
        """Return the next rows."""
        ids, weights = zip(*(self._row(length) for _ in range(rows)), strict=True)
        return Batch(torch.tensor(ids), torch.tensor(weights))
