"""The feature graph of the example prompt in the real window: from the click to the drawn graph.

A window is opened as a newcomer's is: words-4l is loaded and its example has run. The button above
the circuit is clicked, and the clock stops when nodes and edges of the graph are painted. In each
of three windows the first click also reads the transcoders; two more find them in memory.
Processor time of all threads is told beside the clock, since other programs may be at work.
"""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, Qt
from PySide6.QtTest import QTest

from microtome_desktop.jobs.examine import show_new
from microtome_desktop.state.made_by import shows_features
from microtome_desktop.state.settings import MemoryStore
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.workbench import Workbench

pytestmark = pytest.mark.benchmark
WINDOWS, AGAIN = 3, 2
PATIENCE = 120
SECONDS = 2.0  # within which a newcomer sees it


def wait(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the window did not come to rest"
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)


def opened():
    window = MainWindow()
    made = Workbench(window, MemoryStore())
    window.resize(1760, 1080)
    window.show()
    made.start()
    wait(lambda: made.desk.library.shelf.checks is not None)
    wait(lambda: made.runner.idle and not made.updating)
    return made


def closed(made):
    assert made.shut_down()
    made.desk.workspace.mark_clean()
    made.window.close()
    made.furnishing.panels.clear()
    made.handlers.forget_panels()
    made.window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def click(made):
    """Seconds by the clock and by the processor until the graph is there."""
    panel, workspace = made.furnishing.panels["circuit"], made.desk.workspace
    button = panel.facts.features
    assert button.isVisible()

    def drawn():
        drawing, edges = panel.canvas.drawing, panel.canvas.edges
        ready = shows_features(workspace.session) and drawing is not None
        return ready and "feature" in drawing.circuit.node_kind and edges.settled

    used, start = time.process_time(), time.perf_counter()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    wait(drawn)
    seconds = time.perf_counter() - start, time.process_time() - used
    wait(lambda: made.runner.idle and not made.updating)
    return seconds


@pytest.mark.timeout(900)
def test_a_newcomer_sees_a_feature_graph(qapp, measuring):
    first, later = [], []
    for _ in range(WINDOWS):
        made = opened()
        example = made.desk.workspace.session
        first.append(click(made))
        for _ in range(AGAIN):
            show_new(made.desk, example)
            wait(lambda made=made: made.runner.idle and not made.updating)
            later.append(click(made))
        closed(made)
    for name, held in (("first click", first), ("later clicks", later)):
        for way, by in enumerate(("", ", processor time")):
            name_of = f"click to drawn graph, {name}{by}"
            measuring.figure(name_of, [each[way] for each in held], "s", most=SECONDS)
