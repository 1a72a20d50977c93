"""Folders that are read-only, files that others change, two who edit one, and no locks at all."""

import errno
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from session_records import assert_same
from wal_sessions import after_start, content, edited, numbered, run, small_session

from microtome.errors import SessionDamaged, StorageError
from microtome.session import disk, editing
from microtome.session.editing import InUse
from microtome.session.log import log_of
from microtome.session.reader import open_session
from microtome.session.store import SessionStore
from microtome.session.unsaved import recover, unsaved
from microtome.session.verify import compare
from microtome.session.writer import save_session

# Edits a session in another process until its input ends: tells that it has kept it.
OTHER = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from wal_sessions import numbered
from microtome.session.reader import open_session
from microtome.session.store import SessionStore
path, store = Path(sys.argv[1]), SessionStore()
session = open_session(path)
store.opened(path, session, None, {})
print(store.keep(path, numbered(session, 77), None), flush=True)
sys.stdin.read()
"""


class Files:
    """A session file that a store has opened."""

    def __init__(self, path):
        self.path, self.store = path, SessionStore()
        self.session = open_session(path)
        self.store.opened(path, self.session, None, {})

    def keep(self, number):
        return self.store.keep(self.path, numbered(self.session, number), None)

    def save(self, number):
        self.store.save(self.path, numbered(self.session, number), None)

    def expect(self, number):
        assert_same(open_session(self.path), numbered(small_session(of=()), number))
        assert compare(self.path).good


@pytest.fixture
def path(tmp_path):
    return save_session(tmp_path / "held.h5", small_session(of=()))


def names(path):
    return sorted(each.name for each in path.parent.iterdir())


def refuse(patch, module, name, number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    patch.setattr(module, name, refused)


# ------------------------------------------------------------------ where nothing may be written


def test_a_folder_without_room_for_a_log(path, monkeypatch):
    files, before = Files(path), path.read_bytes()
    plain = os.open

    def no_new_files(place, flags, *more, **named):
        if flags & os.O_CREAT and Path(place).parent == path.parent:
            raise OSError(errno.EACCES, "Permission denied")
        return plain(place, flags, *more, **named)

    with monkeypatch.context() as read_only:
        read_only.setattr(os, "open", no_new_files)
        for write in (files.keep, files.save):
            with pytest.raises(StorageError, match="may not write"):
                write(1)
        assert unsaved(path) is None
    assert path.read_bytes() == before
    assert names(path) == ["held.h5"]
    files.save(2)
    files.expect(2)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder(path):
    files = Files(path)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="may not write"):
            files.save(1)
    finally:
        path.parent.chmod(0o700)
    files.save(2)
    files.expect(2)


def test_a_file_that_may_not_be_written_leaves_no_log(path, monkeypatch):
    files = Files(path)
    plain = os.open

    def protected(place, flags, *more, **named):
        if flags & os.O_RDWR and Path(place) == path:
            raise OSError(errno.EACCES, "Permission denied")
        return plain(place, flags, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", protected)
        with pytest.raises(StorageError, match="may not write"):
            files.keep(1)
    assert names(path) == ["held.h5"]


# ------------------------------------------------------------------ under the program


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_file_that_is_gone_is_written_anew(path, kept, how):
    files = Files(path)
    for number in range(kept):
        assert files.keep(number)
    if how == "deleted":
        path.unlink()
    else:
        path.rename(path.with_name("elsewhere.h5"))
    assert not files.keep(2)
    files.save(3)
    files.expect(3)
    assert files.keep(4)
    files.save(5)
    files.expect(5)
    files.store.close()
    assert [name for name in names(path) if name != "elsewhere.h5"] == ["held.h5"]


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("how", ["replaced", "edited", "touched"])
def test_what_another_program_changed_is_not_written_over(path, kept, how):
    files, aside = Files(path), path.with_name("aside.h5")
    for number in range(kept):
        assert files.keep(number)
    if how == "replaced":
        save_session(path, small_session(of=(), view={"dock": [8]}))
    elif how == "edited":
        with path.open("r+b") as other:
            other.write(path.read_bytes()[:8])
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    before = path.read_bytes()
    longer = replace(files.session, traces=(*files.session.traces, run(5)))
    for _ in range(2):
        assert not files.keep(2)
        for session in (numbered(files.session, 3), longer):
            with pytest.raises(StorageError, match="changed by another program") as told:
                files.store.save(path, session, None)
        assert "another name" in told.value.way_out
        with pytest.raises(StorageError, match="changed by another program"):
            files.store.compact(path, files.session, None)
    assert path.read_bytes() == before
    files.store.save(aside, numbered(files.session, 4), None)
    if not kept or how == "replaced":
        assert path.read_bytes() == before
    assert_same(open_session(aside), numbered(small_session(of=()), 4))
    with pytest.raises(StorageError, match="changed by another program"):
        files.store.save(path, numbered(files.session, 4), None)
    files.store.save(path, numbered(files.session, 5), None, replace=True)  # a word of the user
    files.expect(5)
    assert files.keep(6)
    files.save(7)
    files.expect(7)
    files.store.close()
    assert names(path) == ["aside.h5", "held.h5"]


def test_a_file_cut_short_is_an_error_and_never_zeros(path):
    files = Files(path)
    assert files.keep(1)
    with path.open("r+b") as other:
        other.truncate(path.stat().st_size // 3)
    assert not files.keep(2)
    # What was read from it is gone, and nobody is told zeros instead.
    with pytest.raises((SessionDamaged, StorageError)):
        files.save(3)
    whole = small_session(of=())
    files.store.save(path, whole, None, replace=True)
    assert_same(open_session(path), whole)
    assert compare(path).good


# ------------------------------------------------------------------ two


def test_two_stores_on_one_file(path):
    one, other = Files(path), Files(path)
    assert one.keep(1)
    for write in (other.keep, other.save):
        with pytest.raises(InUse, match="another window"):
            write(2)
    longer = replace(other.session, traces=(*other.session.traces, run(5)))
    with pytest.raises(InUse, match="another window"):
        other.store.save(path, longer, None)  # a whole file is none of its business either
    with pytest.raises(InUse, match="another window"):
        SessionStore().save(path, small_session(), None)
    assert unsaved(path) is None  # another program edits it
    one.save(3)
    one.expect(3)
    one.store.close()
    with pytest.raises(StorageError, match="changed by another program"):
        other.save(5)
    one.expect(3)
    again = Files(path)
    again.save(5)
    again.expect(5)


def test_another_process_edits_the_file(path):
    here = Path(__file__).parent
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, path, here, here.parent],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert other.stdout.readline() == "True\n"
        files = Files(path)
        with pytest.raises(InUse, match="another window"):
            files.keep(1)
        with pytest.raises(InUse, match="another window"):
            files.save(1)
        assert unsaved(path) is None
        assert_same(open_session(path), small_session(of=()))  # as it was saved
    finally:
        other.kill()
        other.communicate()
    del files
    assert unsaved(path).commits == 1
    recover(path)
    assert_same(open_session(path), numbered(small_session(of=()), 77))


def test_a_reader_of_the_file_makes_a_save_write_anew(path):
    files = Files(path)
    assert files.keep(1)
    other = Path(shutil.copy(path, path.with_name("as saved.h5")))
    with h5py.File(path, "r") as reader:
        before = path.stat().st_ino
        files.save(2)
        assert path.stat().st_ino != before
        with h5py.File(other) as was:
            assert bytes(reader["view/state_json"]) == bytes(was["view/state_json"])
    files.expect(2)
    other.unlink()
    number = path.stat().st_ino
    files.save(3)
    assert path.stat().st_ino == number  # folded
    files.expect(3)
    files.store.close()
    assert names(path) == ["held.h5"]


def test_a_session_opened_here_while_it_is_edited_is_as_it_was_saved(path):
    files = Files(path)
    assert files.keep(1)
    second = open_session(path)
    files.save(2)
    files.keep(3)
    assert_same(second, small_session(of=()))
    files.expect(2)


# ------------------------------------------------------------------ no locks


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_whole_files_are_saved(path, monkeypatch, number):
    from microtome.session import locks

    files = Files(path)
    refuse(monkeypatch, locks, "_lock", number)
    assert not files.keep(1)
    files.save(2)
    files.expect(2)
    assert names(path) == ["held.h5"]


def test_without_locks_a_log_that_waits_stays(path, monkeypatch):
    from microtome.session import locks

    files = Files(path)
    assert files.keep(1)
    log = log_of(path).read_bytes()
    del files
    with monkeypatch.context() as patch:
        refuse(patch, locks, "_lock", errno.ENOLCK)
        assert unsaved(path) is None
        assert not Files(path).keep(2)
        assert log_of(path).read_bytes() == log
    assert after_start(path, "recover").commits == 1
    assert_same(open_session(path), numbered(small_session(of=()), 1))


# ------------------------------------------------------------------ nothing is left open


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no list of open files")
def test_no_file_stays_open(path, monkeypatch):
    import gc

    def held():
        gc.collect()
        targets = []
        for each in list(Path("/proc/self/fd").iterdir()):
            try:
                targets.append(str(each.readlink()))
            except OSError:
                continue
        return [target for target in targets if str(path) in target]

    files = Files(path)
    for number in range(3):
        files.save(number)
        with monkeypatch.context() as patch:
            refuse(patch, disk.DiskFile, "write", errno.EIO)
            with pytest.raises(StorageError):
                files.keep(number + 50)
        files.store.save(path, replace(files.session, traces=(run(number),)), None)
    files.store.close()
    del files
    assert held() == []


def test_content_tells_sessions_apart(path, tmp_path):
    """What these tests compare by is not blind."""
    one = numbered(edited(small_session(), random.Random(1)), 1)
    same = content(save_session(tmp_path / "a.h5", one))
    assert same == content(save_session(tmp_path / "b.h5", one))
    assert same != content(save_session(tmp_path / "c.h5", numbered(one, 2)))
    assert editing.same_file(disk.DiskFile(path), path)
