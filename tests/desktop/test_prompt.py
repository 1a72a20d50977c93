"""Typing a question by keyboard: the draft, the alignment, the answers, the prompt sets."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from microtome.errors import PromptError
from microtome.prompts import Question
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.model_requests import ReadDraft
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.draft import Draft, DraftText, Reading
from microtome_desktop.state.library import ModelFacts
from microtome_desktop.views.alignment import summary
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.prompt_panel import PromptPanel

CLEAN = "When Mary and John went to the store, John gave a drink to"


@pytest.fixture
def done():
    """Commands that the panel asked for."""
    return []


@pytest.fixture
def asked():
    """Requests that the panel made."""
    return []


@pytest.fixture
def panel(qtbot, done, asked, sample_identity):
    desk = Desk()
    desk.workspace.set_model(sample_identity)
    made = PromptPanel(
        PanelContext(
            desk.workspace, desk.selection, asked.append, Draft(), desk.library, desk.settings,
            done.append, lambda wanted: "",
        )
    )  # fmt: skip
    qtbot.addWidget(made)
    made.show()
    desk.library.update(facts=ModelFacts(("Mary", "John", "Mark")))
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def test_what_is_typed_is_the_draft(qtbot, panel):
    qtbot.keyClicks(panel.prompt, CLEAN)
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Tab)
    qtbot.keyClicks(panel.corrupt, "the other")
    qtbot.keyClicks(panel.answer, "Mary")
    qtbot.keyClicks(panel.wrong, "John")
    panel.context.draft.update(values_only=True)  # as the circuit's switch does
    qtbot.keyClicks(panel.wrong, "ny")
    text = panel.context.draft.text
    assert text == DraftText(CLEAN, "the other", "Mary", "Johnny", values_only=True)
    assert text.question() == Question(CLEAN, "the other", "Mary", "Johnny", values_only=True)


def test_typing_is_read_by_the_model_once_it_pauses(qtbot, panel, asked):
    qtbot.waitUntil(lambda: bool(asked))  # the empty fields
    qtbot.keyClicks(panel.prompt, "When Mary")
    qtbot.waitUntil(lambda: asked[-1].text.prompt == "When Mary")
    assert all(isinstance(request, ReadDraft) for request in asked)
    assert len(asked) == 2


@pytest.mark.parametrize("field", ["prompt", "corrupt", "answer", "wrong"])
def test_return_runs_from_every_field(qtbot, panel, done, field):
    qtbot.keyClick(getattr(panel, field), Qt.Key.Key_Return)
    assert done == [CommandId.RUN]


def test_shift_return_makes_a_line(qtbot, panel, done):
    qtbot.keyClicks(panel.prompt, "a")
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(panel.prompt, "b")
    assert panel.prompt.toPlainText() == "a\nb"
    assert CommandId.RUN not in done


def test_answers_are_completed_from_the_vocabulary(qtbot, panel):
    qtbot.mouseClick(panel.answer, Qt.MouseButton.LeftButton)
    qtbot.keyClicks(panel.answer, "ma")
    popup = panel.answer.completer().popup()
    assert popup.isVisible()
    assert popup.model().index(0, 0).data() == "Mary"
    qtbot.keyClick(popup, Qt.Key.Key_Down)
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    assert panel.answer.text() == "Mary"


def test_the_run_button_runs_and_then_stops(qtbot, panel, done):
    qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    panel.show_busy(busy=True)
    assert panel.run.text() == "Stop"
    qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    assert done == [CommandId.RUN, CommandId.STOP]


def test_alignment_shows_what_differs_and_what_is_unknown(panel):
    reading = Reading(("a", "b", "zz"), ("a", "c", "zz"), (2,), (2,))
    panel.context.draft.read(reading)
    assert reading.differing == (1,)
    clean, corrupt = panel.alignment.chips._rows
    assert [chip.text for chip in clean] == ["a", "b", "zz"]
    assert clean[1].fill == corrupt[1].fill != clean[0].fill
    assert [chip.marked for chip in clean] == [False, False, True]
    assert panel.alignment.summary.text() == "3 tokens each, 1 differs, 2 unknown to the model"


@pytest.mark.parametrize(
    ("clean", "corrupt", "text"),
    [
        ((), (), ""),
        (("a",), (), "1 token"),
        (("a", "b"), (), "2 tokens"),
        (("a", "b"), ("a",), "2 tokens against 1"),
        (("a", "b"), ("b", "a"), "2 tokens each, 2 differ"),
    ],
)
def test_summaries(clean, corrupt, text):
    assert summary(Reading(clean, corrupt)) == text


def test_problems_stand_below_the_fields(panel):
    panel.context.draft.read(Reading(("a",), problem="Too short.", answer_problem="Not a word."))
    assert panel.problem.isVisible()
    assert panel.problem.text() == "Too short.\nNot a word."
    assert panel.answer.property("wrong")
    assert panel.answer.toolTip() == "Not a word."
    panel.context.draft.read(Reading(("a",), answer_problem="No text.", wrong_problem="No text."))
    assert panel.problem.text() == "No text."
    panel.context.draft.read(Reading(("a",)))
    assert not panel.problem.isVisible()
    assert not panel.answer.property("wrong")


def test_swapping_exchanges_both_prompts_and_answers():
    draft = Draft()
    draft.update(prompt="a", corrupt="b", answer="c", wrong="d")
    draft.swap()
    assert draft.text == DraftText("b", "a", "d", "c")


def test_token_ids_are_read_where_there_is_no_tokenizer():
    text = DraftText("12, 7 301", "1,2,3", "5", "", as_ids=True)
    assert text.question() == Question((12, 7, 301), (1, 2, 3), 5, None)
    assert DraftText("12, 7", as_ids=False).question().prompt == "12, 7"


def test_an_empty_prompt_is_refused():
    with pytest.raises(PromptError):
        DraftText("  ").question()


def test_a_question_comes_back_as_it_was_typed():
    draft = Draft()
    draft.fill(Question((1, 2), None, 3, None))
    assert draft.text == DraftText("1, 2", "", "3", "")


def test_the_real_alignment_and_the_prompt_sets(qtbot, live):
    ask = live.furnishing.panels["ask"]
    reading = live.desk.draft.reading
    assert len(reading.clean) == len(reading.corrupt) == 15
    assert reading.differing == (10,)
    picker = ask.prompt.sets
    assert picker.isVisible()
    picker.choice.setCurrentIndex(2)
    picker.choice.activated.emit(2)
    held = picker.choice.currentData()
    picker.pair.setValue(2)
    assert live.desk.draft.text.prompt == held.pairs[1].clean
    assert ask.prompt.prompt.toPlainText() == held.pairs[1].clean
    assert ask.prompt.answer.text() == held.pairs[1].answer
    qtbot.keyClicks(ask.prompt.prompt, "x")  # now it is nobody's pair
    assert picker.choice.currentIndex() == 0
    assert not picker.pair.isVisible()


def test_unknown_words_are_named_while_typing(qtbot, live):
    field = live.furnishing.panels["ask"].prompt.prompt
    field.selectAll()
    qtbot.keyClicks(field, "Mary gave a zeppelin to")
    draft = live.desk.draft
    qtbot.waitUntil(lambda: len(draft.reading.unknown_clean) == 1, timeout=20_000)
    place = draft.reading.unknown_clean[0]
    assert live.furnishing.panels["ask"].prompt.alignment.chips._rows[0][place].marked
    assert "the corrupt prompt" in draft.reading.problem
