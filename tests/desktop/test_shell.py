"""The shell: every declared panel and command is there, and the layout is remembered."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QToolButton

from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import COMMANDS, MENUS
from microtome_desktop.state.notices import Level, Notice
from microtome_desktop.views.main_window import LAYOUT_VERSION, MainWindow
from microtome_desktop.views.panel_table import PLACES


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_every_declared_panel_is_in_the_window(shared_bench, place):
    panel = shared_bench.furnishing.panels[place.name]
    assert panel.objectName() == place.name
    assert shared_bench.window.bodies[place.name].isAncestorOf(panel)
    assert panel.width() > 60


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.id)
def test_every_command_has_a_menu_entry_and_a_handler(shared_bench, row):
    action = shared_bench.window.actions_table.actions[row.id]
    assert action in shared_bench.window.actions_table.menus[row.menu].actions()
    assert row.id in shared_bench.window.actions_table.handled
    assert action.toolTip()
    assert not action.icon().isNull()


def test_the_table_is_whole():
    assert {row.id for row in COMMANDS} == set(CommandId)
    assert {row.menu for row in COMMANDS} == set(MENUS)
    shortcuts = [row.shortcut for row in COMMANDS if row.shortcut]
    assert len(shortcuts) == len(set(shortcuts))


def test_a_panel_can_be_hidden_shown_and_floated_by_its_buttons(qtbot, bench):
    dock = bench.window.docks["heatmap"]
    qtbot.mouseClick(dock.bar.floating, Qt.MouseButton.LeftButton)
    assert dock.isFloating()
    qtbot.mouseClick(dock.bar.floating, Qt.MouseButton.LeftButton)
    assert not dock.isFloating()
    qtbot.mouseClick(dock.bar.close_button, Qt.MouseButton.LeftButton)
    assert not dock.isVisible()
    assert dock.toggleViewAction() in bench.window.actions_table.menus["View"].actions()
    dock.toggleViewAction().trigger()
    assert dock.isVisible()


def test_reset_layout_brings_everything_back(bench):
    for dock in bench.window.docks.values():
        dock.close()
    bench.window.docks["ask"].setFloating(True)
    bench.window.actions_table.actions[CommandId.RESET_LAYOUT].trigger()
    assert all(not dock.isHidden() for dock in bench.window.docks.values())
    assert not any(dock.isFloating() for dock in bench.window.docks.values())


def test_the_layout_is_remembered(qtbot):
    first, second = MainWindow(), MainWindow()
    for window in (first, second):
        qtbot.addWidget(window)
    first.docks["attention"].hide()
    first.resize(1500, 900)
    assert second.restore_layout(*first.layout_bytes())
    assert second.docks["attention"].isHidden()
    assert not second.docks["heatmap"].isHidden()
    assert second.width() == 1500


@pytest.mark.parametrize("state", [None, QByteArray(b"nonsense"), "older"])
def test_a_layout_that_does_not_fit_gives_the_first_places(qtbot, state):
    window = MainWindow()
    qtbot.addWidget(window)
    if state == "older":
        window.docks["attention"].hide()
        state = window.saveState(LAYOUT_VERSION - 1)
    assert not window.restore_layout(None, state)
    assert not window.docks["attention"].isHidden()


def test_the_layout_goes_to_the_settings_on_closing(empty_bench):
    empty_bench.shut_down()
    store = empty_bench.desk.settings
    assert isinstance(store.layout("geometry"), QByteArray)
    assert isinstance(store.layout("state"), QByteArray)


def test_an_error_shows_a_toast_whose_details_can_be_copied(qtbot, bench):
    bench.desk.notices.post(
        Notice(Level.ERROR, "Loading failed", "No such folder.", "Choose another.", "Traceback…")
    )
    toast = bench.toasts.shown[-1]
    assert toast.isVisible()
    assert toast.geometry().right() <= bench.window.width()
    assert all(
        each.height() < 2 * each.fontMetrics().height() for each in toast.findChildren(QLabel)
    )
    qtbot.mouseClick(toast.show_details, Qt.MouseButton.LeftButton)
    assert toast.details.isVisible()
    qtbot.mouseClick(toast.copy, Qt.MouseButton.LeftButton)
    text = QGuiApplication.clipboard().text()
    assert all(part in text for part in ("Loading failed", "No such folder.", "Traceback…"))
    close = toast.findChild(QToolButton, "tiny")
    qtbot.mouseClick(close, Qt.MouseButton.LeftButton)
    assert bench.toasts.shown == []


def test_a_toast_is_as_high_as_its_text(bench):
    long = "A sentence that goes on for longer than one line of the card has room for. " * 3
    bench.desk.notices.post(Notice(Level.ERROR, "Loading failed", long, "Choose another.", "…"))
    toast = bench.toasts.shown[-1]
    (label,) = [each for each in toast.findChildren(QLabel) if each.text().startswith(long)]
    assert label.height() <= label.heightForWidth(label.width()) + 4


def test_at_most_four_toasts_are_shown_and_none_is_lost(bench):
    for number in range(6):
        bench.desk.notices.warn(f"Warning {number}")
    assert [toast.notice.title[-1] for toast in bench.toasts.shown] == ["2", "3", "4", "5"]
    assert len(bench.desk.notices.history) == 6


def test_the_title_names_the_session_and_marks_changes(qtbot, bench, tmp_path):
    bench.desk.workspace.saved(tmp_path / "mary.h5")
    qtbot.waitUntil(lambda: "mary.h5" in bench.window.windowTitle())
    assert not bench.window.isWindowModified()
    bench.desk.workspace.mark_dirty()
    qtbot.waitUntil(bench.window.isWindowModified)


def test_an_uncaught_error_is_told(bench):
    bench.report(ZeroDivisionError("no"))
    assert bench.desk.notices.history[-1].what == "ZeroDivisionError: no"
    assert bench.toasts.shown


def test_the_status_bar_says_what_the_answer_is(bench, sample_session):
    assert "logit(Mary)" in bench.status.state.text()
    assert "6.2" in bench.status.state.text()
