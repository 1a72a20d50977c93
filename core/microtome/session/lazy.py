"""Arrays that stay in the file until a part of them is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Selection = tuple[int | slice, ...]


@runtime_checkable
class BlockReader(Protocol):
    """An open file that gives a block of a dataset."""

    def read(self, path: str, selection: Selection) -> NDArray[Any]:
        """The values that one integer or slice for each axis selects."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LazyArray:
    """A dataset, or one run's window of it, that is read when it is indexed.

    ``row`` selects along the dataset's first axis; ``shape`` cuts off what pads shorter runs.
    """

    file: BlockReader
    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    row: int | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        selection = _basic(index, self.shape)
        if selection is None:
            return np.asarray(self[...][index])
        first = () if self.row is None else (self.row,)
        return self.file.read(self.path, (*first, *selection))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)


def is_stored(values: object) -> TypeGuard[LazyArray]:
    """Whether an array lies in a session file."""
    return isinstance(values, LazyArray)


def _basic(index: Any, shape: tuple[int, ...]) -> Selection | None:
    """One integer or forward slice for each axis, None for an index that is not so simple."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(not isinstance(part, int | np.integer | slice | EllipsisType) for part in parts):
        return None
    if any(isinstance(part, bool) for part in parts) or parts.count(Ellipsis) > 1:
        return None
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts[place : place + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    if len(parts) != len(shape):
        return None
    chosen = [_bounded(part, length) for part, length in zip(parts, shape, strict=True)]
    return None if None in chosen else tuple(part for part in chosen if part is not None)


def _bounded(part: Any, length: int) -> int | slice | None:
    if isinstance(part, slice):
        start, stop, step = part.indices(length)
        return slice(start, max(start, stop), step) if step > 0 else None
    number = int(part)
    if not -length <= number < length:
        raise IndexError(f"index {number} is out of bounds for an axis of length {length}")
    return number % length
