"""The settings window, and keys of the user's own."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest

from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.shortcuts import (
    all_keys,
    change,
    keys_of,
    not_for_commands,
    reset,
    taken_by,
)
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.presenters.setting_rows import PAGES, SETTINGS, value_text
from microtome_desktop.state.settings import MemoryStore, Settings
from microtome_desktop.views.settings_window import SettingsWindow


@pytest.fixture
def opened(bench, qtbot):
    bench.window.actions_table.trigger(CommandId.SETTINGS)
    (window,) = bench.window.findChildren(SettingsWindow)
    qtbot.waitExposed(window)
    yield window
    window.close()
    bench.desk.settings.shortcuts = {}


def pick(box, text):
    """Choose a line as a user does."""
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())


def test_a_second_call_brings_the_same_window(bench, opened):
    bench.window.actions_table.trigger(CommandId.SETTINGS)
    assert bench.window.findChildren(SettingsWindow) == [opened]


def test_every_page_shows_its_rows(opened):
    for number, page in enumerate(PAGES):
        opened.pages.setCurrentRow(number)
        names = [row.name for row in SETTINGS if row.page == page and row.name in opened.choices]
        assert all(opened.choices[name].isVisible() for name in names)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("dtype", "bfloat16", "bfloat16"),
        ("threads", "1", 1),
        ("zoom", "125 %", 125),
        ("activations", "2.0 GiB", 2048),
        ("points", "1,000", 1000),
        ("edges", "8", 8),
        ("autosave", "never", 0),
    ],
)
def test_a_choice_counts_at_once_and_is_kept(bench, opened, monkeypatch, name, text, value):
    again = []
    monkeypatch.setattr(bench.runner, "ask", again.append)
    before = getattr(bench.desk.settings, name)
    pick(opened.choices[name], text)
    assert getattr(bench.desk.settings, name) == value
    assert value_text(bench.desk.settings, name) == text
    loads = [request for request in again if isinstance(request, LoadModel)]
    assert bool(loads) == (name in {"dtype", "threads"})  # what models need loads them again
    setattr(bench.desk.settings, name, before)
    assert opened.choices[name].currentData() == before  # follows what changed elsewhere


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_setting_survives_a_restart(tmp_path, row):
    from PySide6.QtCore import QSettings

    values = {"device": "cuda", "dtype": "bfloat16", "threads": 3, "zoom": 150,
              "activations": 256, "points": 8000, "edges": 64, "autosave": 30,
              "shortcuts": {"save": "Ctrl+Alt+5"}}  # fmt: skip
    if row.name not in values:
        pytest.skip("has a test of its own")
    path = str(tmp_path / "s.ini")
    store = QSettings(path, QSettings.Format.IniFormat)
    setattr(Settings(store), row.name, values[row.name])
    store.sync()
    again = Settings(QSettings(path, QSettings.Format.IniFormat))
    assert getattr(again, row.name) == values[row.name]


@pytest.mark.parametrize("junk", ["", "x", "-3", "[1]", "null"])
def test_a_file_that_somebody_edited_gives_what_it_is_at_first(junk):
    store = MemoryStore()
    for key in ("window/zoom", "model/threads", "keys/shortcuts", "budgets/activations",
                "budgets/points", "budgets/edges", "files/autosave"):  # fmt: skip
        store.setValue(key, junk)
    settings = Settings(store)
    assert (settings.activations, settings.points) == (1024, 4000)
    assert (settings.edges, settings.autosave) == (32, 2)
    assert (settings.zoom, settings.threads, settings.shortcuts) == (100, 0, {})


# ---------------------------------------------------------------- keys


def test_keys_change_and_go_back():
    settings = Settings(MemoryStore())
    change(settings, CommandId.SAVE, "Ctrl+Alt+5")
    assert keys_of(settings, CommandId.SAVE) == "Ctrl+Alt+5"
    assert settings.shortcuts == {"save": "Ctrl+Alt+5"}
    reset(settings, CommandId.SAVE)
    assert settings.shortcuts == {}


def test_keys_belong_to_one_command():
    settings = Settings(MemoryStore())
    assert taken_by(settings, "Ctrl+O", CommandId.SAVE).id is CommandId.OPEN_SESSION
    change(settings, CommandId.SAVE, "Ctrl+O")
    assert keys_of(settings, CommandId.OPEN_SESSION) == ""
    held = [keys for keys in all_keys(settings).values() if keys]
    assert len(held) == len(set(held))


@pytest.mark.parametrize("keys", ["F", "Up", "Shift+A", "Ctrl+C", "Return", "Space"])
def test_some_keys_are_no_command_s(keys):
    assert not_for_commands(keys).endswith(".")


def test_no_command_comes_with_such_keys():
    for row in COMMANDS:
        allowed = row.shortcut in {"", "Esc"} or not not_for_commands(row.shortcut)
        assert allowed, row.id


def choose(page, title):
    item = next(i for i in page._items() if i.text(0) == title)
    page.list.setCurrentItem(item)
    return item


def press(page, keys):
    page.keys.setKeySequence(QKeySequence(keys))
    page.keys.editingFinished.emit()


def test_new_keys_act_and_are_shown_everywhere(qtbot, bench, opened):
    page = opened.shortcuts
    opened.go_to("shortcuts")
    item = choose(page, "Full screen")
    press(page, "Ctrl+Alt+Shift+F")
    action = bench.window.actions_table.actions[CommandId.FULL_SCREEN]
    assert action.shortcut() == QKeySequence("Ctrl+Alt+Shift+F")
    assert "Ctrl+Alt+Shift+F" in action.toolTip()
    assert item.text(2) == "Ctrl+Alt+Shift+F"
    QTest.mouseClick(page.reset, Qt.MouseButton.LeftButton)
    assert action.shortcut() == QKeySequence("F11")


def test_taken_keys_name_their_owner_and_can_be_taken_over(bench, opened):
    page = opened.shortcuts
    opened.go_to("shortcuts")
    choose(page, "Full screen")
    press(page, "Ctrl+S")
    assert "Save" in page.problem.text()
    assert keys_of(bench.desk.settings, CommandId.SAVE) == "Ctrl+S"
    QTest.mouseClick(page.take, Qt.MouseButton.LeftButton)
    assert keys_of(bench.desk.settings, CommandId.FULL_SCREEN) == "Ctrl+S"
    assert keys_of(bench.desk.settings, CommandId.SAVE) == ""
    QTest.mouseClick(page.reset_all, Qt.MouseButton.LeftButton)
    assert keys_of(bench.desk.settings, CommandId.SAVE) == "Ctrl+S"


def test_keys_that_type_are_refused(bench, opened):
    page = opened.shortcuts
    opened.go_to("shortcuts")
    choose(page, "Full screen")
    press(page, "A")
    assert "types a character" in page.problem.text()
    assert keys_of(bench.desk.settings, CommandId.FULL_SCREEN) == "F11"


def test_the_list_filters(opened):
    page = opened.shortcuts
    page.filter.setText("hidden")
    assert [i.text(0) for i in page._items() if not i.isHidden()] == ["Show what is hidden"]
