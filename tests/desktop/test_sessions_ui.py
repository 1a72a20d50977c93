"""Save, Save As, open, recent files, and the question about unsaved work."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from acts import drop
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QMessageBox

from microtome.records.analysis import Analysis
from microtome.records.hypothesis import Box, Hypothesis
from microtome.records.marks import Marks
from microtome.records.paths import PatchedPaths, paths_analysis
from microtome.session.handle import Handle
from microtome.session.reader import open_session
from microtome.session.writer import estimate, save_session
from microtome.triage import server
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession, SaveSession, restored
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.presenters.circuit_paths import marked_path
from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.state.notices import Level
from microtome_desktop.views.save_dialog import SaveDialog

WAIT = 30_000
CANCEL = QMessageBox.StandardButton.Cancel


def trigger(bench, wanted):
    bench.window.actions_table.actions[wanted].trigger()


def when_modal(act):
    """Call ``act`` with the next modal dialog, once it is on screen."""

    def look():
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            QTimer.singleShot(10, look)
        else:
            act(dialog)

    QTimer.singleShot(10, look)


def enabled(qtbot, bench, wanted):
    qtbot.waitUntil(bench.window.actions_table.actions[wanted].isEnabled)


def test_the_first_save_asks_for_a_file_and_shows_the_size(qtbot, bench, tmp_path):
    shown = []

    def fill(dialog):
        assert isinstance(dialog, SaveDialog)
        dialog.path.selectAll()
        qtbot.keyClicks(dialog.path, str(tmp_path / "mary"))
        qtbot.waitUntil(lambda: "total" in dialog.sizes.text(), timeout=WAIT)
        shown.append(dialog.sizes.text())
        dialog.everything.setChecked(True)
        qtbot.waitUntil(lambda: dialog.sizes.text() != shown[0], timeout=WAIT)
        dialog.everything.setChecked(False)
        save = dialog.buttons.button(QDialogButtonBox.StandardButton.Save)
        qtbot.mouseClick(save, Qt.MouseButton.LeftButton)

    session = bench.desk.workspace.session
    bench.desk.workspace.mark_dirty()
    enabled(qtbot, bench, CommandId.SAVE)
    when_modal(fill)
    trigger(bench, CommandId.SAVE)
    path = tmp_path / "mary.h5"
    qtbot.waitUntil(lambda: bench.desk.workspace.path == path, timeout=WAIT)
    assert not bench.desk.workspace.dirty
    assert bench.desk.settings.recent_sessions[0] == path
    total = sum(size for _, size in estimate(session))
    assert shown[0].splitlines()[-1].split(maxsplit=1) == ["total", bytes_text(total)]
    again = open_session(path)
    assert again.clean.tokens == session.clean.tokens
    assert again.view["selection"]["node"] == bench.desk.selection.current.node


def test_saving_again_needs_no_question(qtbot, bench, tmp_path):
    path = tmp_path / "again.h5"
    bench.runner.ask(SaveSession(path, bench.desk.workspace.session))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == path and bench.runner.idle, timeout=WAIT)
    before = path.stat().st_mtime_ns
    bench.desk.workspace.mark_dirty()
    enabled(qtbot, bench, CommandId.SAVE)
    trigger(bench, CommandId.SAVE)
    qtbot.waitUntil(lambda: not bench.desk.workspace.dirty, timeout=WAIT)
    assert path.stat().st_mtime_ns > before


def test_what_changes_during_a_save_stays_unsaved(qtbot, bench, tmp_path):
    request = SaveSession(tmp_path / "early.h5", bench.desk.workspace.session)
    bench.desk.workspace.add_analysis(
        replace(bench.desk.workspace.session.analyses["logit-lens"], title="later")
    )
    bench.runner.ask(request)
    qtbot.waitUntil(lambda: bench.desk.workspace.path == request.path, timeout=WAIT)
    assert bench.desk.workspace.dirty


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "Give a file name."),
        ("no/such/x.h5", "There is no folder"),
        (".", "is a folder"),
        ("long" * 100, "There can be no such file"),
    ],
)
def test_an_unusable_place_is_refused_before_saving(qtbot, bench, tmp_path, name, problem):
    dialog = SaveDialog(bench.desk, bench.runner, bench.desk.workspace.session, bench.window)
    qtbot.addWidget(dialog)
    dialog.path.setText(str(tmp_path / name) if name else "")
    assert problem in dialog.problem.text()
    assert not dialog.buttons.button(QDialogButtonBox.StandardButton.Save).isEnabled()
    dialog.path.setText(str(tmp_path / "fine"))
    assert dialog.problem.text() == ""
    assert dialog.choice.path == tmp_path / "fine.h5"
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)


def test_the_home_of_nobody_is_a_folder_that_there_is_not(qtbot, bench):
    dialog = SaveDialog(bench.desk, bench.runner, bench.desk.workspace.session, bench.window)
    qtbot.addWidget(dialog)
    dialog.path.setText("~nobody-of-this-name/x.h5")
    assert dialog.problem.text() == "There is no folder ~nobody-of-this-name."
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)


@pytest.mark.parametrize(
    ("button", "closed"),
    [
        (QMessageBox.StandardButton.Cancel, False),
        (QMessageBox.StandardButton.Discard, True),
    ],
)
def test_closing_with_unsaved_results_asks(qtbot, bench, button, closed):
    bench.desk.workspace.mark_dirty()

    def answer(box):
        qtbot.mouseClick(box.button(button), Qt.MouseButton.LeftButton)

    when_modal(answer)
    assert bench.handlers.may_close() is closed
    assert bench.desk.workspace.session is not None


def test_closing_without_changes_asks_nothing(bench):
    assert bench.handlers.may_close()


def test_save_on_closing_saves_first_and_closes_then(qtbot, bench, tmp_path, monkeypatch):
    path = tmp_path / "close.h5"
    bench.desk.workspace.saved(path)
    bench.desk.workspace.mark_dirty()
    closed = []
    monkeypatch.setattr(bench.window, "close", lambda: closed.append(path.exists()))
    save = QMessageBox.StandardButton.Save
    when_modal(lambda box: qtbot.mouseClick(box.button(save), Qt.MouseButton.LeftButton))
    assert not bench.handlers.may_close()
    qtbot.waitUntil(lambda: closed == [True], timeout=WAIT)
    bench.handlers._closing = False


def test_opening_from_the_recent_menu(qtbot, bench, tmp_path):
    path = save_session(tmp_path / "recent.h5", bench.desk.workspace.session)
    bench.desk.settings.remember_session(path)
    bench.menus.recent.aboutToShow.emit()
    first = bench.menus.recent.actions()[0]
    assert (first.text(), first.toolTip()) == ("recent.h5", str(path))
    first.trigger()
    qtbot.waitUntil(lambda: bench.desk.workspace.path == path, timeout=WAIT)
    # The title follows in a later turn of the event loop.
    qtbot.waitUntil(lambda: "recent.h5" in bench.window.windowTitle(), timeout=WAIT)


def test_a_recent_file_that_is_gone_is_told_and_forgotten(qtbot, bench, tmp_path):
    path = tmp_path / "gone.h5"
    bench.desk.settings.remember_session(path)
    shown = bench.desk.workspace.session
    with qtbot.waitSignal(bench.runner.failed, timeout=WAIT):
        bench.runner.ask(OpenSession(path))
    assert path not in bench.desk.settings.recent_sessions
    assert bench.desk.workspace.session is shown
    assert bench.desk.notices.history[-1].level is Level.ERROR


def test_the_selection_comes_back_with_the_file(qtbot, bench, tmp_path):
    node = bench.desk.workspace.session.circuit.node_id[5]
    bench.desk.selection.update(node=node, position=3, layer=1, head=None)
    path = tmp_path / "view.h5"
    bench.desk.workspace.saved(path)
    bench.handlers.save()
    qtbot.waitUntil(lambda: bench.runner.idle and path.exists(), timeout=WAIT)
    bench.desk.selection.clear()
    bench.runner.ask(OpenSession(path))
    qtbot.waitUntil(lambda: bench.desk.selection.current.node == node, timeout=WAIT)
    selected = bench.desk.selection.current
    assert (selected.node, selected.position, selected.layer) == (node, 3, 1)


def test_a_view_that_names_another_node_is_ignored(sample_session):
    view = {"selection": {"node": "L9H9@99", "position": 2, "colour": "red"}}
    assert restored(replace(sample_session, view=view)) == {"position": 2}
    assert restored(replace(sample_session, view={})) == {"position": 14}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (123 * 2**20, "123 MiB"), (5e9, "4.7 GiB")],
)
def test_sizes_read_well(count, text):
    assert bytes_text(count) == text


def test_paths_are_absolute_in_the_recent_list(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench.desk.settings.remember_session(Path("here.h5"))
    assert bench.desk.settings.recent_sessions[0] == tmp_path / "here.h5"


def test_the_open_dialog_prepares_the_reading(qtbot, bench, monkeypatch):
    server.dismiss()
    seen = []

    def choose(*_):
        qtbot.waitUntil(lambda: bool(server._idle), timeout=WAIT)
        seen.append(server._idle[0].ended)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    trigger(bench, CommandId.OPEN_SESSION)
    assert seen == [False]  # a child lives and waits for its file
    server.dismiss()


def flipped(path):
    """The file with one bit of its largest stored block changed."""

    with h5py.File(path) as file:
        stored = {}

        def note(name, item):
            if isinstance(item, h5py.Dataset) and item.chunks is not None:
                stored[name] = item.id.get_storage_size()

        file.visititems(note)
        name = max(stored, key=stored.get)
        place = file[name].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    return name


def test_a_flipped_bit_is_told_after_opening(qtbot, bench, tmp_path, sample_session):
    path = save_session(tmp_path / "damaged.h5", sample_session)
    name = flipped(path)
    bench.runner.ask(OpenSession(path))
    qtbot.waitUntil(lambda: bool(bench.desk.notices.history), timeout=WAIT)
    (notice,) = bench.desk.notices.history
    assert notice.level is Level.WARNING
    assert name in notice.what
    assert "damaged.h5 is damaged" in notice.title


def test_results_that_cannot_be_read_are_told_once_when_a_session_opens(
    qtbot, bench, tmp_path, sample_session
):
    """Curves and judgements that are damaged, or of another version: not in silence."""
    odd = {
        f"{kind}-odd{number}": Analysis(f"{kind}-odd{number}", kind, title, {}, {"metric": "logit"})
        for kind, title, count in (("faithfulness", "Curve", 2), ("judgement", "Judged", 1))
        for number in range(count)
    }
    session = replace(sample_session, analyses={**sample_session.analyses, **odd})
    path = save_session(tmp_path / "odd.h5", session)
    bench.runner.ask(OpenSession(path))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == path, timeout=WAIT)
    (notice,) = bench.desk.notices.history
    assert notice.level is Level.WARNING
    assert notice.title == "3 results of odd.h5 cannot be read"
    assert notice.what == "Curve (2), Judged."
    assert notice.way_out.endswith("Make them again.")


def test_panels_read_nothing_of_the_file_themselves(
    qtbot, bench, tmp_path, monkeypatch, sample_scrubbed
):
    """Results are in memory when a session comes on screen; what is large a worker reads."""
    drawn = Hypothesis((Box("all", ("input",), "token(at)"),), (), "one")
    session = bench.desk.workspace.session
    analyses = {
        **session.analyses,
        "paths-1": patched(session),
        "scrubbed-1": sample_scrubbed(drawn),
    }
    marks = Marks(hypotheses=(drawn,))
    path = save_session(tmp_path / "results.h5", replace(session, analyses=analyses, marks=marks))
    read, told = Handle.read, []

    def watched(handle, name, selection=None):
        told.append((threading.current_thread() is threading.main_thread(), name))
        return read(handle, name, selection)

    monkeypatch.setattr(Handle, "read", watched)
    bench.runner.ask(OpenSession(path))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == path and bench.runner.idle, timeout=WAIT)
    for name in bench.furnishing.panels:
        bench.window.show_panel(name)
        bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    assert any("analyses" in name for _, name in told)
    assert [name for by_window, name in told if by_window] == []
    opened = bench.desk.workspace.session
    assert opened.analyses["paths-1"].array("effect").tolist() == [0.5, -2.0]
    assert "0.50" in bench.furnishing.panels["hypothesis"].score.text.text()


def patched(session):
    """Two paths from a head on."""
    circuit = session.circuit
    path, _ = marked_path(circuit, (circuit.node_id[circuit.node_kind.index("head")],))
    return paths_analysis(
        PatchedPaths(
            (str(path), "input->m0->logits"), np.array([0.5, -2.0]), np.array([0.1, -0.4]), None,
            np.zeros((2, 1)), np.ones(1), np.zeros(1), "p", {"id": "paths-1"},
        )
    )  # fmt: skip


def test_a_whole_file_is_verified_on_request(qtbot, bench, tmp_path, sample_session):
    path = save_session(tmp_path / "whole.h5", sample_session)
    assert not bench.window.actions_table.actions[CommandId.VERIFY_FILE].isEnabled()
    bench.runner.ask(OpenSession(path))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == path and bench.runner.idle, timeout=WAIT)
    assert bench.desk.notices.history == []
    enabled(qtbot, bench, CommandId.VERIFY_FILE)
    trigger(bench, CommandId.VERIFY_FILE)
    qtbot.waitUntil(lambda: bool(bench.desk.notices.history), timeout=WAIT)
    assert bench.desk.notices.history[0].title == "whole.h5 is whole"
    assert "MB: all as they were written" in bench.desk.notices.history[0].what


def test_a_session_file_is_opened_by_dropping_it(qtbot, bench, tmp_path, sample_session):
    path = save_session(tmp_path / "dropped.h5", sample_session)
    assert drop(bench.window, path)
    qtbot.waitUntil(lambda: bench.desk.workspace.path == path and bench.runner.idle, timeout=WAIT)


def test_what_is_no_session_is_refused_before_it_is_asked_whether_to_save(
    bench, tmp_path, monkeypatch, qtbot, sample_session
):
    asked = []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: asked.append(box) or CANCEL)
    bench.desk.workspace.mark_dirty()
    (tmp_path / "notes.txt").write_text("no session")
    assert drop(bench.window, tmp_path / "notes.txt")
    notice = bench.desk.notices.history[-1]
    assert (notice.title, len(asked)) == ("notes.txt cannot be opened", 0)
    assert "Drop a session" in notice.way_out
    named = save_session(tmp_path / "held.h5", sample_session).rename(tmp_path / "held.bak")
    assert drop(bench.window, named)  # a session, whatever its name
    assert len(asked) == 1
    bench.desk.workspace.mark_clean()


def test_a_model_folder_is_loaded_by_dropping_it(bench, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(bench.runner, "ask", asked.append)
    assert drop(bench.window, tmp_path)
    assert asked == [LoadModel(str(tmp_path), remember=True)]


def test_two_files_at_once_are_not_taken_and_told_why(bench, tmp_path):
    before = bench.desk.workspace.session
    assert drop(bench.window, tmp_path / "a.h5", tmp_path / "b.h5")
    assert bench.desk.workspace.session is before
    assert bench.desk.notices.history[-1].title == "These 2 files cannot be opened together"
