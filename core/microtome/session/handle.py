"""An open session file: one lock around every read, and failures in the user's words."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5o
from numpy.typing import NDArray

from microtome.errors import NotASession, SessionDamaged, SessionError
from microtome.session.chunks import all_finite
from microtome.session.lazy import Selection
from microtome.session.safety import check_file, check_inflation, check_mark, check_objects
from microtome.session.schema import parse_json, plain_text
from microtome.session.versions import Version, understanding

_CHUNK_CACHE = 8 << 20
_REFERENCE_LISTS = {"DIMENSION_LIST", "REFERENCE_LIST"}
_BROKEN = (OSError, RuntimeError, SystemError, KeyError, ValueError, TypeError)

_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


class Handle:
    """Reads one file by path inside it, from any thread, one at a time.

    A file that is replaced on disk stays readable here as it was. After ``close`` every read
    raises SessionError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._inflated: set[str] = set()
        check_file(path)
        try:
            self._file = h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE, locking="best-effort")
        except BlockingIOError as error:
            raise SessionError(
                f"{path.name} is in use by another program.", "Close it there first."
            ) from error
        except _BROKEN as error:
            raise _cannot_open(path, error) from error
        self._open = self._own = True
        self._held: dict[str, h5py.Dataset] = {}
        state = path.stat()
        self.identity = (state.st_dev, state.st_ino)
        _handles.add(self)

    def share(self, file: h5py.File) -> None:
        """Read from now on through ``file``, by which the same file is edited."""
        with self.lock:
            if self._open and self._own:
                self._file.close()
            self._file, self._own = file, False

    def hold(self, groups: Iterable[str]) -> None:
        """Go on reading what lies in these groups as it is now, when edits take it out.

        HDF5 keeps what is open, and only here is it known by its path still.
        """
        with self.lock:
            if not self._open or self._own:
                return
            for group in groups:
                if group in self._file:
                    self._file[group].visititems(
                        lambda name, each, group=group: self._hold(f"{group}/{name}", each)
                    )

    def _hold(self, path: str, each: h5py.Group | h5py.Dataset) -> None:
        if isinstance(each, h5py.Dataset):
            self._held.setdefault(path, each)

    def reopen(self) -> None:
        """Read from the file alone again, as it was last saved; edits of it have ended."""
        with self.lock, contextlib.suppress(*_BROKEN):
            if self._open and not self._own:
                self._file = h5py.File(
                    self.path, "r", rdcc_nbytes=_CHUNK_CACHE, locking="best-effort"
                )
                self._own = True

    @property
    def hdf5(self) -> h5py.File:
        """The open file. Raises SessionError after ``close``."""
        if not self._open:
            raise SessionError(f"{self.path.name} was closed.", "Open the session again.")
        return self._file

    def inspect(self) -> list[str]:
        """Check the whole file before anything of it is used; paths of its datasets.

        Raises NotASession, NewerSession, or SessionDamaged that names the reason.
        """
        with (
            self.understanding(),
            self.reading("The list of contents") as file,
        ):
            return check_objects(file, self.path.stat().st_size)

    @property
    def version(self) -> Version:
        """Major and minor version of the file's format. Raises NotASession."""
        with self.reading("The format version") as file:
            return check_mark(file, self.path.name)

    def understanding(self) -> AbstractContextManager[None]:
        """Where what cannot be read of a newer major version raises NewerSession."""
        return understanding(self.path.name, self.version)

    def close(self) -> None:
        """Let go of the file. Twice is fine."""
        with self.lock:
            if self._open:
                self._open = False
                self._held.clear()
                if self._own:
                    self._file.close()

    @contextlib.contextmanager
    def reading(self, what: str) -> Iterator[h5py.File]:
        """The file under the lock; what HDF5 cannot read becomes SessionDamaged."""
        with self.lock:
            file = self.hdf5
            try:
                yield file
            except _BROKEN as error:
                raise SessionDamaged(
                    f"{what} in {self.path.name} cannot be read: {_first_line(error)}.",
                    "Open another copy of the session.",
                ) from error

    def read(self, path: str, selection: Selection | None = None) -> NDArray[Any]:
        """Values of a dataset, or of the part that one integer or slice for each axis selects.

        Raises SessionDamaged when they cannot be read, or hold numbers that are not finite
        although the file says that there are none.
        """
        with self.reading(path) as file:
            dataset = self._held[path] if path in self._held else file[path]
            if path not in self._inflated:
                check_inflation(dataset.id, path)
                self._inflated.add(path)
            values = np.asarray(dataset[... if selection is None else selection])
            promised = values.dtype.kind == "f" and bool(dataset.attrs.get("finite", 1))
        if promised and not all_finite(values):
            raise SessionDamaged(
                f"{path} in {self.path.name} holds numbers that are not finite.",
                "Open another copy of the session.",
            )
        return values

    def texts(self, path: str) -> list[str]:
        """The texts of a dataset, flattened."""
        return plain_text(self.read(path))

    def json(self, path: str) -> Any:
        """The value of a dataset that holds JSON."""
        return parse_json(self.read(path).tobytes(), path)

    def attributes(self, path: str) -> dict[str, Any]:
        """Attributes of an object: texts, numbers and arrays."""
        with self.reading(path) as file:
            owner = h5o.open(file.id, path.encode())
            held = (h5a.open(owner, index=index) for index in range(h5a.get_num_attrs(owner)))
            # The lists of dimension scales are HDF5's own references; nobody reads them here.
            return {
                name: _value(attribute)
                for attribute in held
                if (name := attribute.name.decode()) not in _REFERENCE_LISTS
            }

    def members(self, path: str) -> list[str]:
        """Names inside a group, in the order of writing; none when there is no such group."""
        with self.reading(path) as file:
            group = _find(file, path)
            return list(h5py.Group(group)) if isinstance(group, h5g.GroupID) else []

    def kind(self, path: str) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        """Shape and type of a dataset, None when there is no dataset at that path."""
        with self.reading(path) as file:
            dataset = _find(file, path)
            return (dataset.shape, dataset.dtype) if isinstance(dataset, h5d.DatasetID) else None


def handles_of(identity: tuple[int, int]) -> list[Handle]:
    """All that read the file of this device and number."""
    return [handle for handle in list(_handles) if handle.identity == identity]


def _find(file: h5py.File, path: str) -> h5g.GroupID | h5d.DatasetID | None:
    try:
        return h5o.open(file.id, path.encode())
    except KeyError:
        return None


def _value(attribute: h5a.AttrID) -> Any:
    # h5py's own way reads the same five times as slowly, and opening reads hundreds.
    value = np.empty(attribute.shape, attribute.dtype)
    attribute.read(value)
    plain = value.item() if value.ndim == 0 else value
    return plain.decode("utf-8") if isinstance(plain, bytes) else plain


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def _cannot_open(path: Path, error: BaseException) -> SessionError:
    text = str(error)
    if "truncated" in text:
        return SessionDamaged(
            f"{path.name} is cut short: part of it was never copied.", "Copy or download it again."
        )
    if "signature" in text:
        return NotASession(f"{path.name} is not an HDF5 file.", "Choose a session file.")
    return SessionDamaged(
        f"{path.name} cannot be opened: {_first_line(error)}.", "Open another copy of the session."
    )
