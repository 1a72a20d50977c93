"""Every command of the table, taken by its keys or from its menu, does what it promises.

Those of the menus File, Space, Run and Edits are in files beside this one, by the same rules.
``PROMISES`` has a check for each: it sets the stage, takes the command, and looks at what came.
"""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QInputDialog

import microtome_resources as resources
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.panel_rows import PANEL_ROWS
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.commands.testing_rows import CIRCUIT_ROWS
from microtome_desktop.presenters.circuit_look import PLACING, WEIGHTS
from microtome_desktop.views.provenance_window import ProvenanceWindow

_ID = CommandId
# test_file_commands.py, test_space_and_run.py, test_edit_commands.py, test_feature_commands.py,
# test_seeing_panels.py
ELSEWHERE = ("File", "Space", "Run", "Experiments", "Edits", "Features", "Vision")
WAYS = {row.id for row in (*CIRCUIT_ROWS, *PANEL_ROWS)}  # test_ways.py, test_panel_commands.py


# ---------------------------------------------------------------- editing


def undo(hand):
    hand.desk.book.mark("Pin", pins=tuple(hand.heads(1)))
    hand.do(_ID.UNDO)
    assert hand.marks.pins == ()


def redo(hand):
    undo(hand)
    hand.do(_ID.REDO)
    assert hand.marks.pins == tuple(hand.heads(1))


def swap(hand):
    before = hand.desk.draft.text
    hand.do(_ID.SWAP_PROMPTS)
    after = hand.desk.draft.text
    assert (after.prompt, after.corrupt) == (before.corrupt, before.prompt)
    assert (after.answer, after.wrong) == (before.wrong, before.answer)


def clear_the_selection(hand):
    hand.select()
    hand.do(_ID.CLEAR_SELECTION)
    assert hand.desk.selection.current.node is None


def find_anything(hand):
    hand.take(_ID.PALETTE)
    field = QApplication.focusWidget()
    assert field.objectName() == "palette_words"
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert not field.isVisible()


def copy_a_picture(hand):
    QGuiApplication.clipboard().clear()
    hand.do(_ID.COPY_PICTURE)
    assert QGuiApplication.clipboard().image().size() == hand.window.size()


def what_made_this(hand):
    hand.window.show_panel("circuit")
    hand.do(_ID.WHAT_MADE_THIS)
    (window,) = hand.window.findChildren(ProvenanceWindow)
    told = window.text.toPlainText()
    assert window.windowTitle() == "What made Circuit"
    assert hand.session.model.fingerprint in told
    assert "component-graph" in told
    assert f"microtome {hand.session.versions['microtome']}" in told
    QTest.mouseClick(window.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == told
    window.close()
    hand.window.show_panel("notes")
    hand.panels["notes"].setFocus()
    menu = hand.bench.exports.menus["notes"]
    menu.look()
    assert not menu.tell_made.isEnabled()
    assert menu.tell_made.toolTip() == "This panel shows no figure that a model has made."
    menu = hand.bench.exports.menus["heatmap"]
    menu.look()
    menu.tell_made.trigger()
    hand.until(lambda: "logit-lens" in shown_text(hand))


def shown_text(hand):
    windows = hand.window.findChildren(ProvenanceWindow)
    return windows[-1].text.toPlainText() if windows else ""


def opens(wanted, title):
    def check(hand):
        assert title in hand.dialog(wanted)

    return check


# ---------------------------------------------------------------- the view


def visible(hand):
    bodies = hand.window.bodies.items()
    return {name for name, body in bodies if not body.visibleRegion().isEmpty()}


def maximise(hand):
    before = visible(hand)
    hand.do(_ID.MAXIMISE)
    assert visible(hand) == {"circuit"}
    hand.do(_ID.MAXIMISE)
    assert visible(hand) == before


def save_the_layout(hand):
    hand.patch.setattr(QInputDialog, "getText", lambda *_: ("mine", True))
    hand.do(_ID.SAVE_LAYOUT)
    assert "mine" in hand.desk.settings.layouts
    hand.desk.settings.layouts = {}


def reset_the_layout(hand):
    hand.window.docks["attention"].close()
    hand.window.docks["notes"].setFloating(True)
    hand.do(_ID.RESET_LAYOUT)
    assert hand.window.docks["attention"].isVisible()
    assert not hand.window.docks["notes"].isFloating()


def full_screen(hand):
    hand.take(_ID.FULL_SCREEN)
    hand.until(hand.window.isFullScreen)
    hand.take(_ID.FULL_SCREEN)
    hand.until(lambda: not hand.window.isFullScreen())


# ---------------------------------------------------------------- the circuit


def pin(hand):
    nodes = hand.select(2)
    hand.do(_ID.PIN)
    assert set(hand.marks.pins) == set(nodes)
    hand.do(_ID.PIN)
    assert hand.marks.pins == ()


def rename(hand):
    (node,) = hand.select()
    hand.take(_ID.RENAME)
    hand.name("giver")
    assert hand.marks.names == {node: "giver"}


def note(hand):
    (node,) = hand.select()
    hand.do(_ID.NOTE)
    field = QApplication.focusWidget()
    assert field.objectName() == "note_part"
    QTest.keyClicks(field, "found")
    hand.panels["notes"].flush()
    assert [(held.target, held.text) for held in hand.marks.notes] == [(node, "found")]


def group(hand):
    nodes = hand.select(2)
    hand.take(_ID.GROUP)
    hand.name("movers")
    (held,) = hand.marks.supernodes
    assert (held.name, set(held.nodes)) == ("movers", set(nodes))


def take_apart(hand):
    hand.group()
    hand.do(_ID.UNGROUP)
    assert hand.marks.supernodes == ()


def propose(hand):
    hand.do(_ID.PROPOSE_GROUPS)
    window = hand.window.findChild(QDialog, "group_proposals")
    assert window.list.topLevelItemCount()
    window.close()


def collapse(hand):
    hand.group()
    hand.do(_ID.COLLAPSE)
    assert [held.collapsed for held in hand.marks.supernodes] == [False]


def hide(hand):
    (node,) = hand.select()
    assert node in hand.canvas.drawing.circuit.node_id
    hand.do(_ID.HIDE)
    assert node not in hand.canvas.drawing.circuit.node_id


def show_hidden(hand):
    (node,) = hand.select()
    hand.desk.book.mark("Hide", hidden=(node,))
    hand.rest()
    hand.do(_ID.SHOW_HIDDEN)
    assert node in hand.canvas.drawing.circuit.node_id


def search(hand):
    hand.take(_ID.SEARCH)
    QTest.keyClicks(QApplication.focusWidget(), "head L0")
    hand.rest()
    found = hand.panels["circuit"].finder.found
    assert found
    assert all(node.startswith("L0H") for node in found)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)


def distance(hand):
    """Of the first and the last node on screen."""
    last = hand.canvas.drawing.circuit.n_nodes - 1
    one, other = hand.canvas.place_of(0), hand.canvas.place_of(last)
    return np.hypot(one.x() - other.x(), one.y() - other.y())


def zooms(wanted, grows):
    def check(hand):
        hand.canvas.zoom(2)
        before = distance(hand)
        hand.do(wanted)
        assert (distance(hand) > before) == grows

    return check


def show_all(hand):
    before = distance(hand)
    hand.canvas.zoom(3)
    assert distance(hand) > before
    hand.do(_ID.FIT)
    assert distance(hand) == pytest.approx(before, rel=0.02)


def compact(hand):
    before = [hand.canvas.place_of(row) for row in range(5)]
    hand.do(_ID.COMPACT)
    hand.until(lambda: [hand.canvas.place_of(row) for row in range(5)] != before)
    hand.do(_ID.COMPACT)
    assert PLACING.of(hand.desk.book) == PLACING.first


def weights(hand):
    hand.do(_ID.WEIGHTS)
    assert WEIGHTS.of(hand.desk.book)
    hand.do(_ID.WEIGHTS)
    assert not WEIGHTS.of(hand.desk.book)


def save_the_view(hand):
    hand.take(_ID.SAVE_VIEW)
    hand.name("close up")
    assert [view.name for view in hand.marks.views] == ["close up"]


# ---------------------------------------------------------------- the model, and help


def open_a_folder(hand):
    folder = resources.model_path("induction-exact-tiny")
    hand.patch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    hand.do(_ID.OPEN_MODEL_FOLDER)
    assert hand.desk.workspace.model.n_layers == 2
    assert [str(folder)] == list(hand.desk.settings.recent_models)[:1]


def show_modules(hand):
    hand.do(_ID.SHOW_MODULES)
    assert "modules" in visible(hand)
    assert hand.panels["modules"].tree.topLevelItem(0).text(4) == "871,936"  # its parameters


def attach(hand):
    fingerprint = hand.session.model.fingerprint
    hand.desk.workspace.set_model(None)
    hand.rest()
    hand.do(_ID.ATTACH_MODEL)
    assert not hand.desk.workspace.offline
    assert hand.desk.workspace.model.fingerprint == fingerprint


def check_the_model(hand):
    hand.desk.library.update(checks=None)
    hand.do(_ID.RUN_CHECKS)
    assert hand.desk.library.shelf.checks.passed


def start_page(hand):
    hand.do(_ID.START_PAGE)
    assert "lessons" in visible(hand)
    assert hand.panels["lessons"].starts["name"].isVisible()


def documentation(hand):
    shown = []
    hand.patch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url) or True)
    hand.do(_ID.DOCUMENTATION)
    assert shown[0].toLocalFile().endswith("docs")


PROMISES = {
    _ID.UNDO: undo, _ID.REDO: redo, _ID.WHAT_MADE_THIS: what_made_this,
    _ID.SWAP_PROMPTS: swap, _ID.CLEAR_SELECTION: clear_the_selection,
    _ID.COPY_PICTURE: copy_a_picture, _ID.PALETTE: find_anything,
    _ID.SETTINGS: opens(_ID.SETTINGS, "Settings"), _ID.SAVE_LAYOUT: save_the_layout,
    _ID.RESET_LAYOUT: reset_the_layout, _ID.MAXIMISE: maximise, _ID.FULL_SCREEN: full_screen,
    _ID.PIN: pin, _ID.RENAME: rename, _ID.NOTE: note, _ID.HIDE: hide,
    _ID.SHOW_HIDDEN: show_hidden, _ID.GROUP: group, _ID.UNGROUP: take_apart,
    _ID.COLLAPSE: collapse, _ID.PROPOSE_GROUPS: propose, _ID.SEARCH: search, _ID.FIT: show_all,
    _ID.ZOOM_IN: zooms(_ID.ZOOM_IN, grows=True), _ID.ZOOM_OUT: zooms(_ID.ZOOM_OUT, grows=False),
    _ID.COMPACT: compact, _ID.WEIGHTS: weights, _ID.SAVE_VIEW: save_the_view,
    _ID.OPEN_MODEL_FOLDER: open_a_folder, _ID.OPEN_MODEL_HUB: opens(_ID.OPEN_MODEL_HUB, "hub"),
    _ID.ATTACH_MODEL: attach, _ID.OPEN_ADAPTER: opens(_ID.OPEN_ADAPTER, "Open adapter"),
    _ID.SHOW_MODULES: show_modules, _ID.RUN_CHECKS: check_the_model,
    _ID.SHOW_CHECKS: opens(_ID.SHOW_CHECKS, "Self-checks of words-4l"),
    _ID.SHOW_COVERAGE: opens(_ID.SHOW_COVERAGE, "What can be seen of words-4l"),
    _ID.START_PAGE: start_page, _ID.DOCUMENTATION: documentation,
    _ID.SHORTCUTS: opens(_ID.SHORTCUTS, "Keyboard shortcuts"),
    _ID.MESSAGES: opens(_ID.MESSAGES, "Messages"), _ID.ABOUT: opens(_ID.ABOUT, "About"),
    _ID.COPY_DIAGNOSTICS: opens(_ID.COPY_DIAGNOSTICS, "Diagnostics"),
}  # fmt: skip


@pytest.mark.parametrize(
    "wanted", [row.id for row in COMMANDS if row.menu not in ELSEWHERE and row.id not in WAYS]
)
def test_a_command_does_what_it_promises(hand, wanted):
    assert wanted in PROMISES, f"{wanted} has no check: say here what it promises"
    PROMISES[wanted](hand)
