"""The table of predictions against a plain reading of the logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from microtome_desktop import palette as colours
from microtome_desktop.presenters.predictions import heading, predictions


@pytest.mark.parametrize("position", [0, 7, None])
def test_rows_are_the_sorted_softmax(sample_session, position):
    place = len(sample_session.clean.tokens) - 1 if position is None else position
    logits = sample_session.clean.logits[place].astype(float)
    other = sample_session.corrupt.logits[place].astype(float)
    chances = np.exp(logits) / np.exp(logits).sum()
    rows = predictions(sample_session, position, 5)
    best = sorted(range(len(logits)), key=lambda token: -logits[token])[:5]
    assert [row.probability for row in rows] == pytest.approx([chances[t] for t in best], rel=1e-4)
    assert [row.difference for row in rows] == pytest.approx(
        [logits[t] - other[t] for t in best], abs=1e-5
    )


def test_a_file_without_all_logits_leaves_unknown_differences_open(sample_session):
    clean, corrupt = sample_session.traces
    lean = replace(
        corrupt,
        logits=None,
        top_ids=corrupt.top_ids[:, :1],
        top_logits=corrupt.top_logits[:, :1],
        top_probabilities=corrupt.top_probabilities[:, :1],
        top_tokens=tuple(row[:1] for row in corrupt.top_tokens),
    )
    rows = predictions(replace(sample_session, traces=(clean, lean)), 3, 20)
    known = {row.token for row in rows if row.difference is not None}
    assert known <= {corrupt.top_tokens[3][0]}


def test_a_single_prompt_has_no_differences(sample_session):
    rows = predictions(replace(sample_session, traces=sample_session.traces[:1]), None)
    assert {row.difference for row in rows} == {None}
    assert predictions(replace(sample_session, traces=()), None) == ()


def test_heading_names_the_token_before(sample_session):
    assert heading(sample_session, 2) == "after “Mary” (2)"
    assert heading(None, 2) == ""


def test_the_table_follows_the_selected_token(qtbot, bench):
    table = bench.furnishing.panels["ask"].predictions.table
    first = table.item(0, 0).text()
    assert first == "Mary"
    bench.desk.selection.update(position=4)
    bench.runner.turns.finish()
    trace = bench.desk.workspace.session.clean
    assert table.item(0, 0).text() == trace.top_tokens[4][0]
    assert float(table.item(0, 1).text()) == pytest.approx(trace.top_probabilities[4, 0], abs=5e-4)


def test_the_answer_is_marked(bench):
    session = bench.desk.workspace.session
    token = int(session.clean.top_ids[-1, 0])
    bench.desk.workspace.change("metric", metric={**session.metric, "answer_id": token})
    bench.runner.turns.finish()
    item = bench.furnishing.panels["ask"].predictions.table.item(0, 0)
    assert item.foreground().color().name() == colours.GOOD
