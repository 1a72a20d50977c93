"""Notes on the session, tokens and nodes, written and found again."""

from __future__ import annotations

import pytest
from acts import to_front
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from microtome.records.marks import Marks, Note, token_target
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.notes import lines, target_title, with_note


@pytest.fixture
def notes(bench):
    panel = bench.furnishing.panels["notes"]
    bench.window.docks["notes"].show()
    bench.window.docks["notes"].raise_()
    bench.desk.selection.clear()
    bench.runner.turns.finish()
    yield panel
    while bench.desk.book.undo_title:
        bench.desk.book.undo()
    bench.desk.workspace.mark_clean()
    bench.runner.turns.finish()


def write(bench, field, text):
    QTest.keyClicks(field, text)
    field.flush()
    bench.runner.turns.finish()


def test_a_note_on_the_session(bench, notes):
    write(bench, notes.whole, "All of it")
    assert bench.desk.workspace.session.marks.note("") == "All of it"
    assert bench.desk.workspace.dirty
    assert notes.list.item(0).text() == "the session\nAll of it"
    assert bench.desk.book.undo_title == "Note on the session"


def test_a_note_is_kept_after_a_pause_of_typing(bench, notes, qtbot):
    QTest.keyClicks(notes.whole, "slowly")
    qtbot.waitUntil(lambda: bench.desk.book.marks.note("") == "slowly", timeout=5_000)


def test_the_second_field_follows_the_selection(bench, notes):
    circuit = bench.desk.workspace.session.circuit
    bench.desk.selection.update(position=2)
    bench.runner.turns.finish()
    write(bench, notes.part, "a name")
    bench.desk.selection.update(node=circuit.node_id[4])
    bench.runner.turns.finish()
    assert notes.part.toPlainText() == ""
    write(bench, notes.part, "a node")
    marks = bench.desk.book.marks
    assert marks.note(token_target(2)) == "a name"
    assert marks.note(circuit.node_id[4]) == "a node"
    bench.desk.selection.update(node=None)
    bench.runner.turns.finish()
    assert notes.part.toPlainText() == "a name"


def test_what_is_being_typed_belongs_to_where_it_was_typed(bench, notes):
    bench.desk.selection.update(position=2)
    bench.runner.turns.finish()
    QTest.keyClicks(notes.part, "two")
    bench.desk.selection.update(position=3)
    bench.runner.turns.finish()
    assert bench.desk.book.marks.note(token_target(2)) == "two"
    assert bench.desk.book.marks.note(token_target(3)) == ""


def test_a_line_of_the_list_goes_there(bench, notes):
    bench.desk.book.mark("Notes", notes=(Note(token_target(5), "five"), Note("", "all")))
    bench.runner.turns.finish()
    assert [notes.list.item(row).text().splitlines()[1] for row in range(2)] == ["all", "five"]
    rect = notes.list.visualItemRect(notes.list.item(1))
    QTest.mouseClick(notes.list.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
    assert bench.desk.selection.current.position == 5


def test_an_emptied_note_is_gone_and_undo_brings_it_back(bench, notes):
    write(bench, notes.whole, "gone soon")
    notes.whole.setPlainText("")
    notes.whole.flush()
    assert bench.desk.book.marks.notes == ()
    bench.desk.book.undo()
    bench.runner.turns.finish()
    assert notes.whole.toPlainText() == "gone soon"


def test_markup_in_a_note_stays_text(bench, notes):
    bench.desk.book.mark("Note", notes=(Note("", "<b>bold</b><img src='x'>"),))
    bench.runner.turns.finish()
    item = notes.list.item(0)
    assert item.text().endswith("<b>bold</b><img src='x'>")
    assert item.toolTip().endswith("<b>bold</b><img src='x'>")  # test_markup: tips are plain


def test_the_command_leads_to_the_right_field(bench, notes, qtbot):
    to_front(bench.window)
    qtbot.waitUntil(bench.window.isActiveWindow)
    bench.window.actions_table.trigger(CommandId.NOTE)
    assert notes.whole.hasFocus()
    bench.desk.selection.update(position=1)
    bench.runner.turns.finish()
    bench.window.actions_table.trigger(CommandId.NOTE)
    assert notes.part.hasFocus()


def test_what_a_note_is_on_has_a_name(sample_session):
    assert target_title(sample_session, "") == "the session"
    token = sample_session.clean.tokens[2]
    assert target_title(sample_session, "token/2") == f"token “{token.strip()}” (2)"
    assert target_title(sample_session, "token/999") == "token (999)"
    assert target_title(sample_session, "L9H9@9") == "L9H9@9"
    assert lines(None) == ()


def test_one_target_has_one_note():
    marks = Marks(notes=(Note("a", "old", "t"), Note("b", "other", "t")))
    assert with_note(marks, "a", "new", "now") == (Note("b", "other", "t"), Note("a", "new", "now"))
    assert with_note(marks, "a", "  ", "now") == (Note("b", "other", "t"),)


def test_what_is_done_after_typing_is_taken_back_before_the_note(bench, qtbot):
    (node,) = bench.desk.workspace.session.circuit.node_id[3:4]
    bench.desk.selection.update(node=node)
    bench.runner.turns.finish()
    QTest.keyClicks(bench.furnishing.panels["notes"].part, "found")
    bench.window.actions_table.trigger(CommandId.PIN)
    assert bench.desk.book.marks.pins == (node,)
    bench.window.actions_table.trigger(CommandId.UNDO)
    assert bench.desk.book.marks.pins == ()
    assert [held.text for held in bench.desk.book.marks.notes] == ["found"]
