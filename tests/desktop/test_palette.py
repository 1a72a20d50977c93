"""The command palette by keyboard and mouse, and the sheet of shortcuts."""

from __future__ import annotations

import time

import pytest
from acts import to_front
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from microtome_desktop.commands.command import CommandId, Situation
from microtome_desktop.commands.shortcuts import CIRCUIT_KEYS
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.presenters.palette_entries import Entry, RunCommand, Select, found, marked
from microtome_desktop.presenters.setting_rows import SETTINGS
from microtome_desktop.views.finding import everything
from microtome_desktop.views.palette_window import Palette
from microtome_desktop.views.panel_table import PLACES
from microtome_desktop.views.settings_window import SettingsWindow
from microtome_desktop.views.shortcut_sheet import ShortcutSheet, keys_text

LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def opened(qtbot, bench):
    """The palette, opened by its key."""
    to_front(bench.window)
    qtbot.waitUntil(bench.window.isActiveWindow)
    QTest.keyClick(bench.window, Qt.Key.Key_K, CONTROL)
    (palette,) = bench.window.findChildren(Palette)
    qtbot.waitUntil(palette.isVisible)
    qtbot.waitUntil(palette.words.hasFocus)
    yield palette
    palette.hide()


def titles(palette):
    role = Qt.ItemDataRole.UserRole
    return [palette.list.item(row).data(role).title for row in range(palette.list.count())]


def all_lines(bench):
    return everything(Situation(bench.desk), bench.window)


def test_everything_can_be_found(bench):
    lines = all_lines(bench)
    groups = {line.group for line in lines}
    assert groups >= {"File", "Run", "Lesson", "Token", "Head", "Node", "Setting", "Panel"}
    commands = {line.act.name for line in lines if isinstance(line.act, RunCommand)}
    assert commands == {str(row.id) for row in COMMANDS} - {str(CommandId.PALETTE)}
    assert [line.title for line in lines if line.group == "Setting"] == [r.title for r in SETTINGS]
    panels = {line.act.name for line in lines if line.group == "Panel"}
    assert panels == {place.name for place in PLACES} & set(bench.window.cards)
    circuit = bench.desk.workspace.session.circuit
    assert sum(line.group == "Node" for line in lines) == circuit.n_nodes


@pytest.mark.parametrize(
    ("words", "first"),
    [("save as", "Save as"), ("fullscr", "Full screen"), ("opn sesion", "Open session"),
     ("l2h1", "L2H1"), ("mary", "Mary"), ("logit lens", "The logit lens")],
)  # fmt: skip
def test_a_few_letters_find_it(bench, words, first):
    assert found(all_lines(bench), words)[0].title == first


def test_recent_choices_come_first_and_nonsense_finds_nothing(bench):
    lines = all_lines(bench)
    assert found(lines, "", ["Head/L1H2"])[0].title == "L1H2"
    assert all(isinstance(line.act, RunCommand) for line in found(lines, "")[1:])
    assert found(lines, "qqqqzzzzxxxx") == ()


def test_typing_and_enter_runs_a_command(qtbot, bench, opened):
    bench.desk.selection.update(position=2)
    qtbot.keyClicks(opened.words, "clear sel")
    assert titles(opened)[0] == "Clear selection"
    QTest.keyClick(opened.words, Qt.Key.Key_Return)
    assert not opened.isVisible()
    assert bench.desk.selection.current.position is None


def test_a_node_a_head_and_a_token_are_selected(qtbot, bench, opened):
    circuit = bench.desk.workspace.session.circuit
    row = circuit.node_kind.index("head")
    lines = (line for line in all_lines(bench) if isinstance(line.act, Select))
    wanted = next(x for x in lines if dict(x.act.changes).get("node") == circuit.node_id[row])
    opened.words.setText(wanted.title)
    place = titles(opened).index(wanted.title)
    item = opened.list.item(place)
    QTest.mouseClick(opened.list.viewport(), LEFT, pos=opened.list.visualItemRect(item).center())
    assert bench.desk.selection.current.node == circuit.node_id[row]
    assert bench.desk.selection.current.head == circuit.node_head[row]


def test_arrows_walk_the_list_and_escape_closes_it(opened):
    QTest.keyClick(opened.words, Qt.Key.Key_Down)
    QTest.keyClick(opened.words, Qt.Key.Key_Down)
    assert opened.list.currentRow() == 2
    QTest.keyClick(opened.words, Qt.Key.Key_Up)
    QTest.keyClick(opened.words, Qt.Key.Key_PageDown)
    assert opened.list.currentRow() == 11
    QTest.keyClick(opened.words, Qt.Key.Key_Escape)
    assert not opened.isVisible()


def test_a_blocked_command_says_why_and_does_nothing(qtbot, bench, opened):
    qtbot.keyClicks(opened.words, "attach the session")
    entry = opened.list.item(0).data(Qt.ItemDataRole.UserRole)
    assert entry.act == RunCommand(str(CommandId.ATTACH_MODEL))
    assert "attached already" in entry.blocked
    QTest.keyClick(opened.words, Qt.Key.Key_Return)
    assert opened.isVisible()


def test_a_click_elsewhere_closes_it(qtbot, bench, opened):
    handle = bench.window.windowHandle()
    inside = opened.nothing.mapTo(bench.window, QPoint(1, 1))
    QTest.mouseClick(handle, LEFT, pos=inside)  # by way of the window, as a user's click comes
    assert opened.isVisible()
    menus = QPoint(bench.window.width() - 20, 8)  # nobody there takes the keyboard
    QTest.mouseClick(handle, LEFT, pos=menus)
    qtbot.waitUntil(lambda: not opened.isVisible())


def test_the_field_of_the_tool_bar_opens_it(qtbot, bench):
    field = bench.window.findChild(QPushButton, "find_anything")
    QTest.mouseClick(field, LEFT)
    (palette,) = bench.window.findChildren(Palette)
    qtbot.waitUntil(palette.isVisible)
    palette.hide()


def test_two_thousand_lines_are_searched_at_once():
    act = Select(())
    lines = [Entry(f"L{n % 40}H{n % 32} at “word{n}” ({n})", "Node", act) for n in range(2_000)]
    found(lines, "warm up")
    times = []
    for _ in range(5):
        start = time.process_time()
        hits = found(lines, "word1234")
        times.append(time.process_time() - start)
    assert "word1234" in hits[0].title
    assert min(times) < 0.2  # a bound against a slip; the figure is in docs/benchmarks.md


def test_the_sheet_names_every_key_and_follows_changes(bench):
    bench.window.actions_table.trigger(CommandId.SHORTCUTS)
    (sheet,) = bench.window.findChildren(ShortcutSheet)
    wanted = {(row.title.rstrip("…"), keys_text(row.shortcut)) for row in COMMANDS if row.shortcut}
    fixed = {(what, keys_text(keys)) for keys, what in CIRCUIT_KEYS}
    assert wanted | fixed <= set(sheet.lines())
    bench.desk.settings.shortcuts = {"save": "Ctrl+Alt+S"}
    assert ("Save", "Ctrl+Alt+S") in sheet.lines()
    bench.desk.settings.shortcuts = {}
    sheet.close()


def test_a_setting_is_found_and_opened(qtbot, bench, opened):
    qtbot.keyClicks(opened.words, "precision")
    assert titles(opened)[0] == "Precision"
    QTest.keyClick(opened.words, Qt.Key.Key_Return)
    (window,) = bench.window.findChildren(SettingsWindow)
    assert window.choices["dtype"].isVisible()
    window.close()


def test_a_panel_is_found_and_brought_to_the_front(qtbot, bench, opened):
    qtbot.keyClicks(opened.words, "histogram")
    place = titles(opened).index("Histogram")
    item = opened.list.item(place)
    QTest.mouseClick(opened.list.viewport(), LEFT, pos=opened.list.visualItemRect(item).center())
    qtbot.waitUntil(bench.furnishing.panels["histogram"].isVisible)


@pytest.mark.parametrize(
    ("title", "words", "typed"),
    [("Save as", "save", "Save"), ("Full screen", "fuscr", "Fuscr"), ("L2H1", "h1", "H1"),
     ("Zoom in", "", ""), ("Open session", "ses op", "Opses")],
)  # fmt: skip
def test_the_letters_that_were_typed_are_marked(title, words, typed):
    pieces = marked(title, words)
    assert "".join(text for text, _ in pieces) == title
    assert "".join(text for text, hit in pieces if hit).casefold() == typed.casefold()


def test_no_two_commands_share_a_key():
    keys = [row.shortcut for row in COMMANDS if row.shortcut]
    assert len(keys) == len(set(keys))
