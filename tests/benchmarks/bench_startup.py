"""From process start to the first frame, and from Run to every panel drawn.

The first frame is measured in fresh processes, beside a bare Qt window with one label, in five
interleaved rounds: wall time from before the process exists until the frame is through, and the
process' own CPU time. Figures to reach: first frame 0.5 s; Run on words-4l to all panels 0.7 s.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median

import pytest
from PySide6.QtCore import QCoreApplication, QEventLoop

from microtome_desktop.commands.command import CommandId

pytestmark = pytest.mark.benchmark
ROUNDS = 5
FIRST_FRAME, ALL_PANELS = 0.5, 0.7

_END = """
def seen():
    wall = time.time() - float(sys.argv[1])
    print(json.dumps([wall, time.process_time(), "torch" in sys.modules]))
    application.quit()
"""
SHELL = f"""
import json, sys, time
from microtome_desktop.application import make_application
from microtome_desktop.views.fonts import text_font
from microtome_desktop.wiring import Opening
application = make_application([])
application.setFont(text_font())
opening = Opening(None, None)
opening.window.painted.disconnect(opening.furnish)
{_END}
opening.window.painted.connect(seen)
opening.window.show()
application.exec()
"""
BARE = f"""
import json, sys, time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel
application = QApplication([])
{_END}
class Label(QLabel):
    def paintEvent(self, event):
        super().paintEvent(event)
        QTimer.singleShot(0, seen)
label = Label("Microtome")
label.resize(1760, 1080)
label.show()
application.exec()
"""


def first_frame(script: str) -> tuple[float, float]:
    """Wall and CPU seconds of a fresh process until its first frame."""
    done = subprocess.run(
        [sys.executable, "-c", script, repr(time.time())],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    wall, cpu, torch = json.loads(done.stdout.splitlines()[-1])
    assert not torch
    return wall, cpu


def test_first_frame():
    ours, bare = [], []
    for _ in range(ROUNDS):
        ours.append(first_frame(SHELL))
        bare.append(first_frame(BARE))
    for name, rows in (("shell", ours), ("bare window", bare)):
        walls, cpus = zip(*rows, strict=True)
        print(f"first frame, {name}: {median(walls):.3f} s wall, {median(cpus):.3f} s CPU")
    assert median(wall for wall, _ in ours) <= FIRST_FRAME * 1.05


def drawn(bench) -> bool:
    """Whether the run is over and every panel has caught up with it."""
    examining = any(request.slot == "examine" for request in bench.runner.under_way)
    return not examining and bench.desk.workspace.session.metric.get("value") is not None


def test_run_to_all_panels_drawn(live_bench):
    walls, cpus = [], []
    for _ in range(ROUNDS):
        before = live_bench.desk.workspace.session
        wall, cpu = time.perf_counter(), time.process_time()
        live_bench.window.actions_table.trigger(CommandId.RUN)
        while live_bench.desk.workspace.session is before or not drawn(live_bench):
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)
        QCoreApplication.processEvents()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    print(f"run to all panels: {median(walls):.3f} s wall, {median(cpus):.3f} s CPU")
    assert median(walls) <= ALL_PANELS * 1.05
