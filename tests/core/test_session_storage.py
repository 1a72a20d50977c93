"""Saving when something goes wrong: the old file stays whole and nothing else is left."""

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from session_records import assert_same, full_session, identity, trace

from microtome.errors import Cancelled, StorageError
from microtome.jobs import Job
from microtome.records.analysis import Analysis, Labelled
from microtome.session import storage
from microtome.session.contents import session_parts
from microtome.session.nearby import with_small_analyses
from microtome.session.reader import open_session
from microtome.session.sink import Sink
from microtome.session.writer import SessionWriter, save_session

MB = 1 << 20
HERE = Path(__file__).parent


@pytest.fixture
def held(tmp_path):
    """A good session that must survive."""
    path = save_session(tmp_path / "held.h5", full_session())
    return path, path.read_bytes()


def only_the_old_file(held):
    path, content = held
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir() if entry.is_file()] == [path.name]


def large_session(megabytes=8):
    model = identity(n_layers=8, d_model=512)
    made = trace(model, sites=("resid_post",), layers=tuple(range(8)))
    values = np.zeros((8, 13, megabytes * MB // (8 * 13 * 4)), np.float32)
    made.activations["resid_post"] = type(made.activations["resid_post"])(values, tuple(range(8)))
    return full_session(model=model, traces=(made,), analyses={})


# ------------------------------------------------------------------ what is read at once


def test_small_results_are_read_at_once_and_large_ones_stay(tmp_path):
    small, middle, large = (
        Analysis(name, "kind", name, {"values": Labelled(("row",), np.arange(count, dtype="f4"))})
        for name, count in (("small", 10), ("middle", 100), ("large", 1000))
    )
    given = full_session(analyses={one.id: one for one in (large, middle, small)})
    opened = open_session(save_session(tmp_path / "results.h5", given))
    for each, together, wanted in (
        (400, 10_000, {"small", "middle"}), (4000, 450, {"small", "middle"}),
        (4000, 399, {"small"}), (4000, 10_000, {"small", "middle", "large"}),
    ):  # fmt: skip
        nearby = with_small_analyses(opened, each=each, together=together)
        held = {name for name, one in nearby.analyses.items() if one_in_memory(one)}
        assert held == wanted
        assert list(nearby.analyses) == list(opened.analyses)
        for name, one in given.analyses.items():
            np.testing.assert_array_equal(
                nearby.analyses[name].array("values"), one.array("values")
            )


def one_in_memory(analysis):
    return isinstance(analysis.arrays["values"].values, np.ndarray)


# ------------------------------------------------------------------ cancelling


@pytest.mark.parametrize("after", [0, 1, 20, 40])
def test_a_cancel_leaves_the_old_file_and_nothing_else(held, after):
    steps = []
    job = Job(on_progress=lambda step: (steps.append(step), len(steps) > after and job.cancel()))
    job._clock = iter(range(10**6)).__next__  # every step is due
    if after == 0:
        job.cancel()
    with pytest.raises(Cancelled):
        save_session(held[0], full_session(circuit=None), job=job)
    only_the_old_file(held)


def test_a_cancel_of_a_new_file_leaves_no_file(tmp_path):
    job = Job(on_progress=lambda step: step.fraction > 0.3 and job.cancel())
    with pytest.raises(Cancelled):
        save_session(tmp_path / "new.h5", full_session(), job=job)
    assert not list(tmp_path.iterdir())


def test_progress_goes_up_to_all(tmp_path):
    seen = []
    save_session(tmp_path / "a.h5", full_session(), job=Job(on_progress=seen.append))
    assert seen[-1].done == seen[-1].total
    assert [step.done for step in seen] == sorted(step.done for step in seen)


# ------------------------------------------------------------------ disks and folders


def run_child(code, *arguments, **options):
    program = f"import sys\nsys.path.insert(0, {str(HERE)!r})\n" + code
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60, **options,
    )  # fmt: skip


DISK_FULL = """
import resource
from test_session_storage import large_session
from microtome.errors import StorageError
from microtome.session.writer import save_session
session = large_session()
for room in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        save_session(sys.argv[1], session)
    except StorageError as error:
        print(error)
"""


def test_a_disk_that_fills_up_at_any_byte(held):
    rooms = [0, 1000, 5000, 200_000, 4 * MB, 8 * MB]
    done = run_child(DISK_FULL, held[0], *rooms)
    assert done.stderr == ""
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == len(rooms)
    assert all(
        "held.h5 could not be saved. The file is larger than allowed" in one for one in lines
    )
    only_the_old_file(held)


def test_a_full_disk_is_told_with_the_way_out(held, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("microtome.session.writer.sync_file", full)
    with pytest.raises(
        StorageError, match=r"held.h5 could not be saved. The disk is full. Free some"
    ):
        save_session(held[0], full_session(circuit=None))
    only_the_old_file(held)


def test_a_sink_keeps_the_first_error_and_takes_the_rest(tmp_path):
    sink = Sink(tmp_path / "a")
    assert sink.write(b"kept") == 4
    os.close(sink._descriptor)
    assert (sink.write(b"lost"), sink.write(b"too"), sink.tell()) == (4, 3, 11)
    sink._descriptor = -1
    sink.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        sink.check()
    assert (tmp_path / "a").read_bytes() == b"kept"


def test_hdf5_errors_are_read_for_their_number():
    error = OSError("Can't write data (file write failed: errno = 28, error message = 'No space')")
    assert "The disk is full" in str(storage.storage_error(Path("a.h5"), error))
    assert "odd failure" in str(storage.storage_error(Path("a.h5"), RuntimeError("odd failure")))


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("size", "free", "fits"),
    [
        (2 * MB, 6 * MB, True),  # a small session on a nearly full disk
        (2 * MB, 3 * MB, False),
        (1000 * MB, 1300 * MB, False),
        (1000 * MB, 1400 * MB, True),
        (0, 2 * MB, True),
    ],
)
def test_the_margin_grows_with_the_session(tmp_path, monkeypatch, size, free, fits):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    if fits:
        assert storage.prepare_target(tmp_path / "a.h5", size) == tmp_path / "a.h5"
    else:
        with pytest.raises(StorageError, match=r"needs [\d,]+ MB, but [\d,]+ MB are free"):
            storage.prepare_target(tmp_path / "a.h5", size)


NO_RIGHTS = """
import os
from test_session_storage import full_session
from microtome.errors import StorageError
from microtome.session.writer import save_session
session = full_session()
if os.geteuid() == 0:
    os.setuid(65534)
try:
    save_session(sys.argv[1], session)
except StorageError as error:
    print(error)
"""


def test_a_read_only_folder(held):
    folder = held[0].parent
    for parent in (folder, *folder.parents):
        if parent != Path(parent.anchor) and parent.stat().st_uid == os.geteuid():
            parent.chmod(parent.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    folder.chmod(0o555)
    try:
        done = run_child(NO_RIGHTS, folder / "new.h5")
    finally:
        folder.chmod(0o755)
    assert done.stdout == (
        "new.h5 could not be saved. You may not write there. Choose another folder.\n"
    ), done.stderr
    only_the_old_file(held)


def test_places_that_cannot_be(tmp_path, monkeypatch):
    session = full_session()
    with pytest.raises(StorageError, match="is a folder"):
        save_session(tmp_path, session)
    with pytest.raises(StorageError, match="There is no folder"):
        save_session(tmp_path / "no" / "a.h5", session)
    with pytest.raises(StorageError, match="name is too long"):
        save_session(tmp_path / ("n" * 300), session)
    protected = tmp_path / "protected.h5"
    protected.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StorageError, match="write-protected"):
        save_session(protected, session)
    assert [entry.name for entry in tmp_path.iterdir()] == ["protected.h5"]


def test_links_are_followed_and_rights_are_kept(tmp_path):
    target = tmp_path / "there" / "real.h5"
    target.parent.mkdir()
    target.write_bytes(b"old")
    target.chmod(0o640)
    link = tmp_path / "link.h5"
    link.symlink_to(target)
    assert save_session(link, full_session()) == target
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert_same(open_session(link).model, identity())


# ------------------------------------------------------------------ sudden ends


KILLED = """
from test_session_storage import large_session
from microtome.session.writer import save_session
session = large_session(64)
print("ready", flush=True)
while True:
    save_session(sys.argv[1], session)
"""


def test_a_kill_while_saving_leaves_a_whole_file(held):
    path, _ = held
    program = f"import sys\nsys.path.insert(0, {str(HERE)!r})\n" + KILLED
    for wait in (0.01, 0.15, 0.4):
        child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"ready\n"
        threading.Event().wait(wait)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        found = open_session(path)
        assert found.circuit.n_nodes == 9
        assert np.isfinite(found.clean.activation("resid_post.1")).all()


def test_what_a_dead_save_left_is_removed_later(held):
    path, _ = held
    old, new = (path.with_name(f".{path.name}.{name}.part") for name in ("dead", "alive"))
    for leftover in (old, new):
        leftover.write_bytes(b"half")
    hours = time.time() - 7200
    os.utime(old, (hours, hours))
    save_session(path, full_session())
    assert not old.exists()
    assert new.exists()


# ------------------------------------------------------------------ the writer's interface


def test_parts_are_appended_committed_and_folded(tmp_path):
    path, session = tmp_path / "a.h5", full_session()
    with SessionWriter(path) as writer:
        writer.set_root({"created": "", "uuid": ""})
        for part in session_parts(session):
            writer.append(part)
            writer.commit()
            assert not path.exists()
        assert writer.fold() == path
    assert_same(open_session(path).circuit, session.circuit)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


def test_leaving_without_folding_keeps_nothing(tmp_path):
    with SessionWriter(tmp_path / "a.h5") as writer:
        writer.append(next(session_parts(full_session())))
        writer.commit()
    assert not list(tmp_path.iterdir())


def test_a_file_open_in_another_program_is_never_emptied(held):
    path, _ = held
    with h5py.File(path, "r") as other:
        save_session(path, full_session(circuit=None))
        assert other["circuit/node_score"].shape == (9,)
    assert open_session(path).circuit is None


def test_the_bytes_reach_the_disk_before_the_name(held, monkeypatch):
    order = []
    sync, swap = storage.sync_file, Path.replace
    monkeypatch.setattr(
        "microtome.session.writer.sync_file", lambda path: (order.append("sync"), sync(path))
    )
    monkeypatch.setattr(Path, "replace", lambda *a: (order.append("replace"), swap(*a))[1])
    monkeypatch.setattr(os, "fsync", lambda _: order.append("fsync"))
    save_session(held[0], full_session())
    assert order[-3:] == ["fsync", "replace", "fsync"]
    assert json.dumps(order.count("replace")) == "1"
