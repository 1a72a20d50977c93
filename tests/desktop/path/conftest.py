"""A researcher at the real window: the real engine behind it, mouse and keyboard before it."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from acts import to_front
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QFileDialog

from microtome.records.circuit import HEAD
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.views.typing_fields import AnswerField
from microtome_desktop.wiring import Opening

LEFT, CONTROL = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier


def contents(bench):
    """What stands in every panel, as plain JSON; run in this process and in a fresh one."""
    panels, session = bench.furnishing.panels, bench.desk.workspace.session
    ask, card, canvas = panels["ask"], panels["node_card"], panels["circuit"].canvas
    table, circuit = ask.predictions.table, session.circuit

    def numbers(values):
        return np.nan_to_num(np.asarray(values, dtype=float)).tolist()

    def grid(name):
        drawn = panels[name].map.grid
        return [drawn.rows, drawn.columns, drawn.title, numbers(drawn.values)]

    columns = ("score", "influence", "bias", "layer", "position", "head")
    of_edges = ("source", "target", "kind", "weight", "influence")
    return {
        "question": [ask.prompt.prompt.toPlainText(), ask.prompt.corrupt.toPlainText(),
                     ask.prompt.answer.text(), ask.prompt.wrong.text()],
        "predictions": [[table.item(row, column).text() for column in range(3)]
                        for row in range(table.rowCount())],
        "tokens": [panels["token_strip"].drawing.tokens,
                   numbers(panels["token_strip"].drawing.values)],
        "nodes": [circuit.node_id, circuit.node_label, circuit.node_kind,
                  *(numbers(getattr(circuit, f"node_{name}")) for name in columns)],
        "edges": [numbers(getattr(circuit, f"edge_{name}")) for name in of_edges],
        "drawn": [canvas.drawing.circuit.node_id, canvas.drawing.n_edges],
        "heatmap": grid("heatmap"),
        "attention": grid("attention"),
        "neurons": grid("neurons"),
        "histogram": panels["histogram"].caption.text(),
        "space": [panels["feature_space"].drawing.points.shape,
                  panels["feature_space"].legend.text(), panels["feature_space"].drawing.caption],
        "card": [card.heading.text(), card.description.text(), card.stats.value("score"),
                 card.node_check.bars.accessibleName(), card.parts.tabText(0)],
    }  # fmt: skip


REVIEW = """
import json, sys
from pathlib import Path
import numpy as np
from PySide6.QtCore import QEventLoop
from microtome_desktop.application import make_application
from microtome_desktop.views.typing_fields import AnswerField
from microtome_desktop.wiring import Opening
application = make_application([])
opening, waiting = Opening(Path(sys.argv[1]), None), QEventLoop()
opening.settled.connect(waiting.quit)
opening.window.show()
waiting.exec()
bench = opening.workbench
panels, actions = bench.furnishing.panels, bench.window.actions_table.actions
told = {str(name): actions[name].toolTip() for name in actions if not actions[name].isEnabled()}
banner = bench.furnishing.banners["offline_banner"]
found = {
    "contents": contents(bench),
    "offline": bench.desk.workspace.offline,
    "banner": banner.text.text() if banner.isVisible() else "",
    "disabled": told,
    "run": [panels["ask"].prompt.run.isEnabled(), panels["ask"].prompt.run.toolTip()],
    "ablate": [panels["node_card"].node_check.button.isEnabled(),
               panels["node_card"].reason.text()],
    "project": [panels["feature_space"].compute.isEnabled(),
                panels["feature_space"].compute.toolTip()],
    "values_only": [panels["circuit"].facts.values_only.isEnabled(),
                    panels["circuit"].facts.values_only.toolTip()],
    "told": [notice.as_text for notice in bench.desk.notices.history],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}
opening.close()
opening.window.close()
print(json.dumps(found))
"""


def reviewed(path):
    """What a colleague sees who opens the file in a process of their own."""
    script = f"{inspect.getsource(contents)}\n{REVIEW}"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def until(condition, what, seconds=30):
    """Let the window work until something has come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited too long: {what}"
        QTest.qWait(5)


class User:
    """Types, presses and clicks as a researcher does, and waits for what follows."""

    def __init__(self, bench) -> None:
        self.bench, self.desk, self.window = bench, bench.desk, bench.window
        self.panels = bench.furnishing.panels
        self.ask = self.panels["ask"].prompt

    # keyboard

    def type(self, field, text):
        """Replace what stands in a field."""
        QTest.mouseClick(field.viewport() if hasattr(field, "viewport") else field, LEFT)
        QTest.keyClick(field, Qt.Key.Key_A, CONTROL)
        QTest.keyClick(field, Qt.Key.Key_Delete)
        QTest.keyClicks(field, text)
        if isinstance(field, AnswerField):
            field.completer().popup().hide()

    def type_question(self, prompt, corrupt="", answer="", wrong=""):
        self.type(self.ask.prompt, prompt)
        self.type(self.ask.corrupt, corrupt)
        self.type(self.ask.answer, answer)
        self.type(self.ask.wrong, wrong)

    def press(self, key, modifiers=CONTROL):
        """A shortcut of the window."""
        self.come_forward()
        QTest.keyClick(self.window, key, modifiers)

    def come_forward(self):
        """Without a window manager nobody else gives a window the keyboard."""
        to_front(self.window)
        until(self.window.isActiveWindow, f"no keyboard but {QApplication.topLevelWindows()}")

    def run(self):
        self.press(Qt.Key.Key_Return)
        self.rest()

    # mouse

    def click(self, widget):
        QTest.mouseClick(widget, LEFT, pos=widget.rect().center())
        self.bench.runner.turns.finish()

    def click_node(self, row):
        canvas = self.panels["circuit"].canvas
        viewport = canvas.view.viewport()
        QTest.mouseClick(viewport, LEFT, pos=canvas.place_of(row).toPoint())
        self.bench.runner.turns.finish()

    def nodes(self, kind):
        """Rows of the drawn circuit that have this kind, most influential first."""
        held = self.drawn
        rows = [row for row, each in enumerate(held.node_kind) if each == kind]
        return sorted(rows, key=lambda row: -float(held.node_influence[row]))

    # what there is

    @property
    def session(self):
        return self.desk.workspace.session

    @property
    def drawn(self):
        return self.panels["circuit"].canvas.drawing.circuit

    @property
    def running(self):
        return any(isinstance(request, Examine) for request in self.bench.runner.under_way)

    def rest(self):
        """Wait until nothing is under way, not even the drawing."""
        until(lambda: self.bench.runner.idle and not self.bench.updating, "the work to end")
        canvas = self.panels["circuit"].canvas

        def fits():
            layout = canvas.drawing.layout
            return (layout.width, layout.height) == canvas.room

        if self.session is not None and self.session.circuit is not None:
            until(fits, "the circuit to fill its place")

    def contents(self):
        """What stands in every panel, as it would come out of another process."""
        self.bench.runner.turns.finish()
        return json.loads(json.dumps(contents(self.bench)))

    def until(self, condition, what):
        until(condition, what)

    def told(self):
        return [notice.as_text for notice in self.desk.notices.history]

    # files

    def save_as(self, path):
        """Save by shortcut, and give the path in the dialog."""

        def fill():
            dialog = QApplication.activeModalWidget()
            if dialog is None:
                QTimer.singleShot(10, fill)
                return
            self.type(dialog.path, str(path))
            save = dialog.buttons.button(QDialogButtonBox.StandardButton.Save)
            self.click(save)

        QTimer.singleShot(10, fill)
        self.press(Qt.Key.Key_S)
        until(path.is_file, "the file")
        self.rest()

    def reviewed_elsewhere(self, path):
        """What a colleague sees who opens the file in a process of their own."""
        return reviewed(path)

    def open(self, path, monkeypatch):
        """Open a session by shortcut; the system's dialog answers with the path."""
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
        self.press(Qt.Key.Key_O)
        until(lambda: self.desk.workspace.path == path, "the session")
        self.rest()

    def choose_folder(self, folder, monkeypatch):
        """The system's dialog for a folder answers with this one."""
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))


@pytest.fixture(scope="module")
def opened(qapp):
    """The window as it starts, with its example run and its model checked."""
    with pytest.MonkeyPatch.context() as patch:
        # A model thread that steps back starves while other tests take every core.
        patch.setattr("microtome_desktop.jobs.worker.step_back", lambda niceness: None)
        opening, settled = Opening(None, None), []
        opening.settled.connect(lambda: settled.append(True))
        opening.window.show()
        until(lambda: settled, "the example", 100)
        bench = opening.workbench
        for name in bench.furnishing.panels.names:  # a late one would come within a test
            assert bench.furnishing.panels[name].isWidgetType()
        ask = bench.furnishing.panels["ask"].prompt
        for field in (ask.answer, ask.wrong):
            field.completer().popup()  # made when first asked for, and kept with the window
        yield bench
        bench.desk.workspace.mark_clean()
        assert opening.close()
        opening.window.close()
        bench.furnishing.panels.clear()
        bench.handlers.focus_prompt = None
        opening.window.deleteLater()


@pytest.fixture
def user(opened):
    """Somebody at that window, who has not been told anything yet."""
    for toast in list(opened.toasts.shown):
        toast.close()
    opened.desk.notices.history.clear()
    made = User(opened)
    made.come_forward()
    made.rest()
    return made


@pytest.fixture
def at_head(user):
    """The user, with the most influential head of the last run selected by a click."""
    user.click_node(user.nodes(HEAD)[0])
    return user
