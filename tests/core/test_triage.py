"""The child process that looks at a foreign file first."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from session_records import assert_same, full_session, refused

from microtome.errors import Cancelled, GraphError, SessionDamaged
from microtome.jobs import Job
from microtome.session.reader import open_session
from microtome.triage import examination, kinds, programs, server
from microtome.triage.examination import Examination, examine
from microtome.triage.limits import MB, Budget, bytes_read
from microtome.triage.trust import is_own, remember

# A child with one more check, whose body is the last line.
WITH = """
import json, sys, types
sys.path[:] = json.loads(sys.argv[1])
import os, signal, socket, subprocess, time
from microtome.triage.programs import run_child
def look(paths):
    {}
sys.modules["planted"] = types.SimpleNamespace(look=look)
sys.exit(run_child(sys.argv[2], sys.argv[3:]))
"""


@pytest.fixture(autouse=True)
def children():
    """No child of another test, and none of this for others."""
    server.dismiss()
    yield
    server.dismiss()


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """``planted(code)`` looks at a file by a check of that code, and says what came of it."""
    path = tmp_path / "given.json"
    path.write_text("{}")
    row = kinds.Kind("graph", "planted:look", "GraphError", most=Budget(1, 256 * MB))
    monkeypatch.setattr(examination, "KINDS", {**kinds.KINDS, "graph": row})

    def look(code, job=None):
        server.dismiss()
        monkeypatch.setattr(programs, "_START", WITH.format(code))
        made = Examination("graph", [path])
        return made.finish(job), made.used

    return look


def test_a_copy_is_looked_at_in_a_child_and_opens(session_copy):
    assert_same(open_session(session_copy), full_session())


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "SIGSEGV"),
        ("import sys; sys.exit(7)", "exit status 7"),
        ("", "exit status 0"),
        ("import time; time.sleep(60)", "took longer"),
    ],
)
def test_a_child_that_fails_refuses_the_file(session_copy, monkeypatch, program, reason):
    monkeypatch.setattr(programs, "_START", program)
    monkeypatch.setattr(examination, "_PATIENCE", 1)
    refused(session_copy, SessionDamaged, reason)


def test_a_child_that_cannot_start_leaves_the_check_to_the_reader(session_copy, monkeypatch):
    monkeypatch.setattr(programs, "_START", "import sys; sys.exit(3)")
    assert_same(open_session(session_copy), full_session())
    with h5py.File(session_copy, "r+") as file:
        file["soft"] = h5py.SoftLink("/tokens")
    refused(session_copy, SessionDamaged, "link to another")


def test_a_child_prepared_ahead_is_used_again_and_again(session_copy, tmp_path):
    server.prepare(kinds.KINDS["session"].check)
    (child,) = server._idle
    open_session(session_copy)
    assert server._idle == [child]
    other = tmp_path / "other.json"
    other.write_text("[]")
    with pytest.raises(GraphError, match="JSON list"):
        examine("graph", [other])
    assert server._idle == [child]
    os.kill(child.pid, signal.SIGKILL)
    child._child.wait()
    with pytest.raises(GraphError, match="JSON list"):
        examine("graph", [other])
    assert server._idle != [child]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("signal.raise_signal(signal.SIGSEGV)", r"given.json stopped the reader \(SIGSEGV\)"),
        ("raise KeyError(1)", r"stopped the reader \(exit status 70\)"),
        ("raise SystemExit(0)", r"stopped the reader \(exit status 70\)"),
        ("return [None] * (1 << 28)", r"takes more than 256.0 MB of memory"),
        ("return bytes(300_000_000)", r"takes more than 256.0 MB of memory"),
        ("while True: pass", "takes more than 1 s of processor time"),
        ("os._exit(0)", "stopped the reader"),
    ],
)
def test_what_harms_the_child_is_an_error_and_the_next_file_is_read(planted, code, reason):
    with pytest.raises(GraphError, match=reason):
        planted(code)
    (child,) = server._idle  # it goes on: a copy of it was harmed
    assert not child.ended
    looked, used = planted("return None")
    assert looked
    assert used["seconds"] < 2


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/hostname')", "open(paths[0].parent / 'new', 'w')", "open(paths[0], 'r+')",
        "os.system('true')", "subprocess.run(['true'])", "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "socket.create_connection(('127.0.0.1', 9))", "os.remove(paths[0])",
        "__import__('pickle').loads(b'cos\\nsystem\\n.')",
    ],
)  # fmt: skip
def test_the_child_may_read_its_file_and_do_nothing_else(planted, tmp_path, code):
    told = (
        "from microtome.errors import GraphError\n    try: {}\n"
        "    except PermissionError as error: raise GraphError(f'prevented: {{error}}')"
    )
    with pytest.raises(GraphError, match="prevented"):
        planted(told.format(code))
    assert [path.name for path in tmp_path.iterdir()] == ["given.json"]
    assert planted("open(paths[0]).read()")[0]


def test_a_stop_ends_the_child_and_its_copy_at_once(planted, tmp_path):
    job, taken = Job(), []

    def stop():
        while not server._idle and not _copies():
            time.sleep(0.01)
        taken.append(_copies())
        job.cancel()
        taken.append(time.monotonic())

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Cancelled):
        planted("time.sleep(60)", job)
    late = time.monotonic() - taken[1]
    thread.join()
    assert late < 1.0  # a tenth, of a machine with nothing else to do
    assert not set(taken[0]) & set(_copies())


def _copies():
    """Numbers of processes below the children of this one."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    below = {row[0] for row in rows if row[1] == str(os.getpid())}
    return [row[0] for row in rows if row[1] in below]


def test_an_own_file_needs_no_child(session_file, monkeypatch):
    monkeypatch.setattr(server, "Server", lambda *_: pytest.fail("a child was started"))
    open_session(session_file)
    assert_same(open_session(session_file), full_session())


def test_an_own_file_that_was_changed_is_foreign(session_copy):
    remember(session_copy)
    assert is_own(session_copy)
    os.utime(session_copy, ns=(1, 1))
    assert not is_own(session_copy)


def test_what_was_looked_at_as_one_kind_is_foreign_as_another(tmp_path):
    path = tmp_path / "given"
    path.write_text("{}")
    remember(path, "model")
    assert is_own(path, "model")
    assert not is_own(path, "graph")
    assert not is_own(path)


def test_of_weights_the_beginning_counts(tmp_path):
    header = b'{"a":{"dtype":"U8","shape":[4000000],"data_offsets":[0,4000000]}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4_000_000))
    assert bytes_read(path) == len(header)
    np.savez(tmp_path / "a.npz", np.zeros(1 << 20))
    assert bytes_read(tmp_path / "a.npz") == MB
    (tmp_path / "a.json").write_bytes(bytes(100))
    assert bytes_read(tmp_path / "a.json") == 100
    assert bytes_read(tmp_path / "none") == 0


def test_a_frozen_program_is_its_own_child(monkeypatch):
    assert programs.child_command("umap", "x")[0] == sys.executable
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    for name in programs.PROGRAMS:
        assert programs.child_command(name, "a", "b") == [sys.executable, "--child", name, "a", "b"]


@pytest.mark.parametrize(("name", "told"), [("triage", ["session"]), ("images", ["10"])])
def test_the_script_of_a_frozen_program_is_a_child_until_nothing_is_asked(name, told, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    executable, *arguments = programs.child_command(name, *told)
    script = Path(__file__).parents[2] / "packaging" / "program.py"
    done = subprocess.run(
        [executable, script, *arguments], input=b"", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("told", [(), ("--child",), ("--child", "os", "10"), ("triage", "10")])
def test_other_arguments_make_no_child(told):
    assert programs.be_child(told) is None


def test_a_frozen_program_becomes_its_child(monkeypatch, tmp_path):
    """Its executable is no interpreter: one here runs what the program does at its start."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    check = kinds.KINDS["graph"].check
    _, *told = programs.child_command("triage", check)
    start = "import sys; from microtome.triage.programs import be_child; be_child(sys.argv[1:])"
    path = tmp_path / "given.json"
    path.write_text("[]")
    asked = {"check": check, "paths": [str(path)], "links": [], "seconds": 9, "memory": 256 * MB}
    done = subprocess.run(
        [sys.executable, "-c", start, *told],
        input=json.dumps(asked), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "JSON list" in json.loads(done.stdout)["said"]


def test_every_child_program_is_there():
    for name in programs.PROGRAMS:
        there = f"from {programs.PROGRAMS[name].module} import main; assert callable(main)"
        subprocess.run([sys.executable, "-c", there], check=True)
