"""What a file must be before anything of it is used: the safe reader's own walk.

HDF5 is not made for files that mean harm, so every link, type, layout, filter and size is
looked at first, one name at a time, and whatever our writer would never make is refused with
its reason. Nothing is read here but the mark and the version.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
from h5py import h5a, h5d, h5g, h5o, h5pl, h5s, h5t, h5z

from microtome.errors import NotASession, SessionDamaged, SessionError
from microtome.session import schema
from microtome.session.chunks import chunk_count

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FILTERS = {
    h5z.FILTER_DEFLATE: "deflate", h5z.FILTER_SHUFFLE: "shuffle",
    h5z.FILTER_FLETCHER32: "fletcher32", h5z.FILTER_LZF: "lzf",
    32008: "bitshuffle", 32026: "Blosc2",
}  # fmt: skip
_REFERENCE_LISTS = {b"DIMENSION_LIST", b"REFERENCE_LIST"}
_SLACK = 64 << 10  # what a filter may add to values that it cannot make smaller
_MARKUP = set("<>&\"'\\")
_COPY = "Open another copy of the session."


def check_file(path: Path) -> None:
    """Refuse what is no readable HDF5 file, without HDF5.

    Raises SessionError for a missing or unreadable file, NotASession for anything else.
    """
    name = path.name or str(path)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            kind = "a folder" if stat.S_ISDIR(state.st_mode) else "not a plain file"
            raise NotASession(f"{name} is {kind}.", "Choose a session file.")
        with path.open("rb") as file:
            start = file.read(len(_SIGNATURE))
    except FileNotFoundError as error:
        raise SessionError(f"There is no file {name}.", "Choose a session file.") from error
    except OSError as error:
        raise SessionError(f"{name} cannot be read: {os.strerror(error.errno or 0)}.") from error
    if not start:
        raise NotASession(f"{name} is empty.", "Choose a session file, or copy it again.")
    if start != _SIGNATURE:
        raise NotASession(f"{name} is not an HDF5 file.", "Choose a session file.")


def check_mark(file: h5py.File, name: str) -> tuple[int, int]:
    """Refuse an HDF5 file that is no session; major and minor version of one that is.

    Raises NotASession, or SessionDamaged for a version that is none.
    """
    root = h5g.open(file.id, b"/")
    mark, version = (_fixed_text(root, key) for key in (b"format", b"format_version"))
    if mark != schema.FORMAT:
        raise NotASession(
            f"{name} is an HDF5 file, but not a Microtome session.", "Choose a session file."
        )
    return schema.parse_version(version)


def _fixed_text(root: h5g.GroupID, key: bytes) -> str:
    # Text of variable length is what made HDF5 hang on damaged files: never read.
    if not h5a.exists(root, key):
        return ""
    attribute = h5a.open(root, key)
    kind = attribute.get_type()
    if not isinstance(kind, h5t.TypeStringID) or kind.is_variable_str() or kind.get_size() > 64:
        return ""
    value = h5py.AttributeManager(h5py.Group(root))[key.decode()]
    return value.decode("ascii", "replace") if isinstance(value, bytes) else ""


@contextlib.contextmanager
def without_plugins() -> Iterator[None]:
    """Keep HDF5 from searching folders for filter code to load."""
    held = [h5pl.get(index) for index in range(h5pl.size())]
    for _ in held:
        h5pl.remove(0)
    try:
        yield
    finally:
        for path in held:
            h5pl.append(path)


def check_objects(file: h5py.File, size: int) -> list[str]:
    """Walk a whole file of ``size`` bytes; paths of its datasets.

    Raises SessionDamaged that names the first object that a session may not hold, and why.
    """
    with without_plugins():
        return _Walk(size).walk(file)


class _Walk:
    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: dict[tuple[int, int], bool] = {}  # address → is a group
        self._datasets: list[str] = []

    def walk(self, file: h5py.File) -> list[str]:
        root = h5g.open(file.id, b"/")
        self._seen[_address(root, b".")] = True
        _check_attributes(root, "/")
        waiting = [(root, "", 1)]
        while waiting:
            group, path, depth = waiting.pop()
            if depth > schema.MAX_DEPTH:
                raise _refused(path, f"lies deeper than {schema.MAX_DEPTH} groups")
            for name in _names(group, path):
                child = self._child(group, name, f"{path}/{name.decode()}")
                if child is not None:
                    waiting.append((child, f"{path}/{name.decode()}", depth + 1))
        return self._datasets

    def _child(self, group: h5g.GroupID, name: bytes, path: str) -> h5g.GroupID | None:
        if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise _refused(path, "is a link to another place or file")
        address = _address(group, name)
        if address in self._seen:
            if self._seen[address]:
                raise _refused(path, "leads back to a group that was already visited")
            return None
        if len(self._seen) >= schema.MAX_OBJECTS:
            raise _refused(path, f"is one of more than {schema.MAX_OBJECTS} objects")
        found = h5o.open(group, name)
        self._seen[address] = isinstance(found, h5g.GroupID)
        if not isinstance(found, h5g.GroupID | h5d.DatasetID):
            raise _refused(path, "is neither a group nor a dataset")
        scale = _check_attributes(found, path)
        if isinstance(found, h5g.GroupID):
            return found
        _check_dataset(found, path, self._size, scale=scale)
        self._datasets.append(path)
        return None


def _refused(path: str, reason: str) -> SessionDamaged:
    return SessionDamaged(f"{path or '/'} {reason}; a session holds no such thing.", _COPY)


def _address(group: h5g.GroupID, name: bytes) -> tuple[int, int]:
    info = h5o.get_info(group, name)
    return info.fileno, info.addr


def _names(group: h5g.GroupID, path: str) -> Iterator[bytes]:
    if group.get_num_objs() > schema.MAX_OBJECTS:
        raise _refused(path, f"holds more than {schema.MAX_OBJECTS} objects")
    for name in group:
        _check_name(name, path)
        yield name


def _check_name(name: bytes, path: str) -> None:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(path, "holds a name that is not UTF-8") from None
    if len(text) > schema.MAX_NAME:
        raise _refused(path, f"holds a name of {len(text)} characters")
    if not text.isprintable() or _MARKUP & set(text):
        raise _refused(path, f"holds the name {ascii(text)[:60]} with control or markup characters")


def _check_attributes(owner: h5g.GroupID | h5d.DatasetID, path: str) -> bool:
    """Check all attributes; whether the owner is a dimension scale."""
    count = h5a.get_num_attrs(owner)
    if count > schema.MAX_ATTRIBUTES:
        raise _refused(path, f"has {count} attributes")
    names = set()
    for index in range(count):
        attribute = h5a.open(owner, index=index)
        _check_name(attribute.name, path)
        names.add(attribute.name)
        where = f"{path or '/'}@{attribute.name.decode()}"
        kind, space = attribute.get_type(), attribute.get_space()
        if attribute.name not in _REFERENCE_LISTS:
            _check_type(kind, where)
            _check_space(space, where)
        size = int(space.get_simple_extent_npoints()) * kind.get_size()
        if size > schema.MAX_ATTRIBUTE_BYTES:
            raise _refused(where, f"takes {size} bytes")
    return b"CLASS" in names


def _check_type(kind: h5t.TypeID, path: str) -> None:
    text = isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()
    if not text and not isinstance(kind, h5t.TypeIntegerID | h5t.TypeFloatID | h5t.TypeEnumID):
        name = type(kind).__name__.removeprefix("Type").removesuffix("ID").lower()
        name = "variable-length text" if isinstance(kind, h5t.TypeStringID) else f"the type {name}"
        raise _refused(path, f"holds {name}")
    if kind.get_size() > schema.MAX_ELEMENT:
        raise _refused(path, f"has elements of {kind.get_size()} bytes")


def _check_space(space: h5s.SpaceID, path: str) -> None:
    if space.get_simple_extent_type() not in (h5s.SIMPLE, h5s.SCALAR):
        raise _refused(path, "has no shape")
    if space.get_simple_extent_ndims() > schema.MAX_DIMENSIONS:
        raise _refused(path, f"has {space.get_simple_extent_ndims()} dimensions")


def _check_dataset(dataset: h5d.DatasetID, path: str, size: int, *, scale: bool) -> None:
    kind, space, plist = dataset.get_type(), dataset.get_space(), dataset.get_create_plist()
    _check_type(kind, path)
    _check_space(space, path)
    shape = tuple(int(length) for length in space.get_simple_extent_dims() or ())
    declared = math.prod(shape) * kind.get_size()
    if declared > schema.MAX_DECLARED:
        raise _refused(path, f"claims {declared >> 30} GB")
    if plist.get_external_count():
        raise _refused(path, "keeps its values in another file")
    layout = plist.get_layout()
    if layout not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
        raise _refused(path, "takes its values from other datasets")
    _check_filters(plist, path)
    stored = dataset.get_storage_size()
    if declared > max(schema.INFLATION_FLOOR, schema.MAX_INFLATION * stored):
        raise _refused(path, f"claims {declared} bytes and stores {stored}")
    if not declared or (scale and not stored):
        return  # an axis without coordinates stores nothing
    if layout == h5d.CHUNKED:
        _check_chunks(dataset, plist, path, shape, size)
    elif stored != declared or (dataset.get_offset() or 0) + stored > size:
        raise _refused(path, f"claims {declared} bytes and stores {stored}")


def _check_filters(plist: h5py.h5p.PropDCID, path: str) -> None:
    for index in range(plist.get_nfilters()):
        number, _, _, name = plist.get_filter(index)
        if number not in _FILTERS:
            label = ascii(name.decode("utf-8", "replace"))[:40]
            raise _refused(path, f"is packed with the unknown filter {number} ({label})")
        if not h5z.filter_avail(number):
            raise SessionDamaged(
                f"{path} is packed with {_FILTERS[number]}, which is not installed.",
                "Install the Python package hdf5plugin and import it first.",
            )


def check_inflation(dataset: h5d.DatasetID | h5g.GroupID, path: str) -> None:
    """Refuse deflated chunks that grow beyond their size; HDF5 would follow them to any length.

    Raises SessionDamaged, also for a group where data should be.
    """
    if not isinstance(dataset, h5d.DatasetID):
        raise _refused(path, "is a group where data was expected")
    plist = dataset.get_create_plist()
    filters = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
    if h5z.FILTER_DEFLATE not in filters:
        return
    whole = math.prod(plist.get_chunk()) * dataset.get_type().get_size() + _SLACK
    places: list[tuple[int, ...]] = []
    dataset.chunk_iter(lambda found: places.append(found.chunk_offset))
    for offset in places:
        _, data = dataset.read_direct_chunk(offset)
        with contextlib.suppress(zlib.error):  # HDF5 tells about that itself
            if len(zlib.decompressobj().decompress(data, whole + 1)) > whole:
                raise _refused(path, "has a packed chunk that grows beyond its size")


def _check_chunks(
    dataset: h5d.DatasetID, plist: h5py.h5p.PropDCID, path: str, shape: tuple[int, ...], size: int
) -> None:
    chunk = tuple(int(length) for length in plist.get_chunk())
    whole = math.prod(chunk) * dataset.get_type().get_size()
    packed = plist.get_nfilters() > 0
    if whole > (schema.MAX_PACKED_CHUNK if packed else schema.MAX_CHUNK):
        raise _refused(path, f"has chunks of {whole >> 20} MB")
    places: list[tuple[int, int]] = []
    dataset.chunk_iter(lambda found: places.append((found.byte_offset, found.size)))
    if len(places) != chunk_count(shape, chunk):
        raise _refused(path, f"has {len(places)} of {chunk_count(shape, chunk)} chunks")
    for offset, stored in places:
        fits = stored <= whole + _SLACK if packed else stored == whole
        if offset + stored > size or not fits:
            raise _refused(path, "has a chunk that lies outside the file or has a wrong size")
