"""What a newer minor version put into a file beside what this one knows: copied along.

Edits leave it where it is. A whole file takes over what lies in the root: attributes, datasets
and groups with all that is in them, through the same checks as everything that is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import h5py
from h5py import h5ds

from microtome.session.handle import Handle
from microtome.session.hdf5 import CHANGING, MANIFEST
from microtome.session.lazy import LazyArray
from microtome.session.parts import Attributes, Column, Part, Scale
from microtome.session.schema import MAJOR, MINOR, ROOT_DIMS

KNOWN_ATTRIBUTES = frozenset(
    {
        "format", "format_version", "creator", "created", "saved", "uuid", "NX_class", "default",
        "Conventions",
    }
)  # fmt: skip
KNOWN = frozenset(
    {
        *ROOT_DIMS, *(path.strip("/") for path in (*CHANGING, MANIFEST)),
        "tokens", "source", "logits", "activations", "attention",
    }
)  # fmt: skip
_OF_SCALES = {"CLASS", "NAME"}
_WITHOUT_COORDINATES = "This is a netCDF dimension"
_LARGE = 1 << 20


def holds_unknown(version: tuple[int, int]) -> bool:
    """Whether a file of this version may hold what this one does not know."""
    return version[0] == MAJOR and version[1] > MINOR


def unknown_part(handle: Handle) -> Part:
    """All that lies in the root of a file and is not known, as a part of another file."""
    found = _Found(handle)
    held = handle.attributes("/")
    found.groups["/"] = {name: held[name] for name in held if name not in KNOWN_ATTRIBUTES}
    for name in handle.members("/"):
        if name not in KNOWN:
            found.take(f"/{name}")
    return found.part()


@dataclass
class _Found:
    handle: Handle
    groups: dict[str, Attributes] = field(default_factory=dict)
    scales: list[Scale] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)

    def take(self, path: str) -> None:
        """An object, and all that is in it when it is a group."""
        kind = self.handle.kind(path)
        attributes = self.handle.attributes(path)
        if kind is None:
            self.groups[path] = attributes
            for name in self.handle.members(path):
                self.take(f"{path}/{name}")
        elif attributes.get("CLASS") == "DIMENSION_SCALE":
            self._scale(path, kind[0], str(attributes.get("NAME", "")))
        else:
            own = {name: attributes[name] for name in attributes if name not in _OF_SCALES}
            self._column(path, *kind, own)

    def part(self) -> Part:
        return Part("what a newer version wrote", self.groups, tuple(self.scales),
                    tuple(self.columns))  # fmt: skip

    def _scale(self, path: str, shape: tuple[int, ...], name: str) -> None:
        values = None if name.startswith(_WITHOUT_COORDINATES) else self.handle.read(path)
        self.scales.append(Scale(path, math.prod(shape), values))

    def _column(self, path: str, shape: tuple[int, ...], dtype: Any, own: Attributes) -> None:
        size = math.prod(shape) * dtype.itemsize
        values = LazyArray(self.handle, path, shape, dtype)
        single = 0 if size > _LARGE and shape else None
        self.columns.append(Column(path, self._axes(path), values, own, single))

    def _axes(self, path: str) -> tuple[str, ...]:
        """The scale of each axis, empty for one without."""
        with self.handle.reading(path) as file:
            dataset: h5py.Dataset = file[path]
            return tuple(
                scale_name(dataset, axis) if h5ds.get_num_scales(dataset.id, axis) else ""
                for axis in range(dataset.ndim)
            )


def scale_name(dataset: h5py.Dataset, axis: int) -> str:
    """The path of the first scale of an axis."""
    return str(dataset.dims[axis][0].name)
