"""Whether anybody opened a file of a folder, asked of the system: C libraries cannot hide it."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_OPENED, _FOLDER = 0x20, 0x40000000


class Watch:
    """Names of the files of a folder that were opened since; of no system but Linux."""

    def __init__(self, folder: Path) -> None:
        self._library = ctypes.CDLL(None)
        self._number = self._library.inotify_init1(os.O_NONBLOCK)
        assert self._number >= 0
        added = self._library.inotify_add_watch(self._number, os.fsencode(folder), _OPENED)
        assert added >= 0

    def opened(self) -> set[str]:
        """The names, and an end of watching."""
        try:
            data = os.read(self._number, 1 << 16)
        except BlockingIOError:
            data = b""
        finally:
            os.close(self._number)
        names, at = set(), 0
        while at < len(data):
            _, what, _, length = struct.unpack_from("iIII", data, at)
            name = data[at + 16 : at + 16 + length].rstrip(b"\0")
            at += 16 + length
            if not what & _FOLDER:
                names.add(os.fsdecode(name))
        return names
