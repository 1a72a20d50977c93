"""From panel to panel by the keyboard, and what title bars offer, in the shared window."""

from __future__ import annotations

import pytest
from acts import rest, to_front
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.panel_rows import PANEL_ROWS
from microtome_desktop.commands.table import command

_ID = CommandId


class Keys:
    """Somebody without a mouse."""

    def __init__(self, bench, qtbot):
        self.bench, self.window, self.qtbot = bench, bench.window, qtbot
        bench.window.show_panel("circuit")
        to_front(bench.window)
        bench.furnishing.panels["ask"].prompt.prompt.setFocus()
        rest(bench, qtbot)

    def press(self, wanted):
        QTest.keySequence(QApplication.focusWidget(), QKeySequence(command(wanted).shortcut))
        QApplication.processEvents()

    @property
    def held(self):
        """The panel that has the keyboard."""
        return self.window.maximising.focused()


@pytest.fixture
def keys(bench, qtbot, put_in_place):
    yield Keys(bench, qtbot)
    put_in_place(bench)


def goes_round(keys):
    """All panels on screen come once, from left to right, and then the first one again."""
    start, seen = keys.held, []
    while not seen or seen[-1] != start:
        keys.press(_ID.NEXT_PANEL)
        seen.append(keys.held)
        assert len(seen) == len(set(seen))
    assert {"ask", "token_strip", "circuit", "heatmap", "attention", "feature_space"} <= set(seen)
    left = [keys.window.bodies[name].mapToGlobal(keys.window.bodies[name].rect().topLeft()).x()
            for name in (seen[-1], "circuit", "heatmap")]  # fmt: skip
    assert left == sorted(left)
    return seen


def goes_back(keys):
    seen = goes_round(keys)
    for name in reversed(seen[:-1]):
        keys.press(_ID.PREVIOUS_PANEL)
        assert keys.held == name
    # Where the keyboard was in a panel it is again.
    keys.bench.furnishing.panels["ask"].prompt.answer.setFocus()
    keys.press(_ID.NEXT_PANEL)
    keys.press(_ID.PREVIOUS_PANEL)
    assert QApplication.focusWidget() is keys.bench.furnishing.panels["ask"].prompt.answer


def to_the_heat_map(keys):
    while keys.held != "heatmap":
        keys.press(_ID.NEXT_PANEL)
    return keys.window.docks["heatmap"]


def floats_and_docks(keys):
    dock = to_the_heat_map(keys)
    keys.press(_ID.FLOAT_PANEL)
    assert dock.isFloating()
    keys.qtbot.waitUntil(lambda: keys.held == "heatmap")
    keys.press(_ID.FLOAT_PANEL)
    assert not dock.isFloating()


def hides(keys):
    dock = to_the_heat_map(keys)
    keys.press(_ID.HIDE_PANEL)
    assert not dock.isVisible()


def exports(keys):
    to_the_heat_map(keys)
    keys.press(_ID.EXPORT_PANEL)
    menu = keys.bench.exports.menus["heatmap"]
    assert menu.isVisible()
    QTest.keyClick(menu, Qt.Key.Key_Escape)
    while keys.held != "token_strip":
        keys.press(_ID.PREVIOUS_PANEL)
    keys.press(_ID.EXPORT_PANEL)
    assert keys.bench.exports.menus["token_strip"].isVisible()
    QTest.keyClick(keys.bench.exports.menus["token_strip"], Qt.Key.Key_Escape)


PROMISES = {
    _ID.NEXT_PANEL: goes_round, _ID.PREVIOUS_PANEL: goes_back, _ID.FLOAT_PANEL: floats_and_docks,
    _ID.HIDE_PANEL: hides, _ID.EXPORT_PANEL: exports,
}  # fmt: skip


@pytest.mark.parametrize("wanted", [row.id for row in PANEL_ROWS])
def test_a_command_does_what_it_promises(keys, wanted):
    assert wanted in PROMISES, f"{wanted} has no check: say here what it promises"
    PROMISES[wanted](keys)
