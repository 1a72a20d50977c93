"""Files of newer versions, and files that hold more than they need, in the window."""

from __future__ import annotations

import h5py
import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QDialogButtonBox

from microtome.session.reader import SessionFile
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession

WAIT = 30_000


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


def test_a_file_of_a_newer_version_is_looked_at_and_saved_elsewhere(
    qtbot, bench, tmp_path, sample_session
):
    path = save_session(tmp_path / "newer.h5", sample_session)
    with h5py.File(path, "r+") as file:
        file.attrs.modify("format_version", np.bytes_("2.0"))
    before, desk, banner = path.read_bytes(), bench.desk, bench.furnishing.banners["newer_banner"]
    assert not banner.isVisible()
    bench.runner.ask(OpenSession(path))
    qtbot.waitUntil(lambda: desk.workspace.path == path and bench.runner.idle, timeout=WAIT)
    assert banner.isVisible()
    assert banner.text.text().startswith("newer.h5 was made by a newer Microtome (format 2.0)")
    compact = bench.window.actions_table.actions[CommandId.COMPACT_FILE]
    assert "newer Microtome" in compact.toolTip()
    assert not compact.isEnabled()
    seen = []

    def answer(dialog):
        save = dialog.buttons.button(QDialogButtonBox.StandardButton.Save)
        seen.append(dialog.path.text())
        dialog.path.setText(str(path))
        seen.extend([dialog.problem.text(), save.isEnabled()])
        dialog.path.setText(seen[0])
        save.click()

    when_modal(answer)
    trigger(bench, CommandId.SAVE)
    other = tmp_path / "newer-copy.h5"
    qtbot.waitUntil(lambda: desk.workspace.path == other and bench.runner.idle, timeout=WAIT)
    assert seen[0] == str(other)
    assert "can be looked at, not changed" in seen[1]
    assert seen[2] is False
    assert not banner.isVisible()
    enabled(qtbot, bench, CommandId.COMPACT_FILE)
    assert path.read_bytes() == before
    assert not SessionFile(other).read_only


def test_much_waste_is_told_once_after_a_save(qtbot, bench, tmp_path, sample_session):
    path = save_session(tmp_path / "wide.h5", sample_session)
    with h5py.File(path, "r+") as file:  # room before what stays is not given back
        file["pad"] = np.zeros(path.stat().st_size)
        file["after"] = np.zeros(1)
        del file["pad"]
    bench.runner.ask(OpenSession(path))
    desk = bench.desk
    qtbot.waitUntil(lambda: desk.workspace.path == path and bench.runner.idle, timeout=WAIT)
    desk.notices.history.clear()
    for node in sample_session.circuit.node_id[:2]:
        desk.book.mark("Pin", pins=(node,))
        trigger(bench, CommandId.SAVE)
        qtbot.waitUntil(lambda: bench.runner.idle and not desk.workspace.dirty, timeout=WAIT)
    told = [notice.title for notice in desk.notices.history]
    assert told.count("Saved wide.h5") == 2
    assert sum("wide.h5 could be" in title for title in told) == 1
