"""Inside the child: no file but the one that is looked at, no network, no program, no pickle.

Python tells its audit hooks before it does such a thing, and a hook that raises prevents it. Once
set, a hook stays until the process ends. Libraries in C are held by their readers' own rules.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_REFUSED = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork",
    "os.startfile", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
    "os.truncate", "os.chmod", "os.chown", "os.kill", "shutil.", "pickle.find_class", "webbrowser.",
    "ftplib.", "smtplib.", "urllib.", "http.client.",
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def confine(paths: Sequence[Path]) -> None:
    """Let this process read these files and folders and its own libraries, and do nothing else."""
    libraries = [*sys.path, sys.prefix, sys.base_prefix, "/proc/self"]
    allowed = tuple({os.path.realpath(place) for place in [*map(str, paths), *libraries] if place})

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            _expect_allowed(given, allowed)
        elif event.startswith(_REFUSED):
            raise PermissionError(f"{event} is not for the reader of a file")

    sys.addaudithook(hook)


def _expect_allowed(given: tuple[Any, ...], allowed: tuple[str, ...]) -> None:
    path, mode, flags = (*given, None, None, None)[:3]
    if isinstance(path, int):
        return
    writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else False
    if writes or (isinstance(flags, int) and flags & _WRITES):
        raise PermissionError("a reader of files writes none")
    place = os.path.realpath(os.fsdecode(path))
    if not any(place == each or place.startswith(each + os.sep) for each in allowed):
        raise PermissionError("another file than the one that is looked at")
