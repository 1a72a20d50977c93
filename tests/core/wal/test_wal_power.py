"""Power cuts at any moment, in edits, in saves and in the recovery from the cut before."""

import contextlib
import io
import json
import random
import time
from dataclasses import dataclass, field

import h5py
import numpy as np
import pytest
from power import Platter, Power, PowerCut, recorder
from wal_sessions import content, edited, numbered, rounds, small_session

from microtome.session.hdf5 import LIBVER
from microtome.session.log import belongs, read_log
from microtome.session.logged import Logged
from microtome.session.store import SessionStore
from microtome.session.unsaved import recover, throw_away, unsaved
from microtome.session.verify import compare
from microtome.session.writer import save_session
from microtome.triage.trust import remember

# ------------------------------------------------------------------ HDF5 on simulated disks


def a_file():
    held = io.BytesIO()
    with h5py.File(held, "w", libver=LIBVER, track_order=True) as file:
        values = np.arange(20_000, dtype=np.float32).reshape(20, 1000)
        file.create_dataset("large", data=values, chunks=(1, 1000))
        file.create_dataset("document", data=np.frombuffer(b"{}", np.uint8))
        file.attrs["number"] = 0
    return held.getvalue()


def held_in(file):
    found = {"number": int(file.attrs["number"])}

    def look(name, each):
        found[name] = each[()].tobytes() if isinstance(each, h5py.Dataset) else dict(each.attrs)

    file.visititems(look)
    return found


def _grow(file, dice, number):
    values = np.random.default_rng(number).normal(size=dice.choice([10, 500, 5000]))
    file.create_dataset(f"new {number} {dice.randrange(10**9)}", data=values)


def _document(file, dice, number):
    del file["document"]
    text = json.dumps({"number": number, "text": "y" * dice.randrange(9000)})
    file.create_dataset("document", data=np.frombuffer(text.encode(), np.uint8))


def _group(file, dice, number):
    group = file.create_group(f"group {number} {dice.randrange(10**9)}", track_order=True)
    group.create_dataset("values", data=np.arange(number))
    group.attrs["text"] = "x" * 50


def _remove(file, dice, number):
    names = [name for name in file if name not in ("large", "document")]
    if names:
        del file[dice.choice(names)]


def _in_place(file, dice, number):
    file["large"][dice.randrange(20)] = number


HDF5_EDITS = (_grow, _document, _group, _remove, _in_place)


@dataclass
class Cut:
    """One file that is edited until the power goes, with what may be found afterwards."""

    dice: random.Random
    right: list = field(default_factory=list)  # with all commits
    saved: list = field(default_factory=list)  # of the file alone

    def work(self, start):
        """Edit until the cut; the two disks as they were at that moment."""
        power = Power(until=self.dice.randrange(1, 120))
        main, log = Platter(power, bytearray(start), bytearray(start)), Platter(power)
        self.right = self.saved = [held_in(h5py.File(io.BytesIO(start), "r"))]
        logged = file = None
        with contextlib.suppress(OSError):  # the cut, as HDF5 or the commit meets it
            logged = Logged(main, log)
            file = h5py.File(logged, "r+", libver=LIBVER)
            for number in range(1, 60):
                self._step(file, logged, number)
        if logged is not None:
            logged.give_up()
        if file is not None:
            file.close()
        return main, log

    def _step(self, file, logged, number):
        for _ in range(self.dice.randrange(1, 4)):
            self.dice.choice(HDF5_EDITS)(file, self.dice, number)
        file.attrs["number"] = number
        now = held_in(file)
        self.right = [self.right[0], now]
        file.flush()
        logged.commit()
        self.right = [now]
        if self.dice.random() < 0.25:
            self.saved = [self.saved[0], now]
            logged.fold()
            self.saved = [now]

    def start_again(self, main, log, left):
        """Whether the file is right after the next start, which is cut ``left`` times itself."""
        power = Power(until=self.dice.randrange(1, 12) if left else None)
        main, log = main.after_cut(self.dice, power), log.after_cut(self.dice, power)
        wanted = self.saved
        try:
            held = read_log(log)
            if held is not None and (held.commits or held.folding is not None):
                assert belongs(held, main)
                wanted = self._answer(main, log, held)
        except PowerCut:
            return self.start_again(main, log, left - 1)
        with h5py.File(io.BytesIO(bytes(main.seen)), "r") as file:
            return held_in(file) in wanted

    def _answer(self, main, log, held):
        """What must be found once all is written."""
        if held.folding is None and self.dice.random() < 0.3:
            log.truncate(0)
            log.sync()
            main.truncate(held.base)
            main.sync()
            return self.saved
        # Of a save that is cut off the log is gone, or tells the rest.
        wanted = self.right if held.folding is None else [*self.right, *self.saved]
        self.saved = [*self.saved, *wanted]
        Logged(main, log, held).fold()
        return wanted


def test_hdf5_on_disks_that_lose_and_tear_writes():
    start = a_file()
    for seed in range(rounds(30, 10_000)):
        cut = Cut(random.Random(seed))
        starts = cut.dice.choice([0, 0, 1, 2, 3])
        assert cut.start_again(*cut.work(start), starts), f"seed {seed}"


# ------------------------------------------------------------------ whole sessions


class Script:
    """A store at work on a session, recorded; what each state must hold comes from whole saves."""

    def __init__(self, path, seed, steps, patch):
        dice, self.path = random.Random(seed), path
        session = small_session(of=("verification/L2H1>M2/value",))
        store = SessionStore()
        store.save(path, session, None)
        self.states, self.whole = [content(path, whole=False)], [content(path)]
        self.recorder = recorder(path)
        with patch.context() as watched:
            self.recorder.watch(watched)
            for number in range(1, steps):
                session = numbered(edited(session, dice, 2), number)
                way = dice.choice(["keep", "keep", "save"])
                self.recorder.events.append(("asked", way, number))
                assert getattr(store, way)(path, session, None)
                self.recorder.events.append(("done", way, number))
                self._note_as_saved_whole(session)
        # The process dies here, with its file open.
        self.left = store

    def _note_as_saved_whole(self, session):
        other = save_session(self.path.with_name("plain.h5"), session)
        self.states.append(content(other, whole=False))
        self.whole.append(content(other))

    def asked(self, until):
        """Numbers of the states before an event: acknowledged, saved, asked and how."""
        acked = saved = 0
        asked = None
        for what, way, *number in self.recorder.events[:until]:
            if what == "asked":
                asked = (way, *number)
            elif what == "done":
                asked, acked = None, number[0]
                saved = number[0] if way == "save" else saved
        return acked, saved, asked


def cut_once(script, dice, patch):
    """Cut the power somewhere, and in what follows; whether a word of the user was needed."""
    journal, path = script.recorder, script.path
    until = dice.randrange(1, len(journal.events) + 1)
    acked, saved, asked = script.asked(until)
    committed = {acked} | ({asked[1]} if asked else set())
    decided = {asked[1]} if asked and asked[0] == "save" else set()
    decided |= {acked} if acked == saved else set()
    journal.at_cut(until, dice)
    for left in reversed(range(dice.choice([1, 1, 2, 3]))):
        again = recorder(path)
        with patch.context() as watched:
            again.watch(watched)
            found = unsaved(path)
            answer = dice.choice([recover, recover, throw_away])
            if found is not None:
                answer(path)
                decided = decided | (committed if answer is recover else {saved})
                if not left:
                    decided = committed if answer is recover else {saved}
        if left:
            again.at_cut(dice.randrange(len(again.events) + 1), dice)
    return decided


def test_sessions_on_disks_that_lose_and_tear_writes(tmp_path, monkeypatch):
    cuts = rounds(36, 250)
    seen = set()
    for seed in range(rounds(1, 40)):
        script = Script(tmp_path / "held.h5", seed, rounds(7, 12), monkeypatch)
        dice = random.Random(seed)
        for number in range(cuts):
            right = cut_once(script, dice, monkeypatch)
            remember(script.path)
            where = f"seed {seed}, cut {number}"
            found = content(script.path, whole=False)
            states = [one for one in right if found == script.states[one]]
            assert states, where
            seen |= right
            if number % 20 == 0:
                assert content(script.path) == script.whole[states[0]], where
                assert compare(script.path).good, where
    assert len(seen) > 3


@pytest.mark.parametrize("kept", [1, 3])
def test_a_log_of_commits_is_asked_about_once(tmp_path, kept):
    path, store = tmp_path / "held.h5", SessionStore()
    session = small_session(of=())
    store.save(path, session, None)
    before, started = content(path), time.time()
    for number in range(1, kept + 1):
        session = numbered(session, number)
        store.keep(path, session, None)
    assert content(path) == before
    del store
    waits = unsaved(path)
    assert (waits.path, waits.commits) == (path, kept)
    assert started - 1 <= waits.when.timestamp() <= time.time()
    recover(path)
    assert unsaved(path) is None
    assert content(path)["view/state_json"] != before["view/state_json"]
