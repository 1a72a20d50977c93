"""Arrays of a session that lies in a file, read while it is edited, saved and written anew."""

import random
import threading
from dataclasses import replace

import numpy as np
import pytest
from session_records import assert_same
from wal_sessions import EDITS, edited, run, small_session

from microtome.errors import StorageError
from microtome.session.disk import DiskFile
from microtome.session.reader import open_session
from microtome.session.store import SessionStore
from microtome.session.verify import compare
from microtome.session.writer import save_session

NAME = "logit-lens"


@pytest.fixture
def opened(tmp_path):
    """A file, a store that has it, and the session that is read from it."""
    path = save_session(tmp_path / "held.h5", small_session())
    session, store = open_session(path), SessionStore()
    store.opened(path, session, None, {})
    yield path, store, session
    store.close()


def all_right(session):
    """Every array of the session that was opened is what it was."""
    assert_same(session.analyses, small_session().analyses)
    assert_same(session.traces, small_session().traces)
    assert_same(session.edited, small_session().edited)


def without(session, name):
    return replace(
        session, analyses={key: one for key, one in session.analyses.items() if key != name}
    )


@pytest.mark.parametrize("way", ["keep", "save"])
def test_what_is_taken_out_or_replaced_stays_readable(opened, way):
    path, store, session = opened
    write = getattr(store, way)
    for edit in ("fewer analyses", "an analysis made again", "edited run", "no edited run"):
        for seed in range(2):
            changes = EDITS[edit](session, random.Random(seed))
            write(path, replace(session, **changes), None)
            all_right(session)
    store.save(path, session, None)  # as an undo of it all has it
    assert_same(open_session(path), session)
    all_right(session)
    assert compare(path).good


def test_arrays_go_from_a_group_into_the_one_that_replaces_it(opened):
    path, store, session = opened
    one = replace(session.analyses[NAME], title="another title")
    again = replace(session.edited, seconds=3.5)
    wanted = replace(session, analyses={**session.analyses, NAME: one}, edited=again)
    store.save(path, wanted, None)
    assert_same(open_session(path), wanted)
    all_right(session)


@pytest.mark.parametrize("kept", [True, False])
def test_saving_elsewhere_leaves_the_arrays_of_the_first_file(opened, kept):
    path, store, session = opened
    before = path.read_bytes()
    if kept:
        for seed in range(6):
            store.keep(path, edited(session, random.Random(seed)), None)
    other = path.with_name("other.h5")
    store.save(other, session, None)
    all_right(session)
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == ["held.h5", "other.h5"]
    assert_same(open_session(other), open_session(path))


def test_whole_rewrites_and_edits_in_turn(opened):
    path, store, session = opened
    runs = (session.traces, (*session.traces, run(3)))
    wanted = session
    for turn in range(3):
        wanted = edited(replace(wanted, traces=runs[turn % 2]), random.Random(turn))
        store.keep(path, wanted, None)
        wanted = edited(wanted, random.Random(turn + 100))
        store.save(path, wanted, None)
        assert_same(open_session(path), wanted)
        all_right(session)
    assert compare(path).good


def test_after_an_error_the_arrays_are_read_from_the_file_alone(opened, monkeypatch):
    path, store, session = opened
    store.keep(path, without(session, NAME), None)
    monkeypatch.setattr(DiskFile, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(StorageError, match="full"):
        store.keep(path, edited(session, random.Random(1)), None)
    monkeypatch.undo()
    all_right(session)
    store.save(path, session, None)
    assert_same(open_session(path), session)


def test_another_thread_reads_while_the_file_is_edited(opened):
    path, store, session = opened
    plain = small_session()
    wanted = {
        f"{name} {key}": np.asarray(array.values)
        for name, one in plain.analyses.items()
        for key, array in one.arrays.items()
    }
    end, wrong, read = threading.Event(), [], 0

    def reading():
        nonlocal read
        while not end.is_set():
            for name, one in session.analyses.items():
                for key, array in one.arrays.items():
                    if not np.array_equal(array.values[...], wanted[f"{name} {key}"]):
                        wrong.append((name, key))
                    read += 1
            if not np.array_equal(session.edited.tokens, plain.edited.tokens):
                wrong.append("tokens")

    reader = threading.Thread(target=reading)
    reader.start()
    dice, now = random.Random(3), session
    for turn in range(10):
        now = edited(session if turn % 4 == 0 else now, dice)
        if turn == 5:
            now = replace(now, traces=(*now.traces, run(3)))  # a whole file
        (store.save if turn % 3 == 0 else store.keep)(path, now, None)
    end.set()
    reader.join(30)
    assert not wrong
    assert read > 20
    store.save(path, now, None)
    assert_same(open_session(path), now)
