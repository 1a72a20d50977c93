"""Folders that are either the old one or the new one, as files are in ``session.storage``."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from microtome.errors import StorageError, megabytes
from microtome.session.storage import storage_error, storing, sync_file

_RESERVE = 1 << 20


@contextmanager
def whole_folder(folder: Path, size: int, ours: Iterable[str]) -> Iterator[Path]:
    """A new folder beside ``folder``, which takes its place when all is written.

    ``size`` is how many bytes will come. A folder that is there is replaced only when it holds
    nothing but files that begin as those of ``ours``. Raises StorageError otherwise, when its
    parent is missing or when the disk refuses; what was there is left then.
    """
    target = Path(os.path.realpath(folder))
    with storing(target):
        _expect_room(target, size, tuple(ours))
        fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            fresh.mkdir()
            yield fresh
            for path in fresh.rglob("*"):
                if path.is_file():
                    sync_file(path)
            _put(fresh, target)
        except SafetensorError as error:  # how it tells that the disk refuses
            raise storage_error(target, error) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def expect_replaceable(target: Path, ours: tuple[str, ...]) -> None:
    """Raise StorageError where a folder can neither be made nor take the place of one of ours."""
    if not target.parent.is_dir():
        raise StorageError(f"There is no folder {target.parent}.", "Choose another folder.")
    if target.exists() and not target.is_dir():
        raise StorageError(f"{target.name} is a file.", "Give the name of a folder.")
    if target.is_dir():
        strange = [path.name for path in target.iterdir() if not path.name.startswith(ours)]
        if strange:
            raise StorageError(
                f"{target.name} holds {strange[0]}, which is no part of a dictionary.",
                "Choose an empty folder, or a new name.",
            )


def _expect_room(target: Path, size: int, ours: tuple[str, ...]) -> None:
    expect_replaceable(target, ours)
    free = shutil.disk_usage(target.parent).free
    if free < size + size // 10 + _RESERVE:
        raise StorageError(
            f"Saving {target.name} needs {megabytes(size)}, but {megabytes(free)} are free.",
            "Free some space, or save to another disk.",
        )


def _put(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    # A folder cannot be replaced in one step: the old one steps aside, and comes back on failure.
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    target.rename(aside)
    try:
        fresh.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
