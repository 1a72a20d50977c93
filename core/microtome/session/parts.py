"""What a session becomes in the file: parts made of columns, scales and links, still without HDF5.

A column is one dataset, a scale one axis that datasets share, a part what the user sees as one
line of the size estimate and what the writer appends at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.records.trace import ArraySource
from microtome.session.schema import FILE_DIMS, ROOT_DIMS, fixed_text, json_bytes, safe_name

Attributes = Mapping[str, str | int | float | NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """An axis shared by datasets: its coordinates, or None for an axis without any."""

    path: str
    length: int
    values: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One dataset: its path, the paths of its scales, its values.

    ``single`` is the number of leading axes of which a chunk holds one entry; None stores the
    values in one piece.
    """

    path: str
    axes: tuple[str, ...]
    values: ArraySource
    attributes: Attributes = field(default_factory=dict)
    single: int | None = None

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return math.prod(self.values.shape) * self.values.dtype.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A piece of a session: groups with attributes, scales, columns, hard links to columns."""

    title: str
    groups: Mapping[str, Attributes] = field(default_factory=dict)
    scales: tuple[Scale, ...] = ()
    columns: tuple[Column, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Size of its values in bytes."""
        return sum(column.nbytes for column in self.columns)


class GroupBuilder:
    """Collects one group's columns, and finds or makes the scale of every axis.

    An axis is the root's scale where name and length agree. Otherwise it gets a scale in the
    group, under a name the root does not use: readers of netCDF ask that a name has one length
    along the way to the root.
    """

    def __init__(self, path: str, root: Mapping[str, int], attributes: Attributes) -> None:
        self.path = path
        self._root = root
        self._attributes = dict(attributes)
        self._columns: dict[str, Column] = {}
        self._scales: dict[str, Scale] = {}

    def add(
        self,
        name: str,
        dims: tuple[str, ...],
        values: ArraySource,
        attributes: Attributes | None = None,
        *,
        single: int | None = None,
        coordinates: Mapping[str, NDArray[Any]] | None = None,
    ) -> str:
        """Add an array and return its path; ``coordinates`` gives values to axes of its own."""
        given = coordinates or {}
        key = safe_name(name, [*ROOT_DIMS, *self._columns, *self._scales])
        axes = tuple(
            self._axis(dim, length, given.get(dim), key)
            for dim, length in zip(dims, values.shape, strict=True)
        )
        own = {"dims": ",".join(dims), **(attributes or {})}
        path = f"{self.path}/{key}"
        self._columns[key] = Column(path, axes, values, own, single)
        return path

    def add_text(
        self, name: str, dims: tuple[str, ...], values: Any, shape: tuple[int, ...]
    ) -> str:
        """Add texts as fixed-length UTF-8."""
        return self.add(name, dims, fixed_text(values, shape), {"encoding-type": "text"})

    def add_json(self, name: str, value: Any) -> str:
        """Add a JSON value as bytes."""
        data = json_bytes(value, name.removesuffix("_json"))
        return self.add(name, (f"{name}_byte",), data, {"encoding-type": "json"})

    def part(self, title: str, links: Mapping[str, str] | None = None) -> Part:
        """All that was added."""
        scales, columns = tuple(self._scales.values()), tuple(self._columns.values())
        return Part(title, {self.path: self._attributes}, scales, columns, links or {})

    def _axis(self, dim: str, length: int, values: NDArray[Any] | None, column: str) -> str:
        name = FILE_DIMS.get(dim, dim)
        if values is None and self._root.get(name) == length:
            return f"/{name}"
        base = safe_name(name)
        taken = {*ROOT_DIMS, *self._columns, column}
        for key in (base, f"{base}_{length}", f"{base}_axis", f"{base}_axis_{length}"):
            held = self._scales.get(key)
            if held is not None and held.length == length and _same(held.values, values):
                return held.path
            if held is None and key not in taken:
                return self._make(key, dim, length, values)
        return self._make(safe_name(base, {*taken, *self._scales}), dim, length, values)

    def _make(self, key: str, dim: str, length: int, values: NDArray[Any] | None) -> str:
        # Bytes of JSON and entries of a vocabulary are counted, never looked up by coordinate.
        if values is None and not dim.endswith("_byte") and dim != "vocabulary":
            values = np.arange(length, dtype=np.int32)
        self._scales[key] = Scale(f"{self.path}/{key}", length, values)
        return self._scales[key].path


def _same(held: NDArray[Any] | None, wanted: NDArray[Any] | None) -> bool:
    if wanted is None:
        return held is None or np.array_equal(held, np.arange(len(held)))
    return held is not None and np.array_equal(held, wanted)
