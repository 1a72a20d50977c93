"""How a dataset is cut into chunks, and what each chunk holds.

One chunk is one prompt and one layer with all its positions and features, so that looking at
one layer never reads another; it is cut along its leading axes above 1 MB, and takes in
further layers below 64 kB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    # The trial child reads files without the records, and starts faster for it.
    from microtome.records.trace import ArraySource

_SMALLEST, _LARGEST = 64 << 10, 1 << 20


def chunk_shape(shape: Sequence[int], itemsize: int, single: int) -> tuple[int, ...]:
    """The chunk of a dataset whose first ``single`` axes (prompt, layer) are cut to one."""
    chunk = [1] * single + [max(1, length) for length in shape[single:]]
    for axis in range(single, len(shape)):
        size = math.prod(chunk) * itemsize
        if size <= _LARGEST:
            break
        # Even pieces leave no thin last chunk.
        rest = size // chunk[axis]
        pieces = math.ceil(shape[axis] / max(1, _LARGEST // rest))
        chunk[axis] = math.ceil(shape[axis] / pieces)
    size = max(1, math.prod(chunk) * itemsize)
    if single and size < _SMALLEST:
        chunk[single - 1] = min(shape[single - 1], math.ceil(_SMALLEST / size))
    return tuple(chunk)


def chunk_offsets(shape: Sequence[int], chunk: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Where each chunk begins, in row-major order: the order of chunk numbers in the manifest."""
    return product(*(range(0, length, step) for length, step in zip(shape, chunk, strict=True)))


def chunk_count(shape: Sequence[int], chunk: Sequence[int]) -> int:
    """How many chunks a dataset has."""
    return math.prod(-(-length // step) for length, step in zip(shape, chunk, strict=True))


def chunk_values(source: ArraySource, offset: Sequence[int], chunk: Sequence[int]) -> NDArray[Any]:
    """The values of one chunk, contiguous, padded with zeros where the dataset ends."""
    ends = (min(o + c, n) for o, c, n in zip(offset, chunk, source.shape, strict=True))
    values = source[tuple(slice(o, end) for o, end in zip(offset, ends, strict=True))]
    if values.shape == tuple(chunk):
        return np.ascontiguousarray(values)
    padded = np.zeros(chunk, values.dtype)
    padded[tuple(slice(0, length) for length in values.shape)] = values
    return padded


def all_finite(values: NDArray[Any]) -> bool:
    """Whether every number is finite. A finite sum says so at the speed of memory."""
    if values.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


@dataclass(frozen=True, slots=True)
class Stacked:
    """Arrays of several runs as one with a prompt axis in front; shorter runs end in zeros.

    Nothing is copied until a part is asked for.
    """

    sources: tuple[ArraySource, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of runs, then the longest length of each axis."""
        lengths = zip(*(source.shape for source in self.sources), strict=True)
        return (len(self.sources), *(max(length) for length in lengths))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one element."""
        return self.sources[0].dtype

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """A block named by one slice for each axis."""
        rows, *inner = index
        shape = self.shape
        first, last, _ = rows.indices(shape[0])
        spans = [part.indices(n) for part, n in zip(inner, shape[1:], strict=True)]
        wanted = tuple(stop - start for start, stop, _ in spans)
        blocks = [np.asarray(self.sources[row][tuple(inner)]) for row in range(first, last)]
        if len(blocks) == 1 and blocks[0].shape == wanted:
            return blocks[0][np.newaxis]
        out = np.zeros((len(blocks), *wanted), self.dtype)
        for row, block in enumerate(blocks):
            out[row][tuple(slice(0, length) for length in block.shape)] = block
        return out
