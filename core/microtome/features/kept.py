"""Codes of a text kept as they come, up to a bound, and what they tell of tokens and partners.

Rows of text come in an order drawn by seed, so that those kept are an even sample where not all
fit. Tables of all pairs of features, or of features and tokens, are never made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import xlogy

from microtome.jobs import Job
from microtome.records.feature_index import NONE

# Activations that are kept: 12 bytes each.
MOST_KEPT = 1 << 24
# Pairs of features counted one by one; products of a dense table are cheaper by so much.
_MOST_PAIRS = 1 << 28
_DENSE_CHEAPER = 32
# Numbers of pairs that are in memory at once.
_PAIRS_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """For each feature others by number, largest share first; ``NONE`` and 0 where none are."""

    number: NDArray[np.int32]
    share: NDArray[np.float32]


class KeptCodes:
    """Which features were on at which token, how strongly, of as many positions as fit."""

    def __init__(self, features: int, most: int = MOST_KEPT) -> None:
        self.features, self.positions, self._left = features, 0, most
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._table: Any = None

    def add(
        self,
        at: NDArray[np.int64],
        feature: NDArray[np.int64],
        value: NDArray[np.float32],
        words: NDArray[np.int32],
    ) -> None:
        """Take in a batch: ``words`` has the token of each position, the rest one entry a code.

        ``at`` is the position in the batch, in rising order. Once a batch does not fit, no more
        is kept.
        """
        if len(at) > self._left:
            self._left = 0
            return
        self._left -= len(at)
        counts = np.bincount(at, minlength=len(words)).astype(np.int64)
        self._parts.append((counts, feature.astype(np.int32), value, words))
        self.positions += len(words)

    def words(self, count: int) -> tuple[Best, NDArray[np.float32]]:
        """The tokens on which each feature is on, by their share of its summed activation.

        Also over how many tokens it is spread evenly: the exponential of the entropy over all.
        """
        codes, words = self._codes()
        vocabulary, token = np.unique(words, return_inverse=True)
        on = sparse.csr_matrix(
            (np.ones(len(token), np.float32), (token, np.arange(len(token)))),
            shape=(len(vocabulary), len(token)),
        )
        sums = (on @ codes).T.tocsr()  # [feature, token]
        total = np.maximum(np.asarray(sums.sum(axis=1)).reshape(-1), 1e-30)
        share = sums.data / np.repeat(total, np.diff(sums.indptr)).astype(np.float32)
        number = vocabulary[sums.indices].astype(np.int32)
        row = np.repeat(np.arange(self.features), np.diff(sums.indptr))
        entropy = -np.bincount(row, xlogy(share, share), minlength=self.features)
        best = _best(sums.indptr, number, share.astype(np.float32), count)
        return best, np.exp(entropy).astype(np.float32)

    def partners(self, count: int, job: Job) -> Best:
        """Features that are on at the same positions, by their share of the positions of either."""
        on = self._on()
        counts = np.asarray(on.sum(axis=0)).reshape(-1)
        numbers = np.full((self.features, count), NONE, np.int32)
        shares = np.zeros((self.features, count), np.float32)
        for start, both in _products(on, _is_dense(on)):
            rows = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr)) + start
            either = counts[rows] + counts[both.indices] - both.data
            share = np.where(rows == both.indices, 0, both.data / either).astype(np.float32)
            part = _best(both.indptr, both.indices, share, count)
            numbers[start : start + len(part.number)] = part.number
            shares[start : start + len(part.number)] = part.share
            job.progress("Features that fire together", start + both.shape[0], self.features)
        return Best(numbers, shares)

    def _codes(self) -> tuple[sparse.csr_matrix, NDArray[np.int32]]:
        """All codes [position, feature], and the token of each position."""
        if self._table is None:
            empty = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
            parts = self._parts or [(*empty, np.empty(0, np.int32))]
            counts, feature, value, words = (
                np.concatenate(each) for each in zip(*parts, strict=True)
            )
            ends = np.concatenate([[0], np.cumsum(counts)])
            shape = (len(counts), self.features)
            self._table = sparse.csr_matrix((value, feature, ends), shape=shape), words
            self._parts = []
        codes, words = self._table
        return codes, words

    def _on(self) -> sparse.csr_matrix:
        """Ones where features are on, of so many positions as their pairs allow."""
        codes, _ = self._codes()
        each = np.diff(codes.indptr).astype(np.int64) ** 2
        pairs = np.minimum(each, self.features**2 // _DENSE_CHEAPER)
        rows = int(np.searchsorted(np.cumsum(pairs), _MOST_PAIRS, "right"))
        end = codes.indptr[rows]
        ones = np.ones(end, np.float32)
        ends = codes.indptr[: rows + 1]
        return sparse.csr_matrix((ones, codes.indices[:end], ends), shape=(rows, self.features))


def _is_dense(on: sparse.csr_matrix) -> bool:
    pairs = float((np.diff(on.indptr).astype(np.float64) ** 2).sum())
    return bool(pairs > on.shape[0] * on.shape[1] ** 2 / _DENSE_CHEAPER)


def _products(on: sparse.csr_matrix, dense: bool) -> Iterator[tuple[int, sparse.csr_matrix]]:
    """At how many positions features are on together, some features at a time."""
    positions, features = on.shape
    size = max(1, _PAIRS_AT_ONCE // max(1, features))
    by_feature = on.T.tocsr()
    for start in range(0, features, size):
        if not dense:
            yield start, by_feature[start : start + size] @ on
            continue
        both = np.zeros((min(size, features - start), features), np.float32)
        step = max(1, _PAIRS_AT_ONCE // features)
        for first in range(0, positions, step):
            table = on[first : first + step].toarray()
            both += table[:, start : start + size].T @ table
        yield start, sparse.csr_matrix(both)


def _best(
    ends: NDArray[Any], numbers: NDArray[Any], shares: NDArray[np.float32], count: int
) -> Best:
    """The entries with the largest shares of each row of a sparse table."""
    rows = len(ends) - 1
    number = np.full((rows, count), NONE, np.int32)
    share = np.zeros((rows, count), np.float32)
    row = np.repeat(np.arange(rows), np.diff(ends))
    order = np.lexsort((numbers, -shares, row))
    rank = np.arange(len(order)) - ends[row]  # sorting leaves each row in its place
    kept = order[rank < count]
    kept = kept[shares[kept] > 0]
    slot = np.empty(len(order), np.int64)
    slot[order] = rank
    number[row[kept], slot[kept]] = numbers[kept]
    share[row[kept], slot[kept]] = shares[kept]
    return Best(number, share)
