"""Whatever the user makes can be taken back and done again, in order."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microtome.records.analysis import Analysis
from microtome.records.marks import Marks, Note
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome_desktop.state.book import Book
from microtome_desktop.state.workspace import Workspace


@pytest.fixture
def workspace(sample_session):
    return showing(sample_session)


def showing(session):
    held = Workspace()
    held.show(replace(session, uuid="one"))
    return held


@pytest.fixture
def book(workspace):
    return Book(workspace)


def test_a_mark_is_part_of_the_session_and_unsaved(book, workspace):
    workspace.mark_clean()
    book.mark("Pin L0H1@2", pins=("L0H1@2",))
    assert workspace.session.marks.pins == ("L0H1@2",)
    assert workspace.dirty
    assert (book.undo_title, book.redo_title) == ("Pin L0H1@2", "")


def test_several_fields_are_one_step(book):
    book.mark("Hide", hidden=("a",), pins=("b",))
    book.undo()
    assert book.marks == Marks()
    assert book.undo_title == ""
    book.redo()
    assert (book.marks.hidden, book.marks.pins) == (("a",), ("b",))


def test_a_change_to_the_same_is_no_step(book):
    book.mark("Nothing", pins=())
    book.set_look("Nodes", "circuit.nodes", 40, 40)
    assert book.undo_title == ""


def test_a_drag_of_a_slider_is_one_step(book):
    for value in (41, 45, 60):
        book.set_look("Nodes", "circuit.nodes", value, 40)
    book.settle()
    book.set_look("Nodes", "circuit.nodes", 70, 40)
    book.undo()
    assert book.look("circuit.nodes", 40) == 60
    book.undo()
    assert book.look("circuit.nodes", 40) == 40
    assert book.undo_title == ""


def test_two_sliders_are_two_steps(book):
    book.set_look("Nodes", "circuit.nodes", 41, 40)
    book.set_look("Edges", "circuit.edges", 0.5, 0.8)
    book.set_look("Nodes", "circuit.nodes", 42, 40)
    titles = []
    while book.undo_title:
        titles.append(book.undo_title)
        book.undo()
    assert titles == ["Nodes", "Edges", "Nodes"]


def test_something_new_ends_what_was_undone(book):
    book.mark("Pin", pins=("a",))
    book.undo()
    book.mark("Hide", hidden=("b",))
    assert book.redo_title == ""


def test_another_session_keeps_looks_and_forgets_steps_on_marks(book, workspace, sample_session):
    book.mark("Pin", pins=("a",))
    book.set_look("Nodes", "circuit.nodes", 41, 40)
    workspace.show(replace(sample_session, uuid="two"))
    assert book.marks == Marks()
    assert book.undo_title == "Nodes"
    book.undo()
    assert book.look("circuit.nodes", 40) == 40
    assert book.undo_title == ""


def test_changes_are_told_by_name(book):
    told = []
    book.changed.connect(told.append)
    book.mark("Note", notes=(Note("", "text"),))
    book.set_look("Nodes", "circuit.nodes", 41, 40)
    book.undo()
    assert told == ["notes", "circuit.nodes", "circuit.nodes"]


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["pins", "hidden", "circuit.nodes", "tokens.by", "undo", "redo", "settle"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_the_book_agrees_with_a_list_of_all_states(acts):
    """A plain list of states and a cursor is the model; a look grows its last state."""
    identity = ModelIdentity("tiny", "gpt2", "0" * 32, 1, 1, 1, 4, 4, 8, 10, None, 100)
    book = Book(showing(Session(identity)))
    states, cursor, growing = [{}], 0, None
    for name, value in acts:
        if name == "undo":
            book.undo()
            cursor, growing = max(0, cursor - 1), None
        elif name == "redo":
            book.redo()
            cursor, growing = min(len(states) - 1, cursor + 1), None
        elif name == "settle":
            book.settle()
            growing = None
        else:
            look = "." in name
            wanted = value if look else tuple("abc"[:value])
            first = 0 if look else ()
            if states[cursor].get(name, first) == wanted:
                continue
            if look:
                book.set_look(name, name, wanted, 0)
            else:
                book.mark(name, **{name: wanted})
            if growing == name:
                states = [*states[:cursor], {**states[cursor], name: wanted}]
            else:
                states = [*states[: cursor + 1], {**states[cursor], name: wanted}]
                cursor += 1
            growing = name if look else None
        now = states[cursor]
        assert book.marks.pins == now.get("pins", ())
        assert book.marks.hidden == now.get("hidden", ())
        for each in ("circuit.nodes", "tokens.by"):
            assert book.look(each, 0) == now.get(each, 0)
        assert bool(book.undo_title) == (cursor > 0)
        assert bool(book.redo_title) == (cursor < len(states) - 1)


def test_looks_of_a_session_are_no_step(book):
    told = []
    book.changed.connect(told.append)
    book.take_looks(MappingProxyType({"circuit.nodes": 12}))
    assert book.look("circuit.nodes", 40) == 12
    assert (told, book.undo_title) == (["circuit.nodes"], "")


def test_several_looks_are_one_step(book):
    first = {"circuit.nodes": 40, "circuit.weights": False}
    book.set_look("Nodes", "circuit.nodes", 50, 40)
    book.set_looks("View “near”", {"circuit.nodes": 10, "circuit.weights": True}, first)
    book.undo()
    assert (book.look("circuit.nodes", 40), book.look("circuit.weights", False)) == (50, False)


@pytest.mark.parametrize("between", ["undo", "redo"])
def test_a_slider_does_not_go_on_with_a_step_of_before(book, between):
    book.set_look("Nodes", "circuit.nodes", 41, 40)
    book.settle()
    book.set_look("Nodes", "circuit.nodes", 45, 40)
    getattr(book, between)()
    book.set_look("Nodes", "circuit.nodes", 60, 40)
    book.undo()
    assert book.look("circuit.nodes", 40) == (41 if between == "undo" else 45)


def test_what_there_is_so_far_never_takes_the_place_of_the_whole(sample_session):
    """As when the same lesion or visualisation is asked again, and stopped."""
    workspace = Workspace()
    workspace.show(sample_session)
    first, second, whole, again = (
        Analysis("lesion-1", "lesion", "", {}, {"complete": complete})
        for complete in (False, False, True, False)
    )
    for one, held in ((first, first), (second, second), (whole, whole), (again, whole)):
        workspace.grow_analysis(one)
        assert workspace.session.analyses["lesion-1"].params is held.params
    workspace.add_analysis(Analysis("v", "visualisation", "", {}, {"partial": False}))
    workspace.grow_analysis(Analysis("v", "visualisation", "", {}, {"partial": True}))
    assert workspace.session.analyses["v"].whole
