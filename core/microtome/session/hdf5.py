"""Parts into HDF5: groups, scales, chunked and plain datasets, and a CRC-32 of every chunk."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from microtome.session.chunks import all_finite, chunk_offsets, chunk_shape, chunk_values
from microtome.session.parts import Attributes, Column, Part, Scale
from microtome.session.schema import fixed_text
from microtome.session.sink import Sink

# Old enough for every reader, new enough for checksums on metadata; later formats set a flag
# in the file that makes it refuse to open after a crash.
_LIBVER = ("v108", "v108")
_NO_COORDINATES = "This is a netCDF dimension but not a netCDF variable. {:9d}"
MANIFEST = "/manifest"

OnChunk = Callable[[int], None]


class Staging:
    """An HDF5 file in the making. Used by one thread; never opens a file that exists."""

    def __init__(self, path: Path) -> None:
        self._sink = Sink(path)
        # The mode concerns the sink, which is a new file already.
        self._file = h5py.File(self._sink, "w", libver=_LIBVER, track_order=True)
        self._sums: list[tuple[str, int, int, int]] = []

    def close(self) -> None:
        """Let go of the file, everything written."""
        try:
            self._file.close()
        finally:
            self._sink.close()
        self._sink.check()

    def flush(self) -> None:
        """Write the manifest of all chunks and hand everything to the system."""
        self._write_manifest()
        self._file.flush()
        self._sink.check()

    def set_root(self, attributes: Attributes) -> None:
        """Attributes of the root."""
        _set_attributes(self._file, attributes)

    def append(self, part: Part, on_chunk: OnChunk) -> None:
        """Write a part; ``on_chunk`` gets the bytes after each chunk and may raise to stop."""
        for path, attributes in part.groups.items():
            _set_attributes(self._group(path), attributes)
        for scale in part.scales:
            self._write_scale(scale)
        for column in part.columns:
            self._write_column(column, on_chunk)
        for path, target in part.links.items():
            self._file[path] = self._file[target]
        self._sink.check()

    def _group(self, path: str) -> h5py.Group:
        if path not in self._file:
            self._file.create_group(path, track_order=True)
        return self._file[path]

    def _write_scale(self, scale: Scale) -> None:
        if scale.path in self._file:
            return
        self._group(scale.path.rsplit("/", 1)[0] or "/")
        if scale.values is None:
            dataset = self._file.create_dataset(scale.path, (scale.length,), np.int8)
            dataset.make_scale(_NO_COORDINATES.format(scale.length))
            return
        self._write_whole(scale.path, scale.values)
        self._file[scale.path].make_scale(scale.path.rsplit("/", 1)[1])

    def _write_column(self, column: Column, on_chunk: OnChunk) -> None:
        self._group(column.path.rsplit("/", 1)[0])
        if column.single is None or 0 in column.values.shape:
            values = np.asarray(column.values[...])
            finite = self._write_whole(column.path, values)
            on_chunk(values.nbytes)
        else:
            finite = self._write_chunks(column, column.single, on_chunk)
        dataset = self._file[column.path]
        _set_attributes(dataset, column.attributes)
        if column.values.dtype.kind == "f":
            _set_attributes(dataset, {"finite": int(finite)})
        for axis, path in enumerate(column.axes):
            dataset.dims[axis].attach_scale(self._file[path])

    def _write_whole(self, path: str, values: NDArray[Any]) -> bool:
        values = np.asarray(values, order="C")
        if values.dtype.kind == "S":
            values = values.astype(h5py.string_dtype("utf-8", values.dtype.itemsize))
        dataset = self._file.create_dataset(path, values.shape, values.dtype, track_order=True)
        if values.size:
            dataset[...] = values
            self._sums.append((path, 0, values.nbytes, zlib.crc32(values.data)))
        return all_finite(values)

    def _write_chunks(self, column: Column, single: int, on_chunk: OnChunk) -> bool:
        shape, dtype = column.values.shape, column.values.dtype
        chunk = chunk_shape(shape, dtype.itemsize, single)
        dataset = self._file.create_dataset(
            column.path, shape, dtype, chunks=chunk, fill_time="never", track_order=True
        )
        finite = True
        for number, offset in enumerate(chunk_offsets(shape, chunk)):
            values = chunk_values(column.values, offset, chunk)
            # Whole chunks go to the disk as they are, past HDF5's own copying.
            dataset.id.write_direct_chunk(offset, values)
            self._sums.append((column.path, number, values.nbytes, zlib.crc32(values.data)))
            self._sink.check()
            finite = finite and all_finite(values)
            on_chunk(values.nbytes)
        return finite

    def _write_manifest(self) -> None:
        if MANIFEST in self._file:
            del self._file[MANIFEST]
        group = self._group(MANIFEST)
        _set_attributes(group, {"encoding-type": "manifest", "encoding-version": "1.0"})
        paths, numbers, sizes, sums = (list(column) for column in zip(*self._sums, strict=True))
        scale = group.create_dataset("stored_chunk", (len(paths),), np.int8)
        scale.make_scale(_NO_COORDINATES.format(len(paths)))
        text = fixed_text(paths, (len(paths),))
        columns = {
            "path": text.astype(h5py.string_dtype("utf-8", text.dtype.itemsize)),
            "chunk_index": np.array(numbers, np.uint64),
            "stored_bytes": np.array(sizes, np.uint64),
            "crc32": np.array(sums, np.uint32),
        }
        for name, values in columns.items():
            dataset = group.create_dataset(name, data=values, track_order=True)
            dataset.dims[0].attach_scale(scale)


def _set_attributes(target: h5py.Group | h5py.Dataset, attributes: Attributes) -> None:
    for name, value in _encoded(attributes):
        if name not in target.attrs:
            dtype = None
            if value.dtype.kind == "S":
                dtype = h5py.string_dtype("utf-8", value.dtype.itemsize)
            target.attrs.create(name, value, dtype=dtype)


def _encoded(attributes: Attributes) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, value in attributes.items():
        yield name, fixed_text([value], ()) if isinstance(value, str) else np.asarray(value)
