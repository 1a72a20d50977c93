"""From process start to the first frame, and from there to the example on every panel."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest
from PySide6.QtCore import Qt

from microtome.cli import main
from microtome_desktop.wiring import Opening

HEAVY = {"numpy", "torch", "transformers", "pyqtgraph", "vispy", "h5py", "scipy", "psygnal"}
FIRST_FRAME = """
import json, sys
from microtome_desktop.application import make_application
from microtome_desktop.wiring import Opening
application = make_application([])
opening = Opening(None, None)
opening.window.painted.disconnect(opening.furnish)
opening.window.painted.connect(application.quit)
opening.window.show()
application.exec()
print(json.dumps([name.partition(".")[0] for name in sys.modules]))
"""
REVIEW = """
import json, sys
from pathlib import Path
from PySide6.QtCore import QTimer
from microtome_desktop import wiring
opening = []
made = wiring.Opening.__init__
def keep(self, *given):
    made(self, *given)
    opening.append(self)
    self.settled.connect(self.window.close)
wiring.Opening.__init__ = keep
status = wiring.open_window(Path(sys.argv[1]))
desk = opening[0].workbench.desk
modules = [name.partition(".")[0] for name in sys.modules]
print(json.dumps([status, desk.workspace.offline, len(desk.workspace.session.traces), modules]))
"""


QUIT_AFTER = """
import json, sys
from microtome.cli import main
print(json.dumps(main([*sys.argv[1:], "--quit-after", "0.5"])))
"""


def fresh(script, *arguments):
    """Run a script in a process of its own; the last line of its output as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_first_frame_waits_for_no_library():
    loaded = set(fresh(FIRST_FRAME))
    assert "PySide6" in loaded
    assert not loaded & HEAVY


def test_reviewing_and_closing_in_a_fresh_process(tmp_path, sample_session, settings_folder):
    from microtome.session.writer import save_session

    path = save_session(tmp_path / "review.h5", sample_session)
    status, offline, traces, modules = fresh(REVIEW, str(path))
    assert (status, offline, traces) == (0, True, 2)
    assert "pyqtgraph" in modules
    assert not {"torch", "transformers"} & set(modules)
    assert (settings_folder / "microtome.ini").is_file()
    (log,) = settings_folder.rglob("microtome.log")
    told = log.read_text("utf-8")
    for event in ("Started as process", "Session opened: review.h5", "Ended in order"):
        assert event in told
    assert str(tmp_path) not in told
    assert list(log.parent.glob("running-*")) == []


def test_a_window_that_is_told_when_closes_by_itself(tmp_path, sample_session, settings_folder):
    from microtome.session.writer import save_session

    path = save_session(tmp_path / "review.h5", sample_session)
    assert fresh(QUIT_AFTER, str(path)) == 0
    (log,) = settings_folder.rglob("microtome.log")
    assert log.read_text("utf-8").splitlines()[-1].endswith("Ended in order")


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "1e9"])
def test_a_time_that_is_none_is_refused(seconds, capsys):
    assert main(["--quit-after", seconds]) == 2
    said = capsys.readouterr().err
    assert f"{seconds!r} is no number of seconds below 86,400" in said
    assert said.count("\n") == 1


def test_the_window_furnishes_itself_after_its_first_frame(qtbot, monkeypatch):
    from microtome_desktop.views.workbench import Workbench

    started = []
    monkeypatch.setattr(Workbench, "start", lambda self, path: started.append(path))
    opening = Opening(None, None)
    assert opening.workbench is None
    opening.window.show()
    qtbot.waitUntil(lambda: opening.workbench is not None, timeout=20_000)
    assert started == [None]
    assert opening.close()
    opening.window.deleteLater()


def test_the_example_is_on_screen_without_anybody_asking(qtbot, monkeypatch):
    monkeypatch.setattr("microtome_desktop.jobs.worker.step_back", lambda niceness: None)
    opening = Opening(None, None)
    opening.window.show()
    qtbot.waitUntil(lambda: opening.workbench is not None, timeout=20_000)
    bench = opening.workbench
    try:
        with qtbot.waitSignal(opening.settled, timeout=100_000):
            pass
        desk, panels = bench.desk, bench.furnishing.panels
        session = desk.workspace.session
        assert session.clean.top_tokens[-1][0].strip() == "Mary"
        assert {"logit-lens", "direct-attribution", "head-scores"} <= set(session.analyses)
        assert desk.selection.current.node in session.circuit.node_id
        assert session.checks.passed
        assert panels["ask"].predictions.table.item(0, 0).text().strip("␣") == "Mary"
        assert len(panels["token_strip"].drawing.tokens) == 15
        assert desk.notices.history == []
        assert not desk.workspace.dirty
    finally:
        opening.close()
        bench.furnishing.panels.clear()
        bench.handlers.focus_prompt = None
        opening.window.close()
        opening.window.deleteLater()


def test_a_late_panel_is_made_when_its_tab_is_clicked_as_the_session_has_it(
    qtbot, tmp_path, sample_session
):
    from microtome.session.writer import save_session

    kept = {"page": 1}
    session = dataclasses.replace(sample_session, view={"superposition": kept})
    opening = Opening(save_session(tmp_path / "late.h5", session), None)
    opening.window.show()
    with qtbot.waitSignal(opening.settled, timeout=100_000):
        pass
    bench, tabs = opening.workbench, opening.window.centre.tabs
    panels = bench.furnishing.panels
    try:
        assert not {"training", "superposition"} & set(panels)
        assert bench.handlers.panel_views()["superposition"] == kept
        place = [tabs.tabText(number) for number in range(tabs.count())].index("Superposition")
        left = Qt.MouseButton.LeftButton
        qtbot.mouseClick(tabs, left, pos=tabs.tabRect(place).center())
        qtbot.waitUntil(lambda: "superposition" in panels and panels["superposition"].isVisible())
        assert panels["superposition"].pages.currentIndex() == 1
        assert bench.handlers.panel_views()["superposition"]["page"] == 1
        assert "training" not in panels
    finally:
        opening.close()
        bench.desk.workspace.mark_clean()
        opening.window.close()
        panels.clear()
        bench.handlers.forget_panels()
        opening.window.deleteLater()
