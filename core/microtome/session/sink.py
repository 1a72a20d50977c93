"""The file that HDF5 writes into: keeps the first error, and from then on takes anything.

HDF5 that was once refused a write repeats it when it closes and when Python forgets its
objects, each time with a message on the terminal. So it never sees the refusal; the writer
looks at ``check`` after each step instead.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class Sink:
    """A new file, with the few methods of a Python file that h5py asks for."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o666)
        self._place = 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error that a write met."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place in the file."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence)
        self._place = (os.fstat(self._descriptor).st_size if start is None else start) + offset
        return self._place

    def tell(self) -> int:
        """The place in the file."""
        return self._place

    def read(self, size: int) -> bytes:
        """Bytes of the file from the present place."""
        os.lseek(self._descriptor, self._place, os.SEEK_SET)
        data = os.read(self._descriptor, size)
        self._place += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the file."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        """Write all of ``data``, or take note that it could not be."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        if self._error is None:
            try:
                os.lseek(self._descriptor, self._place, os.SEEK_SET)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                self._error = error
        self._place += size
        return size

    def truncate(self, size: int | None = None) -> int:
        """Give the file a length."""
        length = self._place if size is None else size
        if self._error is None:
            try:
                os.ftruncate(self._descriptor, length)
            except OSError as error:
                self._error = error
        return length

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
