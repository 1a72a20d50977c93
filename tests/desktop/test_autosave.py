"""What nobody saved is saved by itself, and outlives a crash."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QMessageBox

from microtome.session.log import log_of
from microtome.session.reader import open_session
from microtome.session.store import SessionStore
from microtome.session.writer import save_session
from microtome_desktop.jobs.autosave_requests import AutoSave
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.file_requests import OpenSession, SaveSession, held_in_file
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


def crash_of(path, into):
    """What a crash at this moment would leave of a session file and its log, elsewhere."""
    into.mkdir()
    for file in (path, log_of(path)):
        shutil.copy(file, into / file.name)
    return into / path.name


@pytest.fixture
def mine(qtbot, bench, auto, sample_session, tmp_path):
    """The session on screen, saved to a file of the user's."""
    path = tmp_path / "mine.h5"
    bench.runner.ask(SaveSession(path, *bench.handlers.to_save(path)))
    rest(qtbot, bench)
    yield path
    bench.desk.book.mark("Unpin", pins=())
    bench.runner.ask(SaveSession(tmp_path / "last.h5", sample_session))
    rest(qtbot, bench)


def test_changes_are_kept_beside_the_file_and_recovered(qtbot, bench, auto, mine, tmp_path):
    before = mine.read_bytes()
    tick(qtbot, bench, auto)
    assert mine.read_bytes() == before  # nothing had changed
    assert not log_of(mine).exists()
    node = bench.desk.workspace.session.circuit.node_id[0]
    bench.desk.book.mark("Pin", pins=(node,))
    assert auto._timer.isActive()
    assert auto._timer.interval() <= 2000
    tick(qtbot, bench, auto)
    assert open_session(mine).marks.pins == ()  # as it was saved
    assert bench.desk.workspace.dirty
    left = crash_of(mine, tmp_path / "crash")

    bench.handlers.save()
    rest(qtbot, bench)
    assert open_session(mine).marks.pins == (node,)
    assert not bench.desk.workspace.dirty

    bench.handlers.open_path(left)
    box = asked(qtbot, bench)
    assert not box.isModal()
    press(box, "Recover them")
    qtbot.waitUntil(lambda: bench.desk.workspace.path == left, timeout=WAIT)
    rest(qtbot, bench)
    assert bench.desk.workspace.session.marks.pins == (node,)
    assert not log_of(left).exists()


def test_they_are_thrown_away_or_wait_only_on_a_word(qtbot, bench, auto, mine, tmp_path):
    node = bench.desk.workspace.session.circuit.node_id[0]
    bench.desk.book.mark("Pin", pins=(node,))
    tick(qtbot, bench, auto)
    left = crash_of(mine, tmp_path / "crash")
    bench.handlers.save()
    rest(qtbot, bench)
    log = log_of(left).read_bytes()
    bench.desk.settings.remember_session(left)
    auto.offer()
    press(asked(qtbot, bench), "Later")
    assert log_of(left).read_bytes() == log
    auto.offer()
    press(asked(qtbot, bench), "Throw them away")
    qtbot.waitUntil(lambda: bench.desk.workspace.path == left, timeout=WAIT)
    rest(qtbot, bench)
    assert bench.desk.workspace.session.marks.pins == ()
    assert not log_of(left).exists()


def asked(qtbot, bench):
    def boxes():
        return [
            b for b in bench.window.findChildren(QMessageBox, "unsaved changes") if b.isVisible()
        ]

    qtbot.waitUntil(lambda: len(boxes()) == 1, timeout=WAIT)
    (box,) = boxes()
    return box


def test_many_changes_do_not_put_off_the_keeping(bench, auto, mine, monkeypatch):
    now, auto._since = 1000.0, None
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for tenth in range(40):  # steady typing
        now = 1000.0 + tenth / 10
        bench.desk.workspace.mark_dirty()
        bench.desk.workspace.part_changed.emit("marks")
        assert auto._timer.interval() <= max(0, 2000 - 100 * tenth)
    auto._since = None
    auto._timer.stop()


def test_a_keeping_under_way_is_not_begun_anew(qtbot, bench, auto, mine, monkeypatch):
    asked, ask = [], bench.runner.ask

    def noted(request):
        asked.append(request)
        ask(request)

    monkeypatch.setattr(bench.runner, "ask", noted)
    for node in bench.desk.workspace.session.circuit.node_id[:3]:
        bench.desk.book.mark("Pin", pins=(node,))
        auto.act()
    assert len(asked) == 1
    assert auto._timer.isActive()
    rest(qtbot, bench)
    tick(qtbot, bench, auto)
    assert len(asked) == 2
    assert asked[1].session.marks.pins == (node,)


@pytest.mark.parametrize("made", [False, True])
def test_marks_are_kept_while_a_run_of_another_session_goes_on(
    qtbot, bench, auto, mine, monkeypatch, made
):
    session = bench.desk.workspace.session
    run = Examine(bench.desk.draft.text.question())
    run = replace(run, uuid=session.uuid) if made else run
    node = session.circuit.node_id[2]
    bench.desk.book.mark("Pin", pins=(node,))
    with monkeypatch.context() as patch:
        patch.setattr(type(bench.runner), "under_way", (run,))
        tick(qtbot, bench, auto)
    assert log_of(mine).exists() is not made  # half of a session is not kept
    if made:
        assert auto._timer.isActive()
        tick(qtbot, bench, auto)
        assert log_of(mine).exists()


def test_a_session_opened_from_a_file_is_edited_there(qtbot, bench, auto, mine):
    bench.runner.ask(OpenSession(mine))
    rest(qtbot, bench)
    number = mine.stat().st_ino
    bench.desk.book.mark("Pin", pins=(bench.desk.workspace.session.circuit.node_id[1],))
    bench.handlers.save()
    rest(qtbot, bench)
    assert mine.stat().st_ino == number  # no file was written anew
    held = open_session(mine)
    assert held.marks.pins == (held.circuit.node_id[1],)
    shown = bench.desk.workspace.session.clean
    np.testing.assert_array_equal(
        shown.activation("resid_post.0"), held.clean.activation("resid_post.0")
    )


def test_what_another_window_saved_is_not_lost(qtbot, bench, auto, mine):
    node = bench.desk.workspace.session.circuit.node_id[1]
    other, theirs = SessionStore(), open_session(mine)
    other.opened(mine, theirs, None, {})
    other.save(mine, replace(theirs, view={"dock": [3]}), None)
    other.close()
    bench.desk.book.mark("Pin", pins=(node,))
    before = mine.read_bytes()
    bench.handlers.save()
    rest(qtbot, bench)
    notice = bench.desk.notices.history[-1]
    assert "changed by another program since you opened it" in notice.what
    assert "another name" in notice.way_out
    assert mine.read_bytes() == before
    assert bench.desk.workspace.dirty

    def accept():
        dialog = QApplication.activeModalWidget()
        assert "will be replaced" in dialog.problem.text()
        dialog.buttons.button(QDialogButtonBox.StandardButton.Save).click()

    QTimer.singleShot(200, accept)
    bench.handlers.save_as()
    rest(qtbot, bench)
    assert open_session(mine).marks.pins == (node,)


@pytest.mark.parametrize("why", ["another window", "read-only"])
def test_what_the_file_cannot_take_is_kept_elsewhere(qtbot, bench, auto, mine, why, monkeypatch):
    node = bench.desk.workspace.session.circuit.node_id[1]
    other, theirs, told = SessionStore(), open_session(mine), len(bench.desk.notices.history)
    bench.runner.ask(OpenSession(mine))
    rest(qtbot, bench)
    if why == "another window":
        other.opened(mine, theirs, None, {})
        assert other.keep(mine, replace(theirs, view={"dock": [3]}), None)
    else:
        plain = os.open

        def no_new_files(place, flags, *more, **named):
            if flags & os.O_CREAT and Path(place).parent == mine.parent:
                raise PermissionError(errno.EACCES, "Permission denied")
            return plain(place, flags, *more, **named)

        monkeypatch.setattr(os, "open", no_new_files)
    bench.desk.book.mark("Pin", pins=(node,))
    tick(qtbot, bench, auto)
    monkeypatch.undo()
    assert open_session(auto.kept.own).marks.pins == (node,)
    assert open_session(mine).marks.pins == ()
    assert len(bench.desk.notices.history) == told
    other.close()
    bench.runner.ask(SaveSession(mine, *bench.handlers.to_save(mine), replace=True))
    rest(qtbot, bench)
    assert open_session(mine).marks.pins == (node,)
    assert not auto.kept.own.exists()


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


def test_the_setting_is_the_time_after_a_change(bench, auto):
    settings, timer = bench.desk.settings, auto._timer
    bench.desk.workspace.mark_dirty()
    settings.autosave = 10
    assert timer.isActive()
    assert timer.interval() <= 10_000
    settings.autosave = 0
    assert not timer.isActive()
    settings.autosave = 2
    assert timer.interval() <= 2_000
    timer.stop()


def test_keeping_that_fails_is_told_once_and_tried_again(qtbot, bench, auto, monkeypatch):
    now, real = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + now)
    title = "Keeping what is unsaved failed"

    def told():
        return [notice for notice in bench.desk.notices.history if title in notice.title]

    auto.kept.own.mkdir(parents=True)
    for _ in range(3):
        bench.desk.workspace.mark_dirty()
        bench.desk.workspace.part_changed.emit("marks")
        tick(qtbot, bench, auto)
        assert auto._timer.isActive()
        assert 20_000 < auto._timer.interval() <= 30_000
        now += 31
    assert len(told()) == 1
    assert told()[0].way_out
    now -= 31
    auto.kept.own.rmdir()
    tick(qtbot, bench, auto)
    assert not auto.kept.own.exists()  # not before its time
    now += 31
    tick(qtbot, bench, auto)
    assert auto.kept.own.is_file()
    auto.kept.own.unlink()
    auto.kept.own.mkdir()
    bench.desk.workspace.mark_dirty()
    tick(qtbot, bench, auto)
    auto.kept.own.rmdir()
    assert len(told()) == 2  # another failure than before
    auto._broken = ""
    auto._timer.stop()


def test_a_file_keeps_all_that_it_holds(tmp_path, sample_session):
    everything = (*sample_session.clean.activations, "logits")
    full = open_session(save_session(tmp_path / "a.h5", sample_session, include=everything))
    again = open_session(save_session(tmp_path / "b.h5", full, include=held_in_file(full)))
    assert set(again.clean.activations) == set(full.clean.activations)
    assert (again.clean.logits is None) == (full.clean.logits is None)


def test_the_state_folder_is_the_system_s(settings_folder, qapp):
    assert settings_folder in state_folder().parents


def test_the_request_is_no_job_of_the_user_s(sample_session, tmp_path):
    assert AutoSave(tmp_path / "a.h5", None, sample_session).quiet
