"""Logs that are cut off, damaged, garbage, or of another file."""

import io
import random
import shutil
import zlib

import h5py
import numpy as np
import pytest
from power import Platter, Power
from session_records import assert_same
from wal_sessions import content, edited, numbered, rounds, small_session

from microtome.session import log as records
from microtome.session.editing import Editing, NotEditable
from microtome.session.hdf5 import LIBVER
from microtome.session.log import HEADER, PAGE, Commit, belongs, log_of, read_log
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


# ------------------------------------------------------------------ made by somebody else

NOW = 1.8e9


def commits(length, time=NOW, number=1):
    return (records.commit, Commit(number, length, time))


def asked(data, pages=()):
    """A fold with the sample that fits."""
    return (records.fold, records.sample_of_both(platter(data), len(data), pages))


def changed(data, at=0, page=b"x" * PAGE):
    return (records.frame, at, page)


HOSTILE = {
    "cut to nothing": lambda data: [commits(0), (records.fold, records.sample(platter(), 0))],
    "cut to nothing, asked": lambda data: [commits(0)],
    "cut inside of the file": lambda data: [
        commits(PAGE), (records.fold, records.sample_of_both(platter(data), PAGE, ()))
    ],
    "cut inside of the file, asked": lambda data: [commits(PAGE)],
    "8.8 TB of nothing": lambda data: [commits(1 << 43)],
    "8.8 TB of nothing, folded": lambda data: [commits(1 << 43), asked(data)],
    "all there can be": lambda data: [commits((1 << 64) - 1)],
    "no time": lambda data: [commits(len(data), float("nan"))],
    "never": lambda data: [commits(len(data), 1e300)],
    "endless": lambda data: [commits(len(data), float("inf"))],
    "before all time": lambda data: [commits(len(data), -1e18)],
    "the last of numbers": lambda data: [commits(len(data), number=(1 << 64) - 1)],
    "no HDF5": lambda data: [changed(data), commits(len(data)), asked(data, {0})],
    "no HDF5, asked": lambda data: [changed(data), commits(len(data))],
    "behind the end": lambda data: [changed(data, 1 << 40), commits(len(data))],
    "behind all ends": lambda data: [changed(data, -PAGE % (1 << 64)), commits(len(data))],
    "between pages": lambda data: [changed(data, 512), commits(len(data))],
    "half a page": lambda data: [changed(data, PAGE, b"x" * 99), commits(len(data))],
    "frames that nothing commits": lambda data: [changed(data), asked(data, {0})],
    "a sample of no size": lambda data: [commits(len(data)), (records.fold, b"x" * 17)],
    "a sample too long": lambda data: [commits(len(data)), (records.fold, b"x" * 99_999)],
}  # fmt: skip


def hostile_log(base, sample, rows):
    log, chain = records.header(base, b"salt" * 4, sample)
    for make, *given in rows:
        record, chain = make(*given, chain)
        log += record
    return log


@pytest.mark.parametrize("name", HOSTILE)
def test_no_log_of_another_harms_a_file_before_a_word(left, files, name):
    """Right in all its CRCs; nothing is raised, and not even after a word is the file no longer."""
    data = files.read_bytes()
    sample = records.sample(platter(data), len(data))
    log_of(files).write_bytes(hostile_log(len(data), sample, HOSTILE[name](data)))
    found = unsaved(files)
    assert files.read_bytes() == data
    assert found is None or found.commits == 1
    recover(files)
    assert files.read_bytes()[: len(data)] == data
    throw_away(files)
    assert files.read_bytes() == data
    assert content(files) == left[1][0]


def test_a_right_log_made_in_that_way_is_folded(left, files):
    """What the table tests is not blind: the same records with nothing wrong do count."""
    data = files.read_bytes()
    page = data[:PAGE]
    rows = [changed(data, 0, page), commits(len(data))]
    sample = records.sample(platter(data), len(data))
    log_of(files).write_bytes(hostile_log(len(data), sample, rows))
    assert unsaved(files).commits == 1
    log_of(files).write_bytes(hostile_log(len(data), sample, [*rows, asked(data, {0})]))
    assert unsaved(files) is None
    assert names(files) == ["held.h5"]
    assert files.read_bytes() == data


@pytest.mark.parametrize("base", [0, 48, PAGE, (1 << 64) - 1])
def test_a_log_that_begins_with_another_length_cuts_nothing(left, files, base):
    """One without commits is out of the way; its file is as long as before."""
    data = files.read_bytes()
    sample = records.sample(platter(data), min(base, len(data)))
    log_of(files).write_bytes(hostile_log(base, sample, []))
    store, opened = SessionStore(), open_session(files)
    store.opened(files, opened, None, {})
    assert store.keep(files, numbered(opened, 1), None)
    assert files.read_bytes()[: len(data)] == data
    store.close()


def test_a_log_holds_so_much_in_memory_and_no_more(log, monkeypatch):
    data, _ = log
    chain = zlib.crc32(data[: HEADER.size - 4])
    held = bytearray(data[: HEADER.size])
    for number in range(6):
        for record in (changed(data, number * PAGE), commits(6 * PAGE, number=number + 1)):
            make, *given = record
            more, chain = make(*given, chain)
            held += more
    assert len(read_log(platter(held)).pages) == 6
    monkeypatch.setattr(records, "_MOST_PAGES", 3)
    assert len(read_log(platter(held)).pages) == 3
