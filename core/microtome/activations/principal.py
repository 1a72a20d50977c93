"""Principal axes of activations, exact and in one pass over the data.

The obvious ways go wrong on real residual streams, whose means reach 100 standard deviations
in a few dimensions: a float32 mean over 100,000 rows was off by 0.07, which adds a component
that is not there. Here every block is shifted by its own mean, whose sums are float64, multiplied
in float32, and summed in float64 (pairwise update of Chan, Golub and LeVeque, 1979); the
eigenvectors come from a float64 solver. Blocks can be streamed, and two halves of a stream can be
merged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import eigh

from microtome.errors import InputError

SIGN_RULE = "the entry of largest magnitude of each component is positive"

# 16,384 rows keep the float32 sums of a block short and its products large enough for BLAS.
BLOCK = 16_384
_FEW = 64  # rows whose sum float32 holds to 1e-6 of their size


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Principal axes of some rows: unit vectors by falling variance, and the mean they leave from.

    ``explained_variance`` is in squared units of the data (divided by n - 1), the ratio is its
    share of the variance of all dimensions. The sign of a component is fixed by ``SIGN_RULE``.
    """

    components: Float[np.ndarray, "component d"]
    mean: Float[np.ndarray, " d"]
    explained_variance: Float[np.ndarray, " component"]
    explained_variance_ratio: Float[np.ndarray, " component"]

    def apply(self, rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n component"]:
        """The coordinates of rows along the axes, float32, in the units of the data."""
        shift, across = self.mean.astype(np.float32), self.components.T
        rest = ((self.mean - shift) @ across).astype(np.float32)
        narrow = across.astype(np.float32)
        points, room = np.empty((len(rows), narrow.shape[1]), np.float32), _room(rows)
        for block, placed in zip(_cut(rows), _cut(points), strict=True):
            np.matmul(_shifted(block, shift, room), narrow, out=placed)
        points -= rest
        return points


class Covariance:
    """Count, mean and scatter of rows seen so far; d² numbers of memory, however many rows."""

    def __init__(self, d: int) -> None:
        self.n = 0
        self.mean: NDArray[np.float64] = np.zeros(d)
        self._scatter: NDArray[np.float64] = np.zeros((d, d))

    def add(self, rows: Float[np.ndarray, "n d"]) -> None:
        """Take in rows.

        Raises InputError when they have another width or hold values that are not finite.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise InputError(f"Rows of {len(self.mean)} numbers were expected, not {rows.shape}.")
        room = _room(rows)
        for block in _cut(rows):
            with np.errstate(over="ignore", invalid="ignore"):
                shift = (_sums(block) / len(block)).astype(np.float32)
                shifted = _shifted(block, shift, room)
                left = _sums(shifted)  # what rounding the shift left over
                scatter = (shifted.T @ shifted).astype(np.float64)  # BLAS makes half of it
            if not np.isfinite(np.trace(scatter)):
                raise InputError("The activations hold values that are not finite, or above 1e19.")
            scatter -= np.outer(left, left) / len(block)
            self._update(len(block), shift + left / len(block), scatter)

    def merge(self, other: Covariance) -> None:
        """Take in all rows that another accumulator has seen."""
        self._update(other.n, other.mean, other._scatter)

    def _update(self, n: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        if not n:
            return
        total, step = self.n + n, mean - self.mean
        self._scatter = self._scatter + scatter + np.outer(step, step) * (self.n * n / total)
        self.mean = self.mean + step * (n / total)
        self.n = total

    def axes(self, components: int = 3) -> Axes:
        """The leading principal axes; as many as there are dimensions when fewer.

        Raises InputError when no row was added or no component is asked for.
        """
        if components < 1 or not self.n:
            raise InputError(f"{components} components of {self.n} rows were asked for.")
        d = len(self.mean)
        count = min(components, d)
        values, vectors = eigh(self._scatter, subset_by_index=[d - count, d - 1])
        variance = np.maximum(values[::-1], 0.0) / max(1, self.n - 1)
        total = float(np.trace(self._scatter)) / max(1, self.n - 1)
        return Axes(
            components=_with_fixed_sign(vectors.T[::-1]),
            mean=self.mean,
            explained_variance=variance,
            explained_variance_ratio=variance / total if total > 0 else np.zeros(count),
        )


def _cut(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]


def _room(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Where a block is shifted: pages that are taken anew for each cost as much as shifting."""
    return np.empty((min(len(rows), BLOCK), rows.shape[1]), np.float32)


def _shifted(
    rows: NDArray[Any], shift: NDArray[np.float32], room: NDArray[np.float32]
) -> NDArray[np.float32]:
    shifted = room[: len(rows)]
    np.subtract(rows, shift, out=shifted, casting="same_kind")
    return shifted


def _sums(rows: NDArray[Any]) -> NDArray[np.float64]:
    """The sum of each column: of few rows in float32, which is fast, of those in float64."""
    whole, narrow = len(rows) // _FEW * _FEW, np.result_type(rows, np.float32)
    parts = rows[:whole].reshape(-1, _FEW, rows.shape[1]).sum(axis=1, dtype=narrow)
    rest = rows[whole:].sum(axis=0, dtype=np.float64)
    return np.asarray(parts.sum(axis=0, dtype=np.float64) + rest)


def _with_fixed_sign(components: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.asarray(components * signs[:, None])
