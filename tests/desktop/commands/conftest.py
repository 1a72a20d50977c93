"""Somebody who takes every command in the live window, by its keys or from its menu."""

from __future__ import annotations

from dataclasses import replace

import pytest
from acts import to_front
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QDialogButtonBox

from microtome.records.circuit import HEAD
from microtome.records.marks import Marks, Supernode
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.file_requests import SaveSession
from microtome_desktop.presenters.circuit_look import LOOKS
from microtome_desktop.views.inline_field import InlineField

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton


class Hand:
    """Takes commands in the live window as a user does, and sees what comes."""

    def __init__(self, bench, qtbot, monkeypatch, folder) -> None:
        self.bench, self.desk, self.window = bench, bench.desk, bench.window
        self.qtbot, self.patch, self.folder = qtbot, monkeypatch, folder
        self.panels = bench.furnishing.panels

    def take(self, wanted):
        """By the command's keys; by the mouse in its menu where it has none."""
        action = self.window.actions_table.actions[wanted]
        self.qtbot.waitUntil(action.isEnabled, timeout=WAIT)
        to_front(self.window)
        self.window.setFocus()
        self.qtbot.waitUntil(self.window.isActiveWindow)
        if command(wanted).shortcut:
            QTest.keySequence(self.window, QKeySequence(command(wanted).shortcut))
        else:
            self.click(self.window.actions_table.menus[command(wanted).menu], action)

    def click(self, menu, action):
        menu.popup(self.window.mapToGlobal(QPoint(40, 40)))
        QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())

    def rest(self):
        self.bench.runner.turns.finish()
        idle = lambda: self.bench.runner.idle and not self.bench.updating  # noqa: E731
        self.qtbot.waitUntil(idle, timeout=WAIT)
        self.bench.runner.turns.finish()

    def do(self, wanted):
        self.take(wanted)
        self.rest()

    def until(self, condition):
        self.qtbot.waitUntil(condition, timeout=WAIT)

    def dialog(self, wanted):
        """The title of the dialog that a command opens; it is sent away again."""
        seen, ticking = [], QTimer(interval=10)

        def look():
            shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog)]
            for dialog in (w for w in shown if w.isVisible()):
                seen.append(dialog.windowTitle())
                dialog.reject()
                ticking.stop()

        ticking.timeout.connect(look)
        ticking.start()
        self.take(wanted)
        self.until(lambda: bool(seen))
        return seen[0]

    def name(self, text):
        """Type into the field that asks for a name."""
        (field,) = (f for f in self.window.findChildren(InlineField) if f.isVisible())
        field.selectAll()
        QTest.keyClicks(field, text)
        QTest.keyClick(field, Qt.Key.Key_Return)
        self.rest()

    @property
    def session(self):
        return self.desk.workspace.session

    @property
    def marks(self):
        return self.desk.book.marks

    @property
    def canvas(self):
        return self.panels["circuit"].canvas

    def heads(self, count):
        circuit = self.session.circuit
        rows = [row for row, kind in enumerate(circuit.node_kind) if kind == HEAD]
        rows.sort(key=lambda row: -float(circuit.node_influence[row]))
        return [circuit.node_id[row] for row in rows[:count]]

    def select(self, count=1):
        """Select the heads that matter most."""
        first, *others = self.heads(count)
        self.desk.selection.update(node=first, others=tuple(others))
        self.rest()
        return (first, *others)

    def group(self):
        nodes = self.select(2)
        self.desk.book.mark("Group", supernodes=(Supernode("pair", nodes, collapsed=True),))
        self.rest()

    def give(self, path):
        """Type a path into the dialog that comes, and accept it."""

        def answer():
            dialog = QApplication.activeModalWidget()
            if dialog is None:
                QTimer.singleShot(10, answer)
                return
            dialog.path.setText(str(path))
            dialog.buttons.button(QDialogButtonBox.StandardButton.Save).click()

        QTimer.singleShot(10, answer)

    def file(self):
        """The session in a file, and on screen from there."""
        path = self.folder / "held.h5"
        self.bench.runner.ask(SaveSession(path, self.session, ()))
        self.until(lambda: self.desk.workspace.path == path)
        self.rest()
        return path


@pytest.fixture(scope="module")
def example(live_bench):
    """What the example's run gave, kept aside."""
    held = []
    yield held
    held.clear()


@pytest.fixture
def hand(live, example, put_in_place, qtbot, monkeypatch, tmp_path):
    """The live window, as after its start."""
    made = Hand(live, qtbot, monkeypatch, tmp_path)
    if not example:
        live.runner.ask(Examine(live.desk.draft.text.question()))
        made.rest()
        example.append(made.session)
    live.desk.workspace.show(replace(example[0], marks=Marks()), dirty=False)
    live.desk.book.set_looks("As at first", {each.name: each.first for each in LOOKS},
                             {each.name: None for each in LOOKS})  # fmt: skip
    live.desk.selection.clear()
    put_in_place(live)
    made.rest()
    yield made
    for dialog in live.window.findChildren(QDialog):
        dialog.close()
    live.desk.workspace.mark_clean()
