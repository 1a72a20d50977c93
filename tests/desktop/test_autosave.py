"""What nobody saved is saved by itself, and outlives a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop.jobs.autosave_requests import AutoSave
from microtome_desktop.jobs.file_requests import held_in_file
from microtome_desktop.views.kept_files import KeptFiles
from microtome_desktop.wiring import state_folder

WAIT = 30_000
CRASH = """
import os, sys
from pathlib import Path
from microtome_desktop.views.kept_files import KeptFiles
print(KeptFiles(Path(sys.argv[1])).prepare(), flush=True)
os._exit(1)
"""


@pytest.fixture
def auto(bench, tmp_path):
    made = bench.autosave
    made.kept = KeptFiles(tmp_path / "kept")
    yield made
    made.kept.clear()
    made.kept = None


@pytest.fixture
def crashed(tmp_path, sample_session):
    """What a window left that is gone without a word."""
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path / "kept")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    path = Path(done.stdout.strip())
    save_session(path, sample_session)
    return path


def rest(qtbot, bench):
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)


def tick(qtbot, bench, auto):
    auto._timer.timeout.emit()
    rest(qtbot, bench)


def test_a_session_with_a_file_is_saved_there(qtbot, bench, auto, sample_session, tmp_path):
    path = save_session(tmp_path / "mine.h5", sample_session)
    bench.desk.workspace.saved(path)
    before = path.stat().st_mtime_ns
    tick(qtbot, bench, auto)
    assert path.stat().st_mtime_ns == before  # nothing had changed
    node = sample_session.circuit.node_id[0]
    bench.desk.book.mark("Pin", pins=(node,))
    assert bench.desk.workspace.dirty
    tick(qtbot, bench, auto)
    assert open_session(path).marks.pins == (node,)
    assert not bench.desk.workspace.dirty
    assert "saved mine.h5" in bench.window.statusBar().currentMessage()


def test_one_without_a_file_is_kept_until_the_window_ends(qtbot, bench, auto, sample_session):
    bench.desk.workspace.mark_dirty()
    tick(qtbot, bench, auto)
    assert open_session(auto.kept.own).uuid == sample_session.uuid
    assert bench.desk.workspace.dirty  # it is in no file of the user's
    assert bench.desk.workspace.path is None
    bench.desk.workspace.saved(auto.kept.own.with_name("elsewhere.h5"))
    assert not auto.kept.own.exists()


def test_what_a_crash_left_is_offered_and_opens_as_unsaved(qtbot, bench, auto, crashed):
    bench.desk.workspace.show(None)
    auto.offer()
    (box,) = bench.window.findChildren(QMessageBox, "kept")
    assert not box.isModal()
    press(box, "Open it")
    qtbot.waitUntil(lambda: bench.desk.workspace.session is not None, timeout=WAIT)
    rest(qtbot, bench)
    assert bench.desk.workspace.dirty
    assert bench.desk.workspace.path is None
    assert crashed not in bench.desk.settings.recent_sessions
    assert crashed.exists()  # its arrays are read from it
    auto.kept.clear()
    assert list(crashed.parent.iterdir()) == []


def press(box, text):
    (button,) = [each for each in box.buttons() if each.text().replace("&", "") == text]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize(("text", "stays"), [("Throw it away", False), ("Later", True)])
def test_or_it_is_thrown_away_or_offered_again(bench, auto, crashed, text, stays):
    auto.offer()
    (box,) = bench.window.findChildren(QMessageBox, "kept")
    press(box, text)
    assert crashed.exists() is stays
    assert KeptFiles(crashed.parent).orphans() == ((crashed,) if stays else ())


def test_a_window_that_lives_keeps_its_file(auto, tmp_path, sample_session):
    other = KeptFiles(tmp_path / "kept")
    save_session(other.prepare(), sample_session)
    assert auto.kept.orphans() == ()
    other.clear()
    assert not other.own.exists()


def test_the_setting_is_the_time_between_two_saves(bench, auto):
    settings, timer = bench.desk.settings, auto._timer
    settings.autosave = 2
    assert (timer.isActive(), timer.interval()) == (True, 120_000)
    settings.autosave = 0
    assert not timer.isActive()
    settings.autosave = 5


def test_a_save_that_fails_is_told_once(qtbot, bench, auto, tmp_path):
    bench.desk.workspace.saved(tmp_path / "gone" / "mine.h5")
    for _ in range(2):
        bench.desk.workspace.mark_dirty()
        tick(qtbot, bench, auto)
    told = [notice for notice in bench.desk.notices.history if "mine.h5" in notice.title]
    assert len(told) == 1
    assert told[0].way_out
    auto._broken = ""


def test_a_file_keeps_all_that_it_holds(tmp_path, sample_session):
    everything = (*sample_session.clean.activations, "logits")
    full = open_session(save_session(tmp_path / "a.h5", sample_session, include=everything))
    again = open_session(save_session(tmp_path / "b.h5", full, include=held_in_file(full)))
    assert set(again.clean.activations) == set(full.clean.activations)
    assert (again.clean.logits is None) == (full.clean.logits is None)


def test_the_state_folder_is_the_system_s(settings_folder, qapp):
    assert settings_folder in state_folder().parents


def test_the_request_is_no_job_of_the_user_s(sample_session, tmp_path):
    assert AutoSave(tmp_path / "a.h5", sample_session).quiet
