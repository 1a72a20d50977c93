"""Locks on open files, which die with their process.

The log beside a session is locked by the one process that edits the session, the file itself by
all who read it, so that nothing is changed under a reader.
"""

from __future__ import annotations

import errno
import os
import sys

_NONE = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_FAR = 1 << 62  # a byte that no log is long enough to have


class NoLocks(Exception):
    """The file system, often one of a network, knows no locks."""


def lock(descriptor: int, *, alone: bool) -> bool:
    """Lock an open file, alone or beside other readers; whether it could be had.

    A lock that is held already is changed to the other kind. Raises NoLocks where there are none.
    """
    try:
        _lock(descriptor, alone)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno in _NONE:
            raise NoLocks from error
        raise
    return True


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, alone: bool) -> None:
        if alone:  # Windows itself keeps files that are read from being replaced
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int, alone: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
