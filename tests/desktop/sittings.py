"""Somebody at the live window who makes graphs of features, with mouse and keyboard."""

from __future__ import annotations

from acts import to_front
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest

import microtome as mt
import microtome_resources as resources
from microtome.records.feature_edit import FEATURE_EDIT
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import command

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
ID = CommandId
STRONGEST = "2_706_14"


class Sitting:
    """The live window, worked with mouse and keyboard."""

    def __init__(self, qtbot, bench) -> None:
        self.qtbot, self.bench, self.desk = qtbot, bench, bench.desk
        self.panels, self.window = bench.furnishing.panels, bench.window

    def rest(self):
        self.bench.runner.turns.finish()
        ready = lambda: self.bench.runner.idle and not self.bench.updating  # noqa: E731
        self.qtbot.waitUntil(ready, timeout=WAIT)
        self.bench.runner.turns.finish()

    def press(self, wanted):
        to_front(self.window)
        self.window.setFocus()
        self.qtbot.waitUntil(self.window.isActiveWindow, timeout=WAIT)
        QTest.keySequence(self.window, QKeySequence(command(wanted).shortcut))
        self.rest()

    def make(self):
        self.press(ID.FEATURE_GRAPH)
        return self.session

    @property
    def session(self):
        return self.desk.workspace.session

    def click(self, node):
        canvas = self.panels["circuit"].canvas
        place = canvas.place_of(canvas.drawing.circuit.row(node)).toPoint()
        QTest.mouseClick(canvas.view.viewport(), LEFT, pos=place)
        self.rest()

    def result(self, mode):
        def arrived():
            found = self.session.analyses.get(FEATURE_EDIT)
            return found is not None and found.params["mode"] == mode

        self.qtbot.waitUntil(arrived, timeout=WAIT)
        self.rest()
        return self.session.analyses[FEATURE_EDIT]


def at_the_window(qtbot, live):
    """Sits down, and leaves the window as it was."""
    made = Sitting(qtbot, live)
    live.desk.draft.fill(resources_question())
    made.rest()
    yield made
    live.desk.library.update(transcoders=())
    live.window.reset_layout()
    made.rest()


def resources_question():
    example = resources.START_EXAMPLE
    return mt.Question(example.clean, None, example.answer, example.wrong)
