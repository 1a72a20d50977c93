"""Bytes on a disk: what the write-ahead log asks of a file, and files that give it.

The log is tested on disks that fail in every way a disk can, so that it knows no other way to a
file than these few calls.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

_AT_ONCE = 16 << 20  # bytes of one system call


@runtime_checkable
class Disk(Protocol):
    """A file as the log sees it. Every call may raise OSError."""

    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes; fewer only at the end of the file."""
        ...

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of ``data``; what lies between the end of the file and ``offset`` is zero."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file, or lengthen it by zeros."""
        ...

    def sync(self) -> None:
        """Return when everything written is where no power cut reaches it."""
        ...

    def close(self) -> None:
        """Let go of the file. Twice is fine."""
        ...


class DiskFile:
    """A file of the file system, open for reading and writing by one thread at a time.

    It is closed when nobody has it any more, for those who read through HDF5 may have it longest.
    """

    descriptor = -1

    def __init__(self, path: Path, *, create: bool = False) -> None:
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        made = create and not path.exists()
        self.descriptor = os.open(path, flags | (os.O_CREAT if create else 0), 0o666)
        if made:
            sync_folder(path.parent)

    @property
    def identity(self) -> tuple[int, int]:
        """What tells this file from all others: device and number."""
        state = os.fstat(self.descriptor)
        return state.st_dev, state.st_ino

    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self.descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes; fewer only at the end of the file."""
        pieces, rest = [], size
        os.lseek(self.descriptor, offset, os.SEEK_SET)
        while rest and (piece := os.read(self.descriptor, min(rest, _AT_ONCE))):
            pieces.append(piece)
            rest -= len(piece)
        return b"".join(pieces)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of ``data``."""
        rest = memoryview(data).cast("B")
        os.lseek(self.descriptor, offset, os.SEEK_SET)
        while rest:
            rest = rest[os.write(self.descriptor, rest[:_AT_ONCE]) :]

    def truncate(self, size: int) -> None:
        """Cut the file, or lengthen it by zeros."""
        os.ftruncate(self.descriptor, size)

    def sync(self) -> None:
        """Return when everything written is where no power cut reaches it."""
        sync_descriptor(self.descriptor)

    def close(self) -> None:
        """Let go of the file. Twice is fine."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        self.close()


def sync_descriptor(descriptor: int) -> None:
    """Wait until the bytes of an open file are on the disk."""
    if sys.platform == "darwin":
        import fcntl

        # fsync alone leaves the bytes in the drive's own cache there.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names of a folder's files are on the disk, where the system can."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
