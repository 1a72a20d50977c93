"""Edits of the model are marks: each change is one step that can be taken back."""

from dataclasses import replace

import pytest

from microtome.records.edits import DirectionSpec, EditSpec
from microtome_desktop.state.book import EDITS, Book
from microtome_desktop.state.workspace import Workspace

CUT = EditSpec("z.1.2", "zero")
SWAP = EditSpec("resid_pre.1", "patch", (3,), prompts=("Mary went",))
PUSH = EditSpec("resid_post.0", "add", direction=DirectionSpec("unembedding", token=3))


@pytest.fixture
def book(sample_session):
    workspace = Workspace()
    workspace.show(replace(sample_session, uuid="one"))
    return Book(workspace)


@pytest.fixture
def filled(book):
    for spec in (CUT, SWAP, PUSH):
        book.add_edit(spec)
    return book


def test_edits_are_added_removed_moved_and_switched_each_as_one_step(filled):
    filled.move_edit(2, 0)
    filled.switch_edit(1, on=False)
    filled.remove_edit(2)
    assert filled.marks.edits == (PUSH, replace(CUT, on=False))
    for _ in range(3):
        filled.undo()
    assert filled.marks.edits == (CUT, SWAP, PUSH)
    for _ in range(3):
        filled.redo()
    assert filled.marks.edits == (PUSH, replace(CUT, on=False))


def test_a_drag_of_the_strength_is_one_step_and_the_next_drag_another(filled):
    for strength in (1.5, 2.0, 4.0):
        filled.set_strength(2, strength)
    filled.settle()
    filled.set_strength(2, 5.0)
    strengths = []
    for _ in range(2):
        filled.undo()
        strengths.append(filled.marks.edits[2].strength)
    assert strengths == [4.0, 1.0]
    assert filled.undo_title == "Add the edit of resid_post.0"


def test_strengths_of_two_edits_are_two_steps(filled):
    filled.add_edit(replace(PUSH, site="resid_post.1"))
    filled.set_strength(2, 3.0)
    filled.set_strength(3, 4.0)
    filled.undo()
    assert [spec.strength for spec in filled.marks.edits[2:]] == [3.0, 1.0]


def test_a_set_is_saved_loaded_replaced_and_deleted(filled):
    filled.save_edit_set("all three")
    filled.clear_edits()
    filled.load_edit_set("all three")
    assert filled.marks.edits == (CUT, SWAP, PUSH)
    filled.remove_edit(0)
    filled.save_edit_set("all three")
    assert [held.edits for held in filled.marks.edit_sets] == [(SWAP, PUSH)]
    filled.delete_edit_set("all three")
    assert filled.marks.edit_sets == ()
    filled.undo()
    filled.load_edit_set("no such set")
    assert filled.marks.edits == (SWAP, PUSH)


def test_who_draws_pins_and_names_is_not_told_of_edits(sample_session):
    workspace, parts = Workspace(), []
    workspace.show(replace(sample_session, uuid="one"))
    workspace.part_changed.connect(parts.append)
    book = Book(workspace)
    book.add_edit(CUT)
    book.mark("Pin", pins=("a",))
    assert parts == [EDITS, "marks"]
    assert workspace.dirty
