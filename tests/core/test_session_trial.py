"""The child process that reads a foreign file first."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from session_records import assert_same, full_session, refused

from microtome.errors import SessionDamaged
from microtome.session import trial
from microtome.session.bare import CHILDREN, be_child, child_command
from microtome.session.reader import open_session
from microtome.session.trust import is_own, remember


def test_a_copy_is_tried_in_a_child_and_opens(session_copy):
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
    monkeypatch.setattr(trial, "_PROGRAM", program)
    monkeypatch.setattr(trial, "_PATIENCE", 1)
    refused(session_copy, SessionDamaged, reason)


def test_a_child_that_cannot_start_leaves_the_check_to_the_reader(
    session_copy, monkeypatch, tmp_path
):
    monkeypatch.setattr(trial, "_PROGRAM", "import sys; sys.exit(3)")
    assert_same(open_session(session_copy), full_session())
    with h5py.File(session_copy, "r+") as file:
        file["soft"] = h5py.SoftLink("/tokens")
    refused(session_copy, SessionDamaged, "link to another")


def test_a_child_prepared_ahead_is_used_once(session_copy):
    trial.prepare()
    child = trial._waiting[0]
    open_session(session_copy)
    assert child.returncode == 0
    assert not trial._waiting


def test_the_child_has_little_memory(session_copy, monkeypatch):
    hungry = "from microtome.session import child; child.limit(10); b'0' * (2 << 30)"
    path = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    monkeypatch.setattr(trial, "_PROGRAM", path + hungry)
    refused(session_copy, SessionDamaged, "exit status 1")


def test_an_own_file_needs_no_child(session_file, monkeypatch):
    monkeypatch.setattr(trial, "_start", lambda: pytest.fail("a child was started"))
    open_session(session_file)
    assert_same(open_session(session_file), full_session())


def test_an_own_file_that_was_changed_is_foreign(session_copy):
    remember(session_copy)
    assert is_own(session_copy)
    os.utime(session_copy, ns=(1, 1))
    assert not is_own(session_copy)


@pytest.mark.parametrize("name", CHILDREN)
def test_a_frozen_program_is_told_which_child_to_be(name, monkeypatch, session_copy):
    """Its executable is no interpreter; the script that it starts with is run by one here."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    executable, *told = child_command(name, 10, "no program", "numpy")
    assert executable == sys.executable
    script = Path(__file__).parents[2] / "packaging" / "program.py"
    given = {"session": bytes(session_copy), "images": b""}
    done = subprocess.run(
        [sys.executable, script, *told], input=given[name], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == {"session": b"null", "images": b""}[name]


@pytest.mark.parametrize("told", [(), ("--child",), ("--child", "os", "10"), ("session", "10")])
def test_other_arguments_make_no_child(told):
    assert not be_child(told)
