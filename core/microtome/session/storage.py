"""Files that are either the old one or the new one: checks before, replacing after.

A new session is written beside its target and takes its place in one step, so that a full
disk, a cancel or a power cut leaves what was there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from microtome.errors import StorageError

_MEGABYTE = 1 << 20
_RESERVE = 256 * _MEGABYTE
_LEFTOVER_AGE = 3600  # seconds without a write: whoever began this file is gone
_REASONS = {
    errno.ENOSPC: ("The disk is full.", "Free some space, or save to another disk."),
    errno.EDQUOT: ("Your disk quota is used up.", "Free some space, or save to another disk."),
    errno.EFBIG: ("The file is larger than allowed there.", "Save to another disk."),
    errno.EACCES: ("You may not write there.", "Choose another folder."),
    errno.EPERM: ("You may not write there.", "Choose another folder."),
    errno.EROFS: ("That disk is read-only.", "Choose another folder."),
    errno.ENAMETOOLONG: ("The name is too long.", "Choose a shorter name."),
    errno.ENOENT: ("The folder does not exist.", "Choose another folder."),
    errno.EIO: ("The disk reports an error.", "Save to another disk."),
}
# HDF5 and safetensors fold the system's error number into a sentence.
_ERRNO = re.compile(r"(?:errno = |\[Errno |os error )(\d+)")


def storage_error(path: Path, error: BaseException) -> StorageError:
    """What went wrong when a file was written, in the user's words."""
    number = getattr(error, "errno", None)
    match = _ERRNO.search(str(error))
    if number is None and match:
        number = int(match[1])
    reason, way_out = _REASONS.get(number or 0, (str(error)[:200], "Save to another place."))
    return StorageError(f"{path.name} could not be saved. {reason}", way_out)


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn failures to write ``path`` into StorageError."""
    try:
        yield
    except (OSError, RuntimeError, SystemError) as error:
        raise storage_error(path, error) from error


def prepare_target(path: str | os.PathLike[str], size: int) -> Path:
    """The file that will be replaced, links followed, after its folder was found fit for it.

    Raises StorageError when it is a folder or write-protected, its folder is missing, or
    ``size`` bytes do not fit with a margin: a tenth more, and as much again up to 256 MB, so that
    a large session does not fill the disk to its end and a small one is not refused.
    """
    target = Path(os.path.realpath(path))
    with storing(target):
        if target.is_dir():
            raise StorageError(f"{target.name} is a folder.", "Give the name of a file.")
        if not target.parent.is_dir():
            raise StorageError(f"There is no folder {target.parent}.", "Choose another folder.")
        if target.exists() and not os.access(target, os.W_OK):
            raise StorageError(f"{target.name} is write-protected.", "Save under another name.")
        free = shutil.disk_usage(target.parent).free
    needed = size + size // 10 + min(size, _RESERVE) + _MEGABYTE
    if free < needed:
        raise StorageError(
            f"Saving {target.name} needs {_megabytes(needed)}, but {_megabytes(free)} are free.",
            "Free some space, save to another disk, or save fewer activations.",
        )
    return target


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:,.0f} MB"


def temporary_beside(target: Path) -> Path:
    """A new name in the target's folder; files that dead saves left there are removed."""
    for leftover in target.parent.glob(f".{_escaped(target.name)}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _LEFTOVER_AGE:
                leftover.unlink()
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")


def _escaped(name: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", name)


def discard(temporary: Path) -> None:
    """Remove a temporary file, if it is there."""
    with contextlib.suppress(OSError):
        temporary.unlink()


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        if sys.platform == "darwin":
            import fcntl

            # fsync alone leaves the bytes in the drive's own cache there.
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_target(temporary: Path, target: Path) -> None:
    """Put a finished file in its place for good."""
    with contextlib.suppress(FileNotFoundError):
        temporary.chmod(target.stat().st_mode & 0o7777)
    # Another program that reads the old file blocks this on Windows for a moment.
    for pause in (0.1, 0.2, 0.4, 0.8, None):
        try:
            temporary.replace(target)
            break
        except PermissionError:
            if sys.platform != "win32" or pause is None:
                raise
            time.sleep(pause)
    if sys.platform != "win32":
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
