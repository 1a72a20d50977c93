"""What a sweep becomes for the panel: maps, edits, wishes, lines of text."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from microtome.errors import InputError
from microtome.images.sets import load_image_set
from microtome.prompts import Question
from microtome.records.edits import EditSpec
from microtome.records.sweep import Sweep, sweep_analysis, sweep_of
from microtome_desktop.jobs.sweep_requests import analysis_for
from microtome_desktop.presenters.sweep_choice import (
    foreseen_text,
    question_on_screen,
    seconds_text,
    typed_span,
    with_answers,
)
from microtome_desktop.presenters.sweep_edits import edits_of_cells
from microtome_desktop.presenters.sweep_map import (
    caption_of,
    partners,
    prompts_of,
    sweep_grid,
    sweep_rows,
    title_of,
)
from microtome_desktop.state.discoveries import Search
from microtome_desktop.state.draft import DraftText
from microtome_desktop.state.sweeps import SWEPT, Foreseen, Wish, origin_of, sweep_for, wish_of

CLEAN = ("<bos>", "When", "Mary", "and", "John", "gave")
CORRUPT = ("<bos>", "When", "Mary", "and", "Mary", "gave")
PAIR = Question("When Mary and John gave", "When Mary and Mary gave", "Mary", "John")


def made(axes, shape, *, missing=0, **more):
    effects = np.linspace(-0.8, 0.6, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    effects.flat[effects.size - missing :] = np.nan
    about = {"tokens": CORRUPT, "source_tokens": CLEAN, "params": {"id": "sweep-1"}} | more
    return Sweep("z", axes, 3 * effects, effects, 2.0, -1.0, "logit(Mary)", **about)


AXES = {
    ("layer", "position"): (3, 6),
    ("layer", "head"): (3, 4),
    ("layer", "head", "position"): (3, 4, 6),
    ("neuron",): (37,),
}


@pytest.mark.parametrize(("axes", "shape"), AXES.items())
def test_every_cell_is_on_the_map_once_at_its_own_place(axes, shape):
    sweep = made(axes, shape)
    grid = sweep_grid(sweep)
    seen = {}
    for row in range(grid.values.shape[0]):
        for column in range(grid.values.shape[1]):
            place = grid.place(row, column)
            if not place:
                assert np.isnan(grid.values[row, column])
                continue
            at = tuple(place[axis] for axis in axes)
            assert grid.values[row, column] == sweep.effects[at]
            assert grid.cell_of(**place) == (row, column)
            assert f"{sweep.effects[at]:.3g}" in grid.describe(row, column)
            seen[at] = (row, column)
    assert len(seen) == sweep.effects.size
    assert (grid.low, grid.high) == pytest.approx((-0.8, 0.8))
    assert len(grid.rows) == len(grid.layers) == grid.values.shape[0]
    assert len(grid.columns) == grid.values.shape[1]


def test_one_layer_of_heads_by_position_is_shown_alone():
    sweep = made(("layer", "head", "position"), (3, 4, 6))
    grid = sweep_grid(sweep, 1)
    assert grid.rows == ("L1H0", "L1H1", "L1H2", "L1H3")
    np.testing.assert_array_equal(grid.values, sweep.effects[1].astype(float))
    assert grid.cell_of(layer=1, head=2, position=5) == (2, 5)
    assert grid.cell_of(layer=0, head=2, position=5) == (None, None)


def test_what_is_not_computed_yet_is_no_number_and_says_so():
    sweep = made(("layer", "position"), (3, 6), missing=7)
    grid = sweep_grid(sweep)
    assert np.isnan(grid.values).sum() == 7
    assert grid.describe(2, 5).endswith("not computed yet")
    assert "11 of 18 cells" in caption_of(replace(sweep, params={"partial": True})).text


def test_a_cell_says_effect_interval_and_metric():
    effects = made(("layer", "position"), (3, 6)).effects
    sweep = made(("layer", "position"), (3, 6), band=np.stack([effects - 0.1, effects + 0.2]))
    said = sweep_grid(sweep).describe(1, 4)
    value = float(effects[1, 4])
    assert said.startswith("L1 · 4 Mary · effect")
    assert f"({value - 0.1:.3g} to {value + 0.2:.3g})" in said
    assert f"metric {3 * value:.4g}" in said
    headers, rows = sweep_rows(sweep)
    assert headers == ("layer", "position", "token", "effect", "metric", "low", "high")
    assert rows[6 + 4][:3] == (1, 4, "Mary")
    assert rows[6 + 4][3] == pytest.approx(value)


def test_the_prompts_stand_clean_above_corrupt_whichever_was_changed():
    denoised = made(("layer", "position"), (3, 6))
    noised = replace(denoised, mode="noising", tokens=CLEAN, source_tokens=CORRUPT)
    for sweep in (denoised, noised):
        shown = prompts_of(sweep)
        assert [name for name, _ in shown.rows] == ["clean", "corrupt"]
        assert (shown.clean[4], shown.corrupt[4]) == ("John", "Mary")
        assert shown.differing == {4}
        assert shown.aligned
    assert not prompts_of(made(("layer", "head"), (3, 4))).aligned


def test_prompts_of_unequal_length_are_matched_and_edits_follow():
    longer = ("<bos>", "When", "old", "Mary", "and", "John", "gave")
    sweep = replace(made(("layer", "position"), (3, 6)), source_tokens=longer)
    assert partners(sweep) == (0, 1, 3, 4, 5, 6)
    assert prompts_of(sweep).differing == {4}
    grid = sweep_grid(sweep)
    assert grid.in_both(2) == (3, 2)  # in the clean, in the corrupt run
    assert grid.column_of(3) == 2
    assert grid.column_of(2) is None
    (edit,) = edits_of_cells(grid, [(1, 2), (1, 4)], Wish(PAIR, align=True), PAIR.corrupt)
    assert (edit.positions, edit.from_positions) == ((3, 5), (2, 4))


def test_a_region_becomes_an_edit_for_each_site():
    grid = sweep_grid(made(("layer", "head", "position"), (3, 4, 6)))
    cells = [(row, column) for row in (4, 5) for column in (2, 3)]
    found = edits_of_cells(grid, cells, Wish(PAIR, what="z at"), PAIR.corrupt)
    assert found == (
        EditSpec("z.1.0", "patch", positions=(2, 3), prompts=(PAIR.corrupt,)),
        EditSpec("z.1.1", "patch", positions=(2, 3), prompts=(PAIR.corrupt,)),
    )
    whole = sweep_grid(made(("layer", "head"), (3, 4)))
    (head,) = edits_of_cells(whole, [(2, 3)], Wish(PAIR, what="z", mode="zero"), None)
    assert head == EditSpec("z.2.3", "zero")
    neurons = sweep_grid(made(("neuron",), (37,)))
    found = edits_of_cells(neurons, [(0, 5)], Wish(PAIR, what="neurons", layer=1), PAIR.corrupt)
    assert found == (EditSpec("mlp_post.1", "patch", prompts=(PAIR.corrupt,), neuron=5),)


@pytest.mark.parametrize(
    ("wish", "corrupt", "reason"),
    [(None, "x", "session's own pair"), (Wish(PAIR), None, "no corrupt prompt"),
     (Wish(PAIR, what="causal", span=(1, 2)), "x", "noise")],
)  # fmt: skip
def test_what_cannot_be_an_edit_says_why(wish, corrupt, reason):
    grid = sweep_grid(made(("layer", "position"), (3, 6)))
    assert reason in edits_of_cells(grid, [(0, 0)], wish, corrupt)


WISHES = [
    Wish(PAIR, what=row.name, layer=2, span=(1, 3), mode="mean", over="name") for row in SWEPT
] + [Wish(Question((3, 4, 5), (3, 4, 6), 7), metric="rank"), Wish(None, data="name", count=9)]


def test_a_sweep_of_the_command_line_over_the_own_pair_becomes_edits(sample_session):
    session = replace(sample_session, question=PAIR)

    def origin(**asked):
        params = {"id": "sweep-1", "by": "head", "examples": 1} | asked
        return origin_of(sweep_analysis(made(("layer", "head"), (3, 4), params=params)), session)

    grid = sweep_grid(made(("layer", "head"), (3, 4)))
    (edit,) = edits_of_cells(grid, [(1, 2)], origin(), PAIR.corrupt)
    assert edit == EditSpec("z.1.2", "patch", prompts=(PAIR.corrupt,))
    (edit,) = edits_of_cells(grid, [(1, 2)], origin(how="zero"), None)
    assert edit == EditSpec("z.1.2", "zero")
    for other in ({"examples": 9}, {"by": "range"}, {"span": [1, 2]}, {"how": "mean"}):
        assert origin(**other) is None


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.what)
def test_a_wish_is_kept_with_its_sweep_as_plain_json(wish):
    analysis = analysis_for(wish, made(("layer", "position"), (3, 6)))
    held = replace(analysis, params=json.loads(json.dumps(analysis.params)))
    assert wish_of(held) == wish
    assert sweep_of(held).kind == "z"


def test_only_a_whole_sweep_of_the_same_numbers_answers_a_wish(sample_session):
    wish = Wish(PAIR)
    whole = analysis_for(wish, made(("layer", "position"), (3, 6)))
    part = analysis_for(wish, made(("layer", "position"), (3, 6), params={"id": "p", "partial": 1}))
    other = analysis_for(replace(wish, mode="noising"), made(("layer", "position"), (3, 6)))
    for held, answers in ((part, False), (other, False), (whole, True)):
        session = replace(sample_session, analyses={held.id: held})
        found = session.analyses[held.id] if answers else None
        assert sweep_for(session, replace(wish, budget=1)) is found


@pytest.mark.parametrize("kind", [Wish, Search])
def test_wishes_are_json_also_about_images(kind):
    image = Question(load_image_set("shapes").image(0))
    for question, kept in ((None, None), (image, None), (Question("a b", "a c"),) * 2):
        told = json.loads(json.dumps(kind(question).as_json()))
        assert kind.from_json(told) == kind(kept)


@pytest.mark.parametrize(
    "held",
    [None, {"question": {"prompt": ""}}, {"question": 3}, {"what": "no such", "question": None}],
)
def test_what_is_no_wish_is_refused(held):
    with pytest.raises(InputError):
        Wish.from_json(held)


@pytest.mark.parametrize(
    ("text", "span"),
    [("2-4", (2, 5)), (" 3 ", (3, 4)), ("4 – 2", (2, 5)), ("1 to 2", (1, 3)), ("", None),
     ("two", None), ("1-", None)],
)  # fmt: skip
def test_a_span_is_read_as_typed(text, span):
    assert typed_span(text) == span


def test_answers_are_those_typed_else_asked_else_of_the_metric(sample_session):
    question = question_on_screen(sample_session, DraftText())
    assert (question.answer, question.wrong) == ("Mary", "John")
    assert with_answers(question, "", "Tom").wrong == "Tom"
    swapped = with_answers(question, "John", "")
    assert (swapped.answer, swapped.wrong) == ("John", None)
    assert with_answers(question, "#12", "").answer == 12
    unasked = replace(sample_session, question=replace(question, answer=None, wrong=None),
                      metric={"answer_id": 5, "wrong_id": 6})  # fmt: skip
    found = question_on_screen(unasked, DraftText())
    assert (found.answer, found.wrong) == (5, 6)


def test_a_corrupt_prompt_that_was_typed_since_counts_below_the_same_prompt(sample_session):
    prompt = sample_session.question.prompt
    typed = question_on_screen(sample_session, DraftText(prompt, "another one"))
    assert typed.corrupt == "another one"
    elsewhere = question_on_screen(sample_session, DraftText("another", "another one"))
    assert elsewhere.corrupt == sample_session.question.corrupt


def test_estimates_and_titles_read_as_people_do():
    assert foreseen_text(Foreseen(1920, 960, 3.21, 5_000_000)) == (
        "1,920 cells, 960 of them change nothing · about 3.2 s · 5.0 MB"
    )
    assert foreseen_text(Foreseen(problem="No.")) == "No."
    assert [seconds_text(value) for value in (0.01, 42.3, 300)] == ["0.1 s", "42 s", "5 min"]
    ablated = made(("layer", "head"), (3, 4), mode="ablation", params={"how": "zero"})
    assert title_of(ablated) == "z by layer × head, zero ablated: logit(Mary)"
    traced = made(("layer", "position"), (3, 6), params={"span": [1, 3]})
    assert "noise on 1–2" in title_of(traced)
    assert prompts_of(traced).differing == {1, 2}
