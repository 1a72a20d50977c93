"""A program with little memory: one run fits, the next does not, and the first is asked again.

Started as a child, with a model folder and a name of a limit; it prints what came as JSON.
"""

from __future__ import annotations

import ctypes
import gc
import json
import resource
import sys
import time
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer

from microtome.prompts import Question
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk

SHORT, LONG = tuple(range(1, 20)), tuple(1 + at % 30 for at in range(1200))


def held():
    """Bytes of data that the process has from the system, what is free given back."""
    ctypes.CDLL(None).malloc_trim(0)
    rows = (row.split() for row in Path("/proc/self/status").read_text().splitlines())
    return 1024 * next(int(row[1]) for row in rows if row[0] == "VmData:")


def wait(runner):
    """Let the program work until nothing is under way."""
    end, ticks = time.monotonic() + 100, QTimer(interval=5)
    ticks.start()
    while not runner.idle and time.monotonic() < end:
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def starve(desk, runner, spare):
    """Ask for the long run with so many bytes to spare; what came, and that all is as before."""
    first, before = desk.workspace.session, held()
    resource.setrlimit(resource.RLIMIT_DATA, (before + spare, resource.RLIM_INFINITY))
    runner.ask(Examine(Question(LONG)))
    wait(runner)
    left, kept = held() - before, desk.workspace.session is first
    (notice,) = desk.notices.history
    desk.notices.history.clear()
    runner.ask(Examine(Question(SHORT)))
    wait(runner)
    again = desk.workspace.session
    same = again is not first and (again.clean.top_logits == first.clean.top_logits).all()
    told = {"title": notice.title, "what": notice.what, "way_out": notice.way_out}
    return {**told, "left": left, "kept": kept, "same": bool(same)}


def main(folder, *spares):
    """Load a model and run it once; then starve it."""
    application = QCoreApplication([])
    desk = Desk()
    runner = JobRunner(desk, application)
    for request in (LoadModel(folder, "cpu"), Examine(Question(SHORT))):
        runner.ask(request)
        wait(runner)
    gc.collect()
    gc.disable()  # what is free from now on is so because nobody holds it
    told = [starve(desk, runner, int(spare)) for spare in spares]
    sys.stdout.write(json.dumps(told))
    runner.shut_down()


if __name__ == "__main__":
    main(*sys.argv[1:])
