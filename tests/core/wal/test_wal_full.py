"""Disks that become full at any byte of a commit and of a save."""

import contextlib
import errno
import io
import itertools
import random
import shutil
import sys

import h5py
import numpy as np
import pytest
from power import Platter, Power
from session_records import assert_same
from wal_sessions import after_start, content, edited, numbered, rounds, small_session

from microtome.errors import StorageError
from microtome.session.disk import DiskFile
from microtome.session.hdf5 import LIBVER
from microtome.session.log import log_of, read_log
from microtome.session.logged import Logged
from microtome.session.reader import open_session
from microtome.session.store import SessionStore
from microtome.session.verify import compare

WAYS = ["commit", "fold"]


class Room:
    """Bytes that may still be written, to both files together; all that fit are."""

    def __init__(self, left):
        self.left = left

    def take(self, data):
        fits = data[: max(0, self.left)]
        self.left -= len(data)
        return fits

    def check(self):
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


class Full(Platter):
    """A file in memory whose disk has little room."""

    def __init__(self, data, room):
        super().__init__(Power(), bytearray(data), bytearray(data))
        self.room = room

    def write(self, offset, data):
        super().write(offset, self.room.take(bytes(data)))
        self.room.check()


class Noted(Logged):
    """Notes what HDF5 writes, so that it can be written again without HDF5."""

    def __init__(self, *disks):
        super().__init__(*disks)
        self.calls = []

    def write(self, data):
        self.calls.append((self.tell(), bytes(data)))
        return super().write(data)

    def truncate(self, size=None):
        self.calls.append((size, None))
        return super().truncate(size)


def again(logged, calls):
    for offset, data in calls:
        if data is None:
            logged.truncate(offset)
        else:
            logged.seek(offset)
            logged.write(data)


def whole(main, held):
    """The file with all that its log holds."""
    data = bytearray(main.seen[: held.length])
    data.extend(bytes(held.length - len(data)))
    for offset, page in held.pages.items():
        data[offset : offset + len(page)] = page
    return bytes(data[: held.length])


@pytest.fixture(scope="module")
def commits():
    """A small file, its log after one commit, and what HDF5 wrote for the next one."""
    first = io.BytesIO()
    with h5py.File(first, "w", libver=LIBVER) as file:
        file.create_dataset("values", data=np.arange(9))
    main, log = Full(first.getvalue(), Room(1 << 30)), Full(b"", Room(1 << 30))
    noted = Noted(main, log)
    file = h5py.File(noted, "r+", libver=LIBVER)
    states = []
    for number in (1, 2):
        start, noted.calls = (bytes(main.seen), bytes(log.seen)), []
        file["values"][number] = -number
        file.attrs["note"] = "x" * 9 * number
        file.flush()
        noted.commit()
        states.append(whole(main, read_log(log)))
    noted.give_up()
    file.close()
    return first.getvalue(), start, noted.calls, states


@pytest.mark.parametrize("way", WAYS)
def test_full_at_every_byte_of_a_commit(commits, way):
    saved, (main_before, log_before), calls, (before, after) = commits
    for room_for in itertools.count():
        room = Room(room_for)
        main, log = Full(main_before, room), Full(log_before, room)
        logged = Logged(main, log, read_log(log))
        again(logged, calls)
        with contextlib.suppress(OSError):
            getattr(logged, way)()
            break  # there was room for all of it
        held = read_log(log)
        if held is None:  # its first bytes for what comes next
            assert bytes(main.seen) == after, room_for
            continue
        found = whole(main, held)
        assert found in (before, after), room_for
        if held.folding is None:
            assert bytes(main.seen[: len(saved)]) == saved, room_for
        with pytest.raises(OSError, match="No space"):
            logged.commit()  # nothing more is taken from HDF5
        room.left = 1 << 30
        go_on = Logged(main, log, held)
        if found == before:
            again(go_on, calls)
        go_on.fold()
        assert bytes(main.seen) == after, room_for
    assert room_for > len(after)
    assert whole(main, read_log(log)) == after


# ------------------------------------------------------------------ whole sessions


class Files:
    """A session that was saved, then changed and kept; and the same once more changed."""

    def __init__(self, folder):
        self.path, self.store = folder / "held.h5", SessionStore()
        self.store.save(self.path, small_session(of=()), None)
        self.saved = content(self.path)
        self.session = open_session(self.path)
        self.store.opened(self.path, self.session, None, {})
        self.kept = numbered(edited(self.session, random.Random(3)), 1)
        self.next = numbered(edited(self.kept, random.Random(4)), 2)
        self.store.keep(self.path, self.kept, None)

    def found(self, folder, answer):
        """What the program finds that starts now, in a copy of the files."""
        copy = shutil.copy(self.path, folder / "copy.h5")
        shutil.copy(log_of(self.path), log_of(copy))
        after_start(copy, answer)
        assert compare(copy).good
        return content(copy)


@contextlib.contextmanager
def little_room(patch, room):
    """Both files on a disk with room for so many bytes."""
    plain = DiskFile.write

    def write(disk, offset, data):
        plain(disk, offset, room.take(bytes(data)))
        room.check()

    with patch.context() as full:
        full.setattr(DiskFile, "write", write)
        yield


@contextlib.contextmanager
def no_file_longer(size):
    """No file of this process may become longer."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refused_then_right(files, way, full, folder):
    """Whether the disk refused; the last commit and the last save are whole either way."""
    try:
        with full:
            getattr(files.store, way)(files.path, files.next, None)
        refused = False
    except StorageError as error:
        refused = str(error)
    if refused:
        assert "full" in refused or "larger than allowed" in refused
        found = files.found(folder, "recover")
        assert found["view/state_json"] != files.saved["view/state_json"]
        if way == "keep":
            assert files.found(folder, "throw away") == files.saved
    files.store.save(files.path, files.next, None)
    assert_same(open_session(files.path), files.next)
    assert compare(files.path).good
    files.store.close()
    return bool(refused)


@pytest.mark.parametrize("way", ["keep", "save"])
def test_a_session_on_a_full_disk(tmp_path, monkeypatch, way):
    refusals, count = 0, rounds(1, 300)
    most = 90_000 if way == "keep" else 150_000
    for number in range(count):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = Files(folder)
        full = little_room(monkeypatch, Room(most * number // count))
        refusals += refused_then_right(files, way, full, folder)
        shutil.rmtree(folder)
    assert refusals > count // 3


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize("way", ["keep", "save"])
def test_a_session_in_files_that_may_not_grow(tmp_path, way):
    for number in range(rounds(1, 40)):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = Files(folder)
        longest = max(files.path.stat().st_size, log_of(files.path).stat().st_size)
        full = no_file_longer(longest + 40 * number)
        refused_then_right(files, way, full, folder)
        shutil.rmtree(folder)
