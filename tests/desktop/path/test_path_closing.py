"""A window that is closed while much is under way ends soon, and with a clean exit."""

from __future__ import annotations

import os
import subprocess
import sys

CLOSING = """
import sys
from PySide6.QtCore import QEventLoop, QTimer
from microtome_desktop.application import make_application
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.requests import AblateNode, ExplainAttention, ProjectSite
from microtome_desktop.wiring import Opening
application = make_application([])
opening, waiting = Opening(None, None), QEventLoop()
opening.settled.connect(waiting.quit)
opening.window.show()
waiting.exec()
bench = opening.workbench
circuit = bench.desk.workspace.session.circuit
head = circuit.node_kind.index("head")
for request in (
    AblateNode(circuit.node_id[head]),
    ExplainAttention(
        int(circuit.node_layer[head]), int(circuit.node_head[head]),
        int(circuit.node_position[head]),
    ),
    ProjectSite("resid_post.0"),
    Examine(bench.desk.draft.text.question()),
):
    bench.runner.ask(request)
bench.desk.workspace.mark_clean()
opening.window.close()
ended = opening.close()
print("ended", ended, flush=True)
sys.exit(0 if ended else 3)
"""


def test_a_window_closed_while_requests_are_under_way_ends():
    done = subprocess.run(
        [sys.executable, "-c", CLOSING],
        capture_output=True, text=True, check=False, env=os.environ, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ended True"
    assert "Traceback" not in done.stderr
    assert "QThread" not in done.stderr
