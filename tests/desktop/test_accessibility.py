"""What a keyboard and a screen reader find: names, roles, ways there, and what is said."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import indexed
import pytest
from acts import rest, to_front
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QTableView,
    QToolButton,
    QWidget,
)
from reachable import controls, everything_wrong, spoken, takes_tab
from shiboken6 import isValid

from microtome.records.coverage import Coverage, Possible
from microtome.records.edges import Edges
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.feature_labels import ToName
from microtome_desktop.state.checked import reports_to_show
from microtome_desktop.views.comparison_window import ComparisonWindow
from microtome_desktop.views.coverage_window import CoverageWindow
from microtome_desktop.views.dialogs import ChecksWindow
from microtome_desktop.views.dictionary_save_dialog import DictionarySaveDialog
from microtome_desktop.views.graph_comparison import ConsensusWindow
from microtome_desktop.views.index_dialog import IndexDialog
from microtome_desktop.views.known_dialog import KnownDialog
from microtome_desktop.views.palette_window import Palette
from microtome_desktop.views.panel_table import PLACES
from microtome_desktop.views.propose_dialog import ProposeDialog
from microtome_desktop.views.transcoders_dialog import TranscodersDialog

KEY = Qt.Key


@pytest.fixture(scope="module")
def furnished(shared_bench):
    """The sample window, every panel made and drawn once."""
    for place in PLACES:
        shared_bench.window.show_panel(place.name)
        QApplication.processEvents()


@pytest.fixture
def window(bench, furnished, qtbot):
    """The window on the sample session with a head selected."""
    circuit = bench.desk.workspace.session.circuit
    row = circuit.node_kind.index("head")
    bench.desk.selection.update(
        node=circuit.node_id[row], layer=int(circuit.node_layer[row]),
        head=int(circuit.node_head[row]), position=3, site="resid_post",
    )  # fmt: skip
    rest(bench, qtbot)
    return bench


def test_whatever_one_acts_on_has_a_name_a_role_and_a_way_there(window):
    assert len(list(controls(window.window))) > 500  # every panel is there
    assert everything_wrong(window.window) == {}


def test_a_nameless_button_and_a_trap_are_found(window):
    """The checks above can fail."""
    panel = window.furnishing.panels["notes"]
    button, table = QToolButton(panel), QTableView(panel)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    wrong = everything_wrong(panel)
    assert len(wrong["unnamed"]) == 2
    assert len(wrong["out_of_reach"]) == len(wrong["traps"]) == 1
    for widget in (button, table):
        widget.setParent(None)
        widget.deleteLater()


DIALOGS = (
    CommandId.SETTINGS, CommandId.SHORTCUTS, CommandId.OPEN_MODEL_HUB,
    CommandId.OPEN_ADAPTER, CommandId.ABOUT, CommandId.COPY_DIAGNOSTICS, CommandId.SAVE_AS,
    CommandId.EXPORT_GRAPH, CommandId.OPEN_DICTIONARY, CommandId.MESSAGES, CommandId.PALETTE,
    CommandId.PROPOSE_GROUPS, CommandId.WHAT_MADE_THIS,
)  # fmt: skip


def test_what_one_acts_on_in_dialogs_too(window, qtbot):
    """Each is closed by Escape alone."""
    wrong = {wanted: wrong_in_dialog(window, qtbot, wanted) for wanted in DIALOGS}
    assert {wanted: found for wanted, found in wrong.items() if found} == {}


def wrong_in_dialog(bench, qtbot, wanted):
    seen, ground = [], bench.window

    def opened():
        shown = (*QApplication.topLevelWidgets(), *ground.findChildren(Palette))
        return [w for w in shown if isinstance(w, QDialog | Palette) and w.isVisible()]

    def look():
        for shown in opened():
            if shown.isWindow() and not shown.isActiveWindow():
                shown.activateWindow()  # else Escape would be the main window's
                continue
            seen.append(everything_wrong(shown))
            held = QApplication.focusWidget()
            inside = held is not None and shown.isAncestorOf(held)
            QTest.keyClick(held if inside else shown, KEY.Key_Escape)

    to_front(ground)
    ground.show_panel("circuit")  # some are about the panel that is worked in
    bench.furnishing.panels["circuit"].canvas.view.setFocus()
    ticks = QTimer(interval=5)
    ticks.timeout.connect(look)
    ticks.start()
    try:
        ground.actions_table.trigger(wanted)
        qtbot.waitUntil(lambda: bool(seen) and not opened())
    finally:
        ticks.stop()
    rest(bench, qtbot)
    return seen[0]


def others(bench, qtbot, folder):
    """Windows that need a model or a second run to be opened by their commands."""
    desk, runner, parent = bench.desk, bench.runner, bench.window
    session, panels = desk.workspace.session, bench.furnishing.panels
    desk.workspace.add_analysis(indexed.index())
    qtbot.waitUntil(lambda: panels["features"].current is not None, timeout=30_000)
    source, context = panels["features"].current, panels["history"].context
    other = replace(session, uuid="another")
    lacks = Possible("pattern", "Attention patterns", "it has no heads")
    seen = Coverage("words-4l", "GPT-2", True, (Possible("logits", "Logits"), lacks), (lacks,))
    yield ComparisonWindow(session, other, context, parent)
    yield ConsensusWindow(context, (session, other, other), parent)
    yield CoverageWindow(seen, parent)
    yield ChecksWindow(reports_to_show(None, session)[0], parent)
    yield KnownDialog(Edges(4, 4), ("input->m0",), desk.settings, parent)
    yield TranscodersDialog(str(folder), runner, lambda _: None, parent)
    yield DictionarySaveDialog(desk, runner, source, parent)
    yield IndexDialog(desk, runner, source, parent)
    yield ProposeDialog(desk, runner, source, ToName(None, (1, 2)), parent)


def test_windows_that_stand_beside_it_too(window, qtbot, tmp_path):
    for made in others(window, qtbot, tmp_path):
        made.show()
        to_front(made)  # else Escape would be the main window's
        assert len(list(controls(made))) >= 1
        assert everything_wrong(made) == {}, type(made).__name__
        QTest.keyClick(made, KEY.Key_Escape)
        rest(window, qtbot)
        if isValid(made):  # some are gone with their closing
            assert not made.isVisible()
            made.deleteLater()


# ---------------------------------------------------------------- order


def walked(form):
    """Where the controls of a form stand, in the order in which Tab goes through them."""
    inside = [w for w in controls(form) if w.isVisible() and takes_tab(w)]
    first = min(
        inside, key=lambda w: (w.mapTo(form, QPoint()).y() // 12, w.mapTo(form, QPoint()).x())
    )
    first.setFocus()
    places, seen = [], set()
    while (now := QApplication.focusWidget()) not in seen and form.isAncestorOf(now):
        seen.add(now)
        places.append(now.mapTo(form, now.rect().center()))
        QTest.keyClick(now, KEY.Key_Tab)
    return places


FORMS = {
    "ask": "PromptPanel", "patching": "SweepControls", "training": "TrainingForm",
    "probes": "ProbeForm", "lesions": "LesionForm", "visualise": "VisualForm",
}  # fmt: skip


def test_tab_goes_through_forms_as_one_reads_them(window):
    """Downward: of two controls one after the other the later never stands far above."""
    to_front(window.window)
    for name, kind in FORMS.items():
        window.window.show_panel(name)
        QApplication.processEvents()
        forms = window.furnishing.panels[name].findChildren(QWidget)
        (form,) = (f for f in forms if type(f).__name__ == kind)
        places = walked(form)
        assert len(places) >= 4, name
        for one, other in pairwise(places):
            beside = abs(one.y() - other.y()) < 14 and other.x() > one.x()
            assert other.y() > one.y() or beside, (name, one, other)


# ---------------------------------------------------------------- keys


def description(widget):
    return QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Description)


def press(widget, *keys):
    widget.setFocus()
    for key in keys:
        QTest.keyClick(widget, key)


def test_tokens_layers_and_heads_are_chosen_by_arrows(window, qtbot):
    panels, chosen = window.furnishing.panels, window.desk.selection
    to_front(window.window)
    window.window.show_panel("circuit")
    chips, canvas = panels["token_strip"].chips, panels["circuit"].canvas
    press(chips, KEY.Key_Home, KEY.Key_Right, KEY.Key_Right)
    assert chosen.current.position == 2
    rest(window, qtbot)
    assert description(chips).startswith(f"position 2: {panels['token_strip'].drawing.tokens[2]}")
    press(chips, KEY.Key_End, KEY.Key_Right)  # there is no further
    assert chosen.current.position == chips.count() - 1
    node = chosen.current.node
    press(canvas.token_axis, KEY.Key_Home)
    assert chosen.current.position == 0
    press(canvas.layer_axis, KEY.Key_Home, KEY.Key_Up)
    rest(window, qtbot)
    assert chosen.current.node == node  # the arrows did not walk in the circuit
    assert chosen.current.layer == 1
    assert description(canvas.layer_axis) == "L1"
    window.window.show_panel("attention")
    heads = panels["attention"].thumbnails
    press(heads, KEY.Key_Home, KEY.Key_Right)
    assert chosen.current.head == 1
    rest(window, qtbot)
    assert description(heads).startswith("Head 1")


def test_the_cells_of_a_map_are_chosen_by_arrows(window, qtbot):
    grid, chosen = window.furnishing.panels["heatmap"].map, window.desk.selection
    window.window.show_panel("heatmap")
    to_front(window.window)
    chosen.update(layer=1, position=3)
    rest(window, qtbot)
    press(grid.plot, KEY.Key_Right, KEY.Key_Right, KEY.Key_Left, KEY.Key_Up)
    rest(window, qtbot)
    assert (chosen.current.layer, chosen.current.position) == (2, 4)
    assert description(grid.plot) == grid.grid.describe(*grid.place)


def test_a_table_that_is_only_read_scrolls_by_keys(window, qtbot):
    table = window.furnishing.panels["ask"].predictions.table
    table.setFixedHeight(60)
    QApplication.processEvents()
    press(table, KEY.Key_Down, *([KEY.Key_Down] * (table.rowCount() - 1)))
    assert table.currentIndex().row() == table.rowCount() - 1
    assert table.verticalScrollBar().value() == table.verticalScrollBar().maximum() > 0
    QTest.keyClick(table, KEY.Key_Tab)
    assert QApplication.focusWidget() is not table


def test_the_overview_and_the_space_turn_by_arrows(window, qtbot):
    canvas = window.furnishing.panels["circuit"].canvas
    window.window.show_panel("circuit")
    to_front(window.window)
    for _ in range(4):
        canvas.zoom(1.5)
    assert canvas.minimap.isVisible()
    before = canvas.frame
    press(canvas.minimap, KEY.Key_Right)
    assert canvas.frame.center().x() > before.center().x()
    assert canvas.frame.size().width() == pytest.approx(before.size().width())
    canvas.fit()


# ---------------------------------------------------------------- what is said


def test_canvases_say_what_they_show_and_what_is_selected(window, qtbot):
    panels, chosen = window.furnishing.panels, window.desk.selection
    circuit, canvas = window.desk.workspace.session.circuit, panels["circuit"].canvas
    row = circuit.node_kind.index("mlp")
    chosen.update(node=circuit.node_id[row])
    rest(window, qtbot)
    told = description(canvas.view)
    assert told.startswith(canvas.tips[0](canvas.drawing.circuit, canvas._node).splitlines()[0])
    assert f"{canvas.drawing.circuit.n_nodes} nodes" in told
    chosen.clear()
    rest(window, qtbot)
    assert description(canvas.view).startswith("no node is selected")
    chosen.update(position=2, prompt=0)
    rest(window, qtbot)
    space = panels["feature_space"].active
    assert "1 ringed" in description(space.view.surface())
    assert spoken(canvas.view) == ("circuit", QAccessible.Role.Graphic)


def test_a_change_is_told_to_who_listens_and_costs_nothing_else(window, qtbot, monkeypatch):
    told = []
    monkeypatch.setattr(QAccessible, "updateAccessibility", told.append)
    chips = window.furnishing.panels["token_strip"].chips
    to_front(window.window)
    press(chips, KEY.Key_Home)
    assert told == []  # nobody listens
    monkeypatch.setattr(QAccessible, "isActive", lambda: True)
    press(chips, KEY.Key_Right)
    rest(window, qtbot)
    assert [event.message() for event in told] == [description(chips)]
    window.desk.selection.update(position=5)
    rest(window, qtbot)
    count = len(told)
    window.desk.selection.update(position=5)
    rest(window, qtbot)
    assert len(told) == count  # nothing new


# ---------------------------------------------------------------- the ring


def test_what_has_the_keyboard_is_framed_unless_it_was_clicked(window):
    ring = lambda: window.furnishing.rings.ring  # noqa: E731
    to_front(window.window)
    window.furnishing.panels["ask"].prompt.prompt.setFocus()
    assert ring() is None  # the field's own border says it
    chips = window.furnishing.panels["token_strip"].chips
    chips.setFocus()
    assert ring().parentWidget() is chips
    assert ring().size() == chips.size()
    edge = chips.grab().toImage().pixelColor(chips.width() // 2, 1).name()
    assert colours.contrast(edge, colours.CARD) >= 3
    window.window.setFocus()
    assert ring() is None
