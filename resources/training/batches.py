"""Rows of packed documents with the weight of each word in the loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from training.documents import Split, seeded
from training.tasks import TASKS
from training.words import BOS

DETERMINED_WEIGHT: Final = 3.0


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

    def _row(self, length: int) -> tuple[list[int], list[float]]:
        ids: list[int] = []
        weights: list[float] = []
        while len(ids) < length:
            (task,) = self._rng.choices(TASKS, self._shares)
            document = task.document(self._rng, self._split)
            marks = [1.0] * len(document.words)
            for at in document.determined:
                marks[at] = DETERMINED_WEIGHT
            ids += [self._ids[BOS], *(self._ids[word] for word in document.words)]
            weights += [1.0, *marks]
        return ids[:length], weights[:length]

    def batch(self, rows: int, length: int) -> Batch:
        """Return the next rows."""
        ids, weights = zip(*(self._row(length) for _ in range(rows)), strict=True)
        return Batch(torch.tensor(ids), torch.tensor(weights))
