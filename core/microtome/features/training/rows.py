"""Where a trainer's rows come from: harvested activations, or arrays in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from microtome.activations.shards import expect_enough
from microtome.errors import CorpusError
from microtome.jobs import Job, job_or_default

_ENDS = 32  # rows at each end of a piece that tell it from others: few, as a disk is read for them


@runtime_checkable
class Rows(Protocol):
    """Activations at some sites, the same rows of each; a harvest is one."""

    @property
    def n(self) -> int:
        """How many rows there are."""
        ...

    @property
    def sites(self) -> tuple[str, ...]:
        """The names of the sites."""
        ...

    def batches(
        self, sites: Sequence[str], size: int, seed: int = 0, start: int = 0
    ) -> Iterator[tuple[NDArray[np.float32], ...]]:
        """Shuffled batches without end, [size, d] for each site; ``start`` leaves some out."""
        ...

    def pieces(self, site: str) -> Iterator[NDArray[Any]]:
        """All rows of a site, some at a time."""
        ...


class ArrayRows:
    """Rows in memory, [n, d] float32 for each site.

    Raises CorpusError for none, or sites of unequal numbers of rows.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        self._arrays = dict(arrays)
        counts = {name: len(array) for name, array in self._arrays.items()}
        if not counts or not min(counts.values()):
            raise CorpusError("There are no rows to train on.", "Give more text.")
        if len(set(counts.values())) > 1:
            raise CorpusError(f"Sites have unequal numbers of rows: {counts}.")
        self._n = next(iter(counts.values()))

    @property
    def n(self) -> int:
        """How many rows there are."""
        return self._n

    @property
    def sites(self) -> tuple[str, ...]:
        """The names of the sites."""
        return tuple(self._arrays)

    def batches(
        self, sites: Sequence[str], size: int, seed: int = 0, start: int = 0
    ) -> Iterator[tuple[NDArray[np.float32], ...]]:
        """Shuffled batches without end; each pass over the rows has another order."""
        expect_enough(self.n, size)
        each = self.n // size
        held = [self._arrays[site] for site in sites]
        for turn in range(start // each, 1 << 62):
            order = np.random.default_rng((seed, turn)).permutation(self.n)
            for at in range(start - turn * each if turn == start // each else 0, each):
                rows = order[at * size : (at + 1) * size]
                yield tuple(array[rows] for array in held)

    def pieces(self, site: str) -> Iterator[NDArray[Any]]:
        """All rows of a site."""
        yield self._arrays[site]


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Where the rows of a site lie.

    ``(x - mean) / size`` has mean 0 and, over all its numbers, mean square 1.
    """

    mean: Float[Tensor, " d"]
    size: float

    def normalised(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
        """Rows as a dictionary is trained on them."""
        return (x - self.mean).mul_(1 / self.size)

    @classmethod
    def of(cls, rows: Rows, site: str, job: Job | None = None) -> Scale:
        """The scale of all rows of a site, summed in float64.

        Raises CorpusError when all rows are the same, or hold NaN or infinity.
        """
        count, squares = 0, 0.0
        total: NDArray[np.float64] = np.zeros(1)
        for piece in rows.pieces(site):
            # In blocks, so that no float64 copy of a whole shard is in memory.
            for at in range(0, len(piece), 8_192):
                job_or_default(job).give_way()
                block = np.asarray(piece[at : at + 8_192], np.float64)
                count += len(block)
                total = total + block.sum(0)
                squares += float(np.einsum("nd,nd->", block, block))
        mean = total / count
        variance = squares / count - float(mean @ mean)
        if not np.isfinite(variance):
            raise CorpusError(f"The rows of {site} hold NaN or infinity.", "Take another model.")
        size = float(np.sqrt(max(variance, 0.0) / len(mean)))
        if size <= 1e-6 * float(np.abs(mean).max()):
            raise CorpusError(f"All rows of {site} are the same.", "Give other text or a site.")
        return cls(torch.from_numpy(mean).float(), size)


def digest(rows: Rows, sites: Sequence[str]) -> str:
    """What tells rows from others: their number and sites, and those at the ends of each piece."""
    told = hashlib.sha256(f"{rows.n} {','.join(sites)}".encode())
    for site in sites:
        for piece in rows.pieces(site):
            for end in (piece[:_ENDS], piece[-_ENDS:]):
                told.update(np.ascontiguousarray(end, np.float32).tobytes())
    return told.hexdigest()
