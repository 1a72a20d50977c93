"""Parts into HDF5: groups, scales, chunked and plain datasets, and a CRC-32 of every chunk.

The checksums lie in a manifest of two tables: one of what is settled, as long as the file has
chunks, and a short one of what edits change, so that an edit rewrites that one alone.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from microtome.session.chunks import all_finite, chunk_offsets, chunk_shape, chunk_values
from microtome.session.parts import Attributes, Column, Part, Scale
from microtome.session.plots import ENTRY, PLOTS
from microtome.session.rest import clear_rest, write_rest
from microtome.session.schema import EDITED, IMAGES, fixed_text, plain_text
from microtome.session.sink import Sink

# Old enough for every reader, new enough for checksums on metadata; later formats set a flag
# in the file that makes it refuse to open after a crash.
LIBVER = ("v108", "v108")
_NO_COORDINATES = "This is a netCDF dimension but not a netCDF variable. {:9d}"
MANIFEST = "/manifest"
CHANGING_MANIFEST = "/manifest/changing"
# Groups that edits write anew, with a table of checksums of their own.
CHANGING = tuple(
    f"{group}/"
    for group in (
        "/model", "/question", IMAGES, "/circuit", "/analyses", ENTRY, "/dictionaries",
        "/annotations", "/view", EDITED,
    )
)  # fmt: skip
_MANIFEST_COLUMNS = ("path", "chunk_index", "stored_bytes", "crc32")

OnChunk = Callable[[int], None]
Sums = dict[str, list[tuple[int, int, int]]]  # dataset → chunk number, stored bytes, checksum


class PartWriter:
    """Writes parts into an open HDF5 file. ``check`` raises what its disk refused."""

    def __init__(self, file: h5py.File, check: Callable[[], None]) -> None:
        self._file, self._check = file, check
        self._settled: Sums = {}
        self._changing: Sums = {}

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
        self._check()

    def write_manifest(self) -> None:
        """Write the checksums of all chunks."""
        self._write_manifest(MANIFEST, self._settled)
        self.write_changing()

    def write_changing(self) -> None:
        """Write the checksums of what edits change."""
        self._write_manifest(CHANGING_MANIFEST, self._changing)

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
        self._group(column.path.rsplit("/", 1)[0] or "/")
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
            if self._fits(path, column.values.shape[axis]):
                dataset.dims[axis].attach_scale(self._file[path])

    def _fits(self, path: str, length: int) -> bool:
        """Whether there is such an axis; what was copied from another file may know others."""
        return path in self._file and self._file[path].shape == (length,)

    def _write_whole(self, path: str, values: NDArray[Any]) -> bool:
        values = np.asarray(values, order="C")
        if values.dtype.kind == "S":
            values = values.astype(h5py.string_dtype("utf-8", values.dtype.itemsize))
        dataset = self._file.create_dataset(path, values.shape, values.dtype, track_order=True)
        if values.size:
            dataset[...] = values
            self._note(path, 0, values)
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
            self._note(column.path, number, values)
            self._check()
            finite = finite and all_finite(values)
            on_chunk(values.nbytes)
        return finite

    def _note(self, path: str, number: int, values: NDArray[Any]) -> None:
        sums = self._changing if path.startswith(CHANGING) else self._settled
        sums.setdefault(path, []).append((number, values.nbytes, zlib.crc32(values.data)))

    def _write_manifest(self, path: str, sums: Sums) -> None:
        # netCDF asks that a name has one length along the way to the root.
        axis = "stored_chunk" if path == MANIFEST else "changed_chunk"
        for name in (*_MANIFEST_COLUMNS, axis):
            if f"{path}/{name}" in self._file:
                del self._file[f"{path}/{name}"]
        group = self._group(path)
        _set_attributes(group, {"encoding-type": "manifest", "encoding-version": "1.0"})
        rows = [(name, *chunk) for name, chunks in sums.items() for chunk in chunks]
        paths, *numbers = zip(*rows, strict=True) if rows else ((), (), (), ())
        text = fixed_text(paths, (len(paths),))
        columns = [text.astype(h5py.string_dtype("utf-8", text.dtype.itemsize))]
        columns += [
            np.array(column, dtype)
            for column, dtype in zip(numbers, (np.uint64, np.uint64, np.uint32), strict=True)
        ]
        scale = group.create_dataset(axis, (len(paths),), np.int8)
        scale.make_scale(_NO_COORDINATES.format(len(paths)))
        for name, values in zip(_MANIFEST_COLUMNS, columns, strict=True):
            dataset = group.create_dataset(name, data=values, track_order=True)
            dataset.dims[0].attach_scale(scale)


class Staging(PartWriter):
    """An HDF5 file in the making. Used by one thread; never opens a file that exists."""

    def __init__(self, path: Path) -> None:
        self._sink = Sink(path)
        # The mode concerns the sink, which is a new file already.
        file = h5py.File(self._sink, "w", libver=LIBVER, track_order=True)
        super().__init__(file, self._sink.check)

    def close(self) -> None:
        """Let go of the file, everything written."""
        try:
            self._file.close()
        finally:
            self._sink.close()
        self._sink.check()

    def flush(self) -> None:
        """Write the manifest of all chunks and hand everything to the system."""
        self.write_manifest()
        clear_rest(self._file)
        self._file.flush()
        write_rest(self._file, self._sink, self._sink.seek(0, os.SEEK_END))
        self._sink.check()


class EditedFile(PartWriter):
    """An HDF5 file that exists, some of whose groups are written anew."""

    def __init__(self, file: h5py.File, check: Callable[[], None]) -> None:
        super().__init__(file, check)
        self._whole = CHANGING_MANIFEST in file  # else of an earlier version, all in one table
        for path, *chunk in self._rows(CHANGING_MANIFEST if self._whole else MANIFEST):
            sums = self._changing if path.startswith(CHANGING) else self._settled
            sums.setdefault(path, []).append((chunk[0], chunk[1], chunk[2]))

    def _rows(self, path: str) -> list[tuple[Any, ...]]:
        if f"{path}/path" not in self._file:
            return []
        group = self._file[path]
        numbers = (group[name][()].tolist() for name in _MANIFEST_COLUMNS[1:])
        return list(zip(plain_text(group["path"][()]), *numbers, strict=True))

    def remove(self, path: str) -> None:
        """Take a group out, its axes out of the lists that the file's own axes keep."""
        if path not in self._file:
            return
        group = self._file[path]
        datasets: list[h5py.Dataset] = []
        group.visititems(lambda _, each: _collect(each, datasets))
        inside = {each.name for each in datasets}
        for dataset in datasets:
            self._detach(dataset, inside)
        del self._file[path]
        for name in [name for name in self._changing if name.startswith(f"{path}/")]:
            del self._changing[name]

    def empty(self, path: str, parts: Iterable[Part]) -> None:
        """Take out of a group what ``parts`` wrote there, and leave what somebody else did.

        What shares an axis with them goes as well: it speaks of rows that are no more.
        """
        if path not in self._file:
            return
        written = [*parts]
        known = {column.path for part in written for column in part.columns}
        known.update(scale.path for part in written for scale in part.scales)
        known.update(link for part in written for link in part.links)
        datasets: list[h5py.Dataset] = []
        self._file[path].visititems(lambda _, each: _collect(each, datasets))
        gone = {
            each.name for each in datasets
            if each.name in known or any(scale.name in known for scale in _scales(each))
        }  # fmt: skip
        for dataset in datasets:
            if dataset.name in gone:
                self._detach(dataset, gone)
        for name in gone:
            del self._file[name]
            self._changing.pop(name, None)
        for part in written:
            for name in part.groups.get(path, {}):
                self._file[path].attrs.pop(name, None)

    def _detach(self, dataset: h5py.Dataset, gone: Container[str]) -> None:
        """Take a dataset out of the lists of those axes that stay."""
        for dimension in dataset.dims:
            for scale in dimension.values():
                if scale.name not in gone:
                    dimension.detach_scale(scale)

    def finish(self, attributes: Attributes) -> None:
        """Write the manifest, change attributes of the root, hand all to the file."""
        self._name_plots()
        if self._whole:
            self.write_changing()
        else:
            self.write_manifest()
            self._whole = True
        clear_rest(self._file)
        for name, value in _encoded(attributes):
            _create_attribute(self._file, name, value)
        self._file.flush()
        self._check()

    def _name_plots(self) -> None:
        """Viewers begin with the plot that is named: let it be one that is there still."""
        if PLOTS not in self._file:
            return
        plots = self._file[PLOTS]
        first = next(iter(plots), None)
        if first is None:
            del self._file[ENTRY]
        elif plain_text(np.asarray(plots.attrs["default"]))[0] not in plots:
            for group, name in ((plots, first), (self._file[ENTRY], f"plots/{first}")):
                for key, value in _encoded({"default": name}):
                    _create_attribute(group, key, value)


def _scales(dataset: h5py.Dataset) -> Iterator[h5py.Dataset]:
    for dimension in dataset.dims:
        yield from dimension.values()


def _collect(held: h5py.Group | h5py.Dataset, datasets: list[h5py.Dataset]) -> None:
    if isinstance(held, h5py.Dataset):
        datasets.append(held)


def _set_attributes(target: h5py.Group | h5py.Dataset, attributes: Attributes) -> None:
    for name, value in _encoded(attributes):
        if name not in target.attrs:
            _create_attribute(target, name, value)


def _create_attribute(target: h5py.Group | h5py.Dataset, name: str, value: NDArray[Any]) -> None:
    dtype = None
    if value.dtype.kind == "S":
        dtype = h5py.string_dtype("utf-8", value.dtype.itemsize)
    target.attrs.create(name, value, dtype=dtype)


def _encoded(attributes: Attributes) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, value in attributes.items():
        yield name, fixed_text([value], ()) if isinstance(value, str) else np.asarray(value)
