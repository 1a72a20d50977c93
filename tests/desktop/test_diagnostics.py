"""The log, the diagnostics, and the mark of a start: what they tell, and what they never tell."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from microtome.errors import SiteMissing
from microtome.session.writer import save_session
from microtome_desktop.application import ErrorNet
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.failure import Failure
from microtome_desktop.jobs.file_requests import OpenSession, SaveSession
from microtome_desktop.jobs.request import Request
from microtome_desktop.state import log
from microtome_desktop.state.diagnostics import Found, report
from microtome_desktop.state.scrubbing import scrubbed, told, without_folders
from microtome_desktop.state.settings import MemoryStore, Settings
from microtome_desktop.views.diagnostics_window import AboutWindow, DiagnosticsWindow
from microtome_desktop.views.journal import Journal
from microtome_desktop.views.start_mark import StartMark

SECRETS = ("Zanzibar", "Quetzal", "Ouagadougou")
PATHS = (
    "/srv/Zanzibar/Quetzal data/run.h5",
    "C:\\Users\\Zanzibar\\Quetzal data\\run.h5",
    "\\\\Zanzibar\\Quetzal\\run.h5",
    "~/Zanzibar/Quetzal/run.h5",
    "~Zanzibar/run.h5",
    "../Zanzibar/run.h5",
    "Zanzibar/Quetzal/run.h5",
    "file:///srv/Zanzibar/run.h5",
    "/Zanzibar/Quetzal 'x'/run.h5",
    "/srv/\u202eZanzibar/run.h5",
)
START = """
import os, sys
from pathlib import Path
from microtome_desktop.views.start_mark import StartMark
mark = StartMark(Path(sys.argv[1]))
mark.begin()
mark.hold("mary.h5")
print("begun", flush=True)
sys.stdin.readline()
import faulthandler
faulthandler._sigsegv()
"""


@pytest.fixture
def journal(bench, tmp_path):
    """The journal of the shared window, and the lines that it has written."""
    mark = StartMark(tmp_path / "state")
    made = Journal(tmp_path / "state", mark, bench)
    yield lambda: (tmp_path / "state" / log.NAME).read_text("utf-8").splitlines()
    made.end()
    made.setParent(None)
    made.deleteLater()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", ["{}", "could not read {}: no", "'{}' and \"{}\"", "a={},{}"])
def test_of_a_path_only_the_name_stays(path, form):
    text = without_folders(form.format(*[path] * 2))
    assert "run.h5" in text
    assert not [secret for secret in SECRETS if secret in text]


def test_what_is_no_path_stays():
    text = "Job 3 done after 0.2 s: examine. 12 / 4 is 3; 50 % at 10:20, e.g. 1.5e-3"
    assert without_folders(text) == text


def test_of_an_error_its_kind_and_its_way_are_told(tmp_path):
    def inner():
        (tmp_path / "Zanzibar").read_text()

    try:
        try:
            inner()
        except OSError as error:
            raise SiteMissing("'Quetzal' is no token.", "Type Ouagadougou.") from error
    except SiteMissing as error:
        text = told(error)
        failure = Failure.of("Zanzibar failed", error)
    assert text.startswith("microtome.errors.SiteMissing\n")
    assert "caused by FileNotFoundError (ENOENT)" in text
    assert re.search(r"test_diagnostics\.inner, line \d+", text)
    assert not [secret for secret in SECRETS if secret in text]
    assert failure.way == text


def test_the_log_tells_jobs_and_files(qtbot, bench, tmp_path, journal, sample_session):
    path = save_session(tmp_path / "Zanzibar.h5", sample_session)
    (tmp_path / "Quetzal").mkdir()
    rest(qtbot, bench)
    bench.runner.ask(OpenSession(path))
    rest(qtbot, bench)
    bench.runner.ask(SaveSession(tmp_path / "Quetzal" / "saved.h5", sample_session))
    rest(qtbot, bench)
    bench.runner.ask(OpenSession(tmp_path / "Quetzal" / "missing.h5"))
    rest(qtbot, bench)
    text = "\n".join(journal())
    for told_of in (
        r" INFO    Started as process \d+: microtome \d.*torch \d.*Qt 6.*Python 3",
        r" INFO    Job \d+ asked: open session",
        r" INFO    Job \d+ done after \d+\.\d s: open session",
        r" INFO    Session opened: Zanzibar\.h5",
        r" INFO    Session saved: saved\.h5",
        r" ERROR   Job \d+ failed after \d+\.\d s: open session\n    microtome\.errors\.\w+\n",
    ):
        assert re.search(told_of, text), told_of
    assert "Quetzal" not in text
    assert str(tmp_path) not in text
    assert "Mary" not in text  # the prompt's


class Fails(Request):
    """A job whose title and whose error quote what was typed."""

    title = "Running Zanzibar"

    def perform(self, engine, job):
        raise ValueError("Quetzal is no Ouagadougou")


def test_what_was_typed_comes_neither_into_the_log_nor_into_the_diagnostics(qtbot, bench, journal):
    rest(qtbot, bench)
    bench.desk.draft.update(prompt="Zanzibar", answer="Quetzal", wrong="Ouagadougou")
    bench.runner.ask(Fails())
    net = ErrorNet()
    try:
        sys.excepthook(ValueError, ValueError("Quetzal"), None)
    finally:
        net.remove()
    rest(qtbot, bench)
    text = "\n".join(journal())
    assert re.search(r"Job \d+ failed after \d+\.\d s: fails\n    ValueError\n", text)
    assert "ERROR   Unexpected error\n    ValueError" in text
    text += report(bench.desk.settings, "6", Found("2", log.last_lines(200)))
    assert not [secret for secret in SECRETS if secret in text]


def rest(qtbot, bench):
    def idle():
        bench.runner.turns.finish()
        return bench.runner.idle

    qtbot.waitUntil(idle, timeout=30_000)


def test_the_log_goes_on_in_a_new_file_and_keeps_three(tmp_path):
    handler = log.start(tmp_path)
    try:
        for number in range(4000):
            log.event(f"{number} " + "x" * 1000)
        log.event("one\nline\u2028only")
        lines = log.last_lines(10)
    finally:
        log.stop(handler)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {log.NAME, f"{log.NAME}.1", f"{log.NAME}.2"}
    assert all(size <= 1_000_000 for size in sizes.values())
    assert lines[-1].endswith(" one line only")
    assert " 3999 x" in lines[-2]
    log.event("never written")
    assert "never" not in (tmp_path / log.NAME).read_text()


def test_the_last_lines_reach_into_the_file_before(tmp_path):
    (tmp_path / f"{log.NAME}.1").write_text("\n".join(f"old {n}" for n in range(500)) + "\n")
    (tmp_path / log.NAME).write_text("new 0\nnew 1\n")
    handler = log.start(tmp_path)
    try:
        assert log.last_lines(4) == ("old 498", "old 499", "new 0", "new 1")
        assert log.last_lines(1) == ("new 1",)
    finally:
        log.stop(handler)


def test_without_a_folder_the_window_goes_on(bench, tmp_path):
    place = tmp_path / "taken"
    place.write_text("a file where the folder should be")
    mark = StartMark(place)
    mark.begin()
    mark.hold("mary.h5")
    made = Journal(place, mark, bench)
    log.event("nowhere")
    assert log.last_lines(5) == ()
    made.end()
    mark.end()
    made.deleteLater()
    assert place.read_text().startswith("a file")


def test_nothing_leaks_into_the_diagnostics(monkeypatch):
    monkeypatch.setenv("USER", "zanzibar")
    monkeypatch.setenv("HOME", "/users/Zanzibar")
    monkeypatch.setattr(socket, "gethostname", lambda: "Quetzal.example.org")
    settings = Settings(MemoryStore())
    settings.remember_session(Path("/srv/Ouagadougou/Ouagadougou.h5"))
    settings.remember_model("/srv/Ouagadougou")
    settings.folder = "/srv/Ouagadougou"
    settings.device = "/srv/Ouagadougou/cuda:0"
    lines = [f"INFO  opened {path}" for path in PATHS]
    lines += ["by zanzibar on QUETZAL and quetzal.example.org", "at /users/Zanzibar/Ouagadougou/x"]
    crash = '  File "/users/Zanzibar/Ouagadougou/view.py", line 30 in paint'
    text = report(settings, "6.11.3", Found("2.0.0", tuple(lines), crash))
    assert not [name for name in SECRETS if name.lower() in text.lower()]
    assert "by <user> on <host> and <host>" in text
    assert 'File "view.py", line 30 in paint' in text
    for name in ("microtome", "torch", "transformers", "numpy", "h5py", "PySide6-Essentials"):
        assert re.search(rf"^{name} +\d", text, re.MULTILINE), name
    assert re.search(r"^HDF5 +2\.0\.0$", text, re.MULTILINE)
    assert re.search(r"^Qt +6\.11\.3$", text, re.MULTILINE)
    assert re.search(r"^device +cuda:0$", text, re.MULTILINE)


def test_this_user_and_this_host_are_not_told():
    text = scrubbed(f"{getpass.getuser()}@{socket.gethostname()} in {Path.home()}/there")
    assert text == "<user>@<host> in there"


def test_about_tells_what_it_stands_on_and_copies_after_showing(qtbot, bench, journal):
    import h5py

    bench.window.actions_table.trigger(CommandId.ABOUT)
    about = bench.window.findChild(AboutWindow)
    rest(qtbot, bench)
    shown = about.text.toPlainText()
    assert re.search(rf"^HDF5 +{re.escape(h5py.version.hdf5_version)}$", shown, re.MULTILINE)
    assert re.search(r"^Qt +6\.", shown, re.MULTILINE)
    for name in ("torch", "transformers"):
        assert re.search(rf"^{name} +\d", shown, re.MULTILINE)
    QGuiApplication.clipboard().setText("before")
    qtbot.mouseClick(about.more, Qt.MouseButton.LeftButton)
    window = bench.window.findChild(DiagnosticsWindow)
    rest(qtbot, bench)
    assert QGuiApplication.clipboard().text() == "before"
    text = window.text.toPlainText()
    assert "Started as process" in text
    qtbot.mouseClick(window.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == text
    window.close()
    about.close()


def test_a_start_that_ended_without_a_word_is_told_once(qtbot, bench, tmp_path, journal):
    state = tmp_path / "state"
    crashed, living = (running(state) for _ in range(2))
    crashed.stdin.write("\n")
    crashed.stdin.flush()
    assert crashed.wait() == -signal.SIGSEGV
    made = [Journal(state, StartMark(state), bench) for _ in range(2)]
    (notice,) = bench.desk.notices.history
    assert "ended without a word" in notice.title
    assert "mary.h5" in notice.what
    assert "Segmentation fault" in bench.desk.diagnostics.crash
    (toast,) = bench.toasts.shown
    qtbot.mouseClick(toast.offer, Qt.MouseButton.LeftButton)
    rest(qtbot, bench)
    window = bench.window.findChild(DiagnosticsWindow)
    assert "Segmentation fault" in window.text.toPlainText()
    window.close()
    living.kill()
    for child in (crashed, living):
        child.communicate()
    (late,) = StartMark(state).crashes()
    assert (late.pid, late.session) == (living.pid, "mary.h5")
    bench.desk.diagnostics.crash = ""
    for each in made:
        each.end()
        each.deleteLater()


def running(state):
    child = subprocess.Popen(
        [sys.executable, "-c", START, str(state)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=os.environ,
    )  # fmt: skip
    assert child.stdout.readline() == "begun\n"
    return child


def test_an_orderly_end_and_half_a_mark(tmp_path):
    mark = StartMark(tmp_path)
    mark.begin()
    (path,) = tmp_path.glob("running-*.json")
    assert json.loads(path.read_text())["pid"] == os.getpid()
    assert mark.crashes() == StartMark(tmp_path).crashes() == ()
    mark.end()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "running-0.json").write_text('{"pid": 1')
    (half,) = StartMark(tmp_path).crashes()
    assert (half.pid, half.session, half.text) == (0, "", "")
