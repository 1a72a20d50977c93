"""A session file that is open for edits: its log locked, HDF5 writing through it.

One process at a time edits a session. Others read the file as it was last saved.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import h5py
from h5py._objects import phil

from microtome.errors import SessionError, StorageError
from microtome.session.disk import DiskFile, sync_folder
from microtome.session.hdf5 import LIBVER, EditedFile, OnChunk
from microtome.session.locks import NoLocks, lock
from microtome.session.log import HEADER, belongs, log_of, read_log
from microtome.session.logged import Logged
from microtome.session.parts import Attributes, Part
from microtome.session.rest import write_rest
from microtome.session.safety import check_mark
from microtome.session.storage import storage_error
from microtome.session.versions import Version
from microtome.session.waste import wasted

_BROKEN = (OSError, RuntimeError, SystemError, KeyError, ValueError)


class InUse(StorageError):
    """Another program edits the session."""


class Busy(StorageError):
    """The file itself cannot be changed now, though everything is in its log."""


class NotEditable(StorageError):
    """The file cannot be edited in its place; writing it anew can still do."""


class Editing:
    """A file whose parts are changed, committed to the log and folded into the file.

    Raises InUse when another program edits it, NotEditable where files cannot be locked or the log
    holds what nobody has decided on yet, and StorageError for what the disk refuses. After an
    error it is given up: opened again the file is as at the last commit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with contextlib.ExitStack() as undo:
            with _storing(path):
                self._main = DiskFile(path)
                undo.callback(self._main.close)
                self._log = locked_log(path)
                undo.callback(self._log.close)
                _share(self._main, path)
                _expect_decided(path, self._main, self._log)
                self._logged = Logged(self._main, self._log)
                self.file = _opened(path, self._logged)
                self._parts = EditedFile(self.file, self._logged.check)
            undo.pop_all()

    @property
    def in_place(self) -> bool:
        """Whether the path still leads to this file: nobody removed or replaced it."""
        return same_file(self._main, self.path)

    @property
    def version(self) -> Version:
        """Major and minor version of the file's format."""
        return check_mark(self.file, self.path.name)

    @property
    def waste(self) -> int:
        """Bytes of the file that nothing in it uses any more."""
        with _storing(self.path), phil:
            return wasted(self.file, self._main.size())

    @property
    def unfolded(self) -> bool:
        """Whether there are commits that the file alone does not have."""
        return self._logged.unfolded

    def change(
        self,
        gone: Mapping[str, Iterable[Part] | None],
        parts: Iterable[Part],
        attributes: Attributes,
        on_chunk: OnChunk,
    ) -> None:
        """Remove groups, write parts, and commit both as one. ``on_chunk`` may raise to stop it.

        Of a group that is ``gone`` with parts only what these wrote is removed.
        """
        try:
            with _storing(self.path):
                for group, written in gone.items():
                    if written is None:
                        self._parts.remove(group)
                    else:
                        self._parts.empty(group, written)
                for part in parts:
                    self._parts.append(part, on_chunk)
                # Readers share the file: what HDF5 writes for one of them must not come between.
                with phil:
                    self._parts.finish(attributes)
                    self._logged.commit()
        except BaseException:
            self.give_up()
            raise

    def fold(self) -> None:
        """Bring the file itself to the state of the last commit.

        Raises Busy while another program reads the file: everything is in the log, and the file
        as it was.
        """
        if not self._logged.unfolded:
            return
        if not lock(self._main.descriptor, alone=True):
            raise Busy(f"{self.path.name} is being read by another program.")
        try:
            with _storing(self.path), phil:
                write_rest(self.file, self._logged, self._logged.seek(0, os.SEEK_END))
                self._logged.fold()
        except BaseException:
            self.give_up()
            raise
        finally:
            lock(self._main.descriptor, alone=False)

    def give_up(self) -> None:
        """Write nothing more, whatever HDF5 still has to; the log stays as it is."""
        self._logged.give_up()
        self._log.close()

    def retire(self) -> None:
        """End the edits; what was committed and not folded is forgotten.

        The file stays open for those who read from it.
        """
        with contextlib.suppress(OSError):
            discard_log(self.path, self._log, self._main, self._logged.base)
        self.give_up()


def _opened(path: Path, logged: Logged) -> h5py.File:
    try:
        return h5py.File(logged, "r+", libver=LIBVER)
    except _BROKEN as error:
        raise NotEditable(f"{path.name} is no longer what it was.") from error


def expect_free(path: Path) -> None:
    """Raise InUse when another program edits the session at a path."""
    with contextlib.suppress(NoLocks, OSError), contextlib.closing(DiskFile(log_of(path))) as log:
        if not lock(log.descriptor, alone=True):
            raise _in_use(path)


def forget_log(path: Path) -> None:
    """Remove the log beside a session that was just written anew, with all that it had."""
    if log_of(path).exists():
        with (
            contextlib.suppress(InUse, NotEditable, OSError),
            contextlib.closing(locked_log(path)) as log,
            contextlib.closing(DiskFile(path)) as main,
        ):
            discard_log(path, log, main, main.size())


def _in_use(path: Path) -> InUse:
    return InUse(
        f"{path.name} is open for changes in another window.",
        "Close it there, or save under another name.",
    )


def locked_log(path: Path) -> DiskFile:
    """The log of a file, made where there is none, locked.

    Raises InUse or NotEditable, OSError where it cannot be made.
    """
    place = log_of(path)
    while True:
        log = DiskFile(place, create=True)
        with contextlib.ExitStack() as undo:
            undo.callback(log.close)
            if not _alone(log, path):
                raise _in_use(path)
            # Who had the lock before may have removed the log meanwhile: then there is a new one.
            if same_file(log, place):
                undo.pop_all()
                return log


def _alone(log: DiskFile, path: Path) -> bool:
    try:
        return lock(log.descriptor, alone=True)
    except NoLocks:
        if not log.size():  # made just now; any other may hold changes
            log_of(path).unlink(missing_ok=True)
        raise NotEditable(f"Files in {path.parent} cannot be locked.") from None


def same_file(open_file: DiskFile, path: Path) -> bool:
    """Whether a path leads to an open file."""
    try:
        state = path.stat()
    except OSError:
        return False
    return (state.st_dev, state.st_ino) == open_file.identity


def discard_log(path: Path, log: DiskFile, main: DiskFile, base: int) -> None:
    """Remove a log, then what it added behind the end of its file. Raises OSError."""
    if same_file(log, log_of(path)):
        log_of(path).unlink()
        sync_folder(path.parent)
    if base < main.size() and same_file(main, path):
        main.truncate(base)


def _expect_decided(path: Path, main: DiskFile, log: DiskFile) -> None:
    """A log without commits, or of another file, is out of the way; any other waits for a word."""
    held = read_log(log)
    if held is None and log.size() <= HEADER.size:
        return  # cut off before it began
    if held is not None and not held.commits and held.folding is None:
        if belongs(held, main):
            main.truncate(held.base)
    elif held is not None and belongs(held, main):
        raise NotEditable(
            f"{path.name} has changes that were not saved.",
            "Open it and say whether to recover them.",
        )
    else:
        aside = log_of(path).with_name(f"{log_of(path).name}-{secrets.token_hex(4)}")
        copy = DiskFile(aside, create=True)
        copy.write(0, log.read(0, log.size()))
        copy.sync()
        copy.close()


def _share(main: DiskFile, path: Path) -> None:
    try:
        free = lock(main.descriptor, alone=False)
    except NoLocks:
        raise NotEditable(f"Files in {path.parent} cannot be locked.") from None
    if not free:
        raise InUse(f"{path.name} is in use by another program.", "Close it there first.")


@contextlib.contextmanager
def _storing(path: Path) -> Iterator[None]:
    try:
        yield
    except (StorageError, SessionError):
        raise
    except _BROKEN as error:
        raise storage_error(path, error) from error
