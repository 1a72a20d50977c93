"""Logs that are cut off, damaged, garbage, or of another file."""

import io
import random
import shutil

import h5py
import numpy as np
import pytest
from power import Platter, Power
from session_records import assert_same
from wal_sessions import content, edited, numbered, rounds, small_session

from microtome.session.editing import Editing, NotEditable
from microtome.session.hdf5 import LIBVER
from microtome.session.log import HEADER, belongs, log_of, read_log
from microtome.session.logged import Logged
from microtome.session.reader import open_session
from microtome.session.store import SessionStore
from microtome.session.unsaved import recover, throw_away, unsaved
from microtome.session.verify import compare
from microtome.session.writer import save_session


def platter(data=b""):
    return Platter(Power(), bytearray(data), bytearray(data))


@pytest.fixture(scope="module")
def log():
    """The bytes of a log of four commits, and where each ends."""
    first = io.BytesIO()
    with h5py.File(first, "w", libver=LIBVER) as file:
        file.create_dataset("values", data=np.arange(9))
    main, held = platter(first.getvalue()), platter()
    logged = Logged(main, held)
    file = h5py.File(logged, "r+", libver=LIBVER)
    ends = [HEADER.size]
    for number in range(4):
        file["values"][number] = -number - 1
        file.flush()
        logged.commit()
        ends.append(logged.logged)
    logged.give_up()
    file.close()
    return bytes(held.seen), ends


def test_every_beginning_of_a_log_is_read_to_its_last_whole_commit(log):
    data, ends = log
    known = [read_log(platter(data[:end])) for end in ends]
    assert [len(one.commits) for one in known] == [0, 1, 2, 3, 4]
    for size in range(len(data) + 1):
        found = read_log(platter(data[:size]))
        whole = sum(end <= size for end in ends)
        assert found == (known[whole - 1] if whole else None), size


def test_a_flipped_byte_anywhere_ends_the_log_there(log):
    data, ends = log
    known = [read_log(platter(data[:end])) for end in ends]
    changed = bytearray(data)
    for at in range(len(data)):
        changed[at] ^= 0xFF
        whole = sum(end <= at for end in ends)
        assert read_log(platter(changed)) == (known[whole - 1] if whole else None), at
        changed[at] ^= 0xFF


def test_what_an_earlier_use_left_behind_never_counts(log):
    """Blocks of a log from before, behind the last commit of the present one."""
    data, ends = log
    other = bytearray(data)
    other[: ends[1]] = read_again(ends[1])
    assert len(read_log(platter(other)).commits) <= 1


def read_again(size):
    """The beginning of another log, of the same edits at another time."""
    main, held = platter(bytes(9000)), platter()
    logged = Logged(main, held)
    logged.write(b"x" * 5000)
    logged.commit()
    return bytes(held.seen[:size])


# ------------------------------------------------------------------ beside sessions


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A session that a dead process left with three commits in its log, and their contents."""
    path, store, dice = (
        tmp_path_factory.mktemp("left") / "held.h5",
        SessionStore(),
        random.Random(5),
    )
    session = small_session(of=())
    store.save(path, session, None)
    holds, sizes = [content(path)], [0]
    for number in range(1, 4):
        session = numbered(edited(session, dice), number)
        assert store.keep(path, session, None)
        sizes.append(log_of(path).stat().st_size)
        holds.append(content(save_session(path.with_name("plain.h5"), session)))
    return path, holds, sizes, store


@pytest.fixture
def files(left, tmp_path):
    """A copy of them."""
    path = tmp_path / "held.h5"
    shutil.copy(left[0], path)
    shutil.copy(log_of(left[0]), log_of(path))
    return path


def names(path):
    return sorted(each.name for each in path.parent.iterdir())


def test_a_log_cut_anywhere_recovers_to_its_last_whole_commit(left, files):
    _, holds, sizes, _ = left
    main, log, dice = files.read_bytes(), log_of(files).read_bytes(), random.Random(1)
    cuts = [dice.randrange(len(log)) for _ in range(rounds(6, 200))]
    for size in [0, HEADER.size, *sizes[1:], *cuts]:
        files.write_bytes(main)
        log_of(files).write_bytes(log[:size])
        whole = sum(end <= size for end in sizes[1:])
        waits = unsaved(files)
        assert (waits.commits if waits else 0) == whole
        recover(files)
        assert content(files) == holds[whole]
        assert compare(files).good


def test_throwing_away_leaves_the_file_as_it_was_saved(left, files):
    throw_away(files)
    assert content(files) == left[1][0]
    assert names(files) == ["held.h5"]
    assert unsaved(files) is None


def test_a_log_that_waits_is_not_written_over(left, files):
    before = log_of(files).read_bytes()
    with pytest.raises(NotEditable, match="not saved"):
        Editing(files)
    store, session = SessionStore(), open_session(files)
    store.opened(files, session, None, {})
    assert not store.keep(files, numbered(session, 9), None)
    assert log_of(files).read_bytes() == before
    del session, store  # nothing is recovered under who reads it
    recover(files)
    assert content(files) == left[1][-1]


def test_a_log_is_never_laid_over_another_file(left, files):
    log, other = log_of(files).read_bytes(), small_session(of=(), view={"dock": [7]})
    store = SessionStore()
    files.unlink()
    save_session(files, other)  # in its place, by another program
    before = files.read_bytes()
    assert unsaved(files) is None
    recover(files)
    throw_away(files)
    assert (files.read_bytes(), log_of(files).read_bytes()) == (before, log)
    session = open_session(files)
    store.opened(files, session, None, {})
    assert store.keep(files, numbered(session, 1), None)
    aside = [name for name in names(files) if name.startswith("held.h5-log-")]
    assert len(aside) == 1
    assert files.with_name(aside[0]).read_bytes() == log
    store.save(files, numbered(session, 2), None)
    assert_same(open_session(files), numbered(session, 2))


@pytest.mark.parametrize("same", ["number", "nothing"])
def test_a_log_is_told_from_a_file_written_anew(tmp_path, same):
    """As after a crash between writing a whole file and removing the log of the one before."""
    path, store = tmp_path / "held.h5", SessionStore()
    first = numbered(small_session(), 1)
    store.save(path, first, None)
    store.keep(path, numbered(first, 2), None)
    log = log_of(path).read_bytes()
    other = first if same == "nothing" else numbered(first, 3)  # as long, to the byte
    save_session(path, other)
    before = content(path)
    assert log_of(path).read_bytes() == log
    assert unsaved(path) is None
    assert content(path) == before


@pytest.mark.parametrize("garbage", [b"", b"short", bytes(50_000), b"my own notes\n" * 99])
def test_garbage_where_the_log_would_be(tmp_path, garbage):
    path, session = tmp_path / "held.h5", small_session(of=())
    save_session(path, session)
    log_of(path).write_bytes(garbage)
    assert unsaved(path) is None
    assert log_of(path).read_bytes() == garbage
    store, opened = SessionStore(), open_session(path)
    store.opened(path, opened, None, {})
    assert store.keep(path, numbered(opened, 1), None)
    aside = [each for each in path.parent.iterdir() if each.name.startswith("held.h5-log-")]
    assert [each.read_bytes() for each in aside] == [garbage] * (len(garbage) > HEADER.size)
    store.save(path, numbered(opened, 1), None)
    store.close()
    assert_same(open_session(path), numbered(opened, 1))
    assert not log_of(path).exists()


def test_a_log_cut_in_its_header_and_a_tail_nobody_knows(files):
    """What a power cut can leave before the first commit: the file is as it was saved."""
    saved = content(files)
    files.write_bytes(files.read_bytes() + b"tail" * 5000)
    log_of(files).write_bytes(log_of(files).read_bytes()[: HEADER.size - 3])
    assert unsaved(files) is None
    store, opened = SessionStore(), open_session(files)
    assert content(files) == saved
    store.opened(files, opened, None, {})
    store.save(files, numbered(opened, 1), None)
    assert_same(open_session(files), numbered(opened, 1))
    assert compare(files).good


def test_a_save_that_is_cut_off_belongs_to_its_own_file_only(left, files):
    """All commits asked into the file, nothing of it done: it is finished without a question."""
    main, log = platter(files.read_bytes()), platter(log_of(files).read_bytes())
    held = read_log(log)
    stopped = Platter(Power(until=1), main.kept, main.seen)
    with pytest.raises(OSError):  # noqa: PT011
        Logged(stopped, log, held).fold()
    files.write_bytes(main.seen)
    log_of(files).write_bytes(log.seen)
    assert read_log(log).folding is not None
    foreign = files.with_name("foreign.h5")
    save_session(foreign, small_session())
    assert not belongs(read_log(log), platter(foreign.read_bytes()))
    assert unsaved(files) is None
    assert content(files) == left[1][-1]
    assert names(files) == ["foreign.h5", "held.h5"]
