"""Swaps that flip an answer, against every swap tried by hand on tiny models."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import Cancelled, InputError, MetricError
from microtome.jobs import Job
from microtome.records.adversarial import adversarial_of
from microtome.records.session import Session
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome.suites.adversarial import margin_slope

PROMPT = (7, 3, 9, 12, 5)
NAMES = "When Mary and John went to the store, John gave a drink to"


def logits_of(model, ids):
    run = mt.trace(model, ids, sites=[])
    return run.logits[model.read_at(run.token_ids)].astype(np.float64)


def margin_of(logits, answer, wrong=None):
    others = np.delete(logits, answer).max() if wrong is None else logits[wrong]
    return logits[answer] - others


def by_hand(model, answer, wrong, words, positions, count):
    """The margin of every prompt with exactly so many swaps."""
    found = {}
    for places in itertools.combinations(positions, count):
        for tokens in itertools.product(words, repeat=count):
            ids = list(PROMPT)
            for at, token in zip(places, tokens, strict=True):
                ids[at] = token
            if sum(a != b for a, b in zip(ids, PROMPT, strict=True)) == count:
                found[tuple(ids)] = margin_of(logits_of(model, tuple(ids)), answer, wrong)
    return found


@pytest.mark.parametrize("variant", ["gpt2", "gemma"])
def test_an_exhaustive_search_finds_what_every_swap_tried_by_hand_finds(tiny_model, variant):
    model = tiny_model(variant)
    answer = int(logits_of(model, PROMPT).argmax())
    words, positions = list(range(0, 60, 6)), [0, 2, 3]
    truth = by_hand(model, answer, None, words, positions, 1)
    made = mt.adversarial_search(
        model, PROMPT, answer, words=words, positions=positions, exhaustive=True
    )
    found = adversarial_of(made)
    assert found.params["tried"] == len(truth)
    best = sorted(truth.items(), key=lambda one: one[1])[: len(found.ids)]
    np.testing.assert_allclose(found.margin, [margin for _, margin in best], atol=1e-4)
    assert tuple(found.ids[0].tolist()) == best[0][0]
    np.testing.assert_array_equal(found.swapped, found.ids != np.array(PROMPT))
    np.testing.assert_array_equal(found.flipped, found.margin < 0)
    assert found.margin_before == pytest.approx(
        margin_of(logits_of(model, PROMPT), answer), abs=1e-4
    )


def test_more_swaps_are_made_only_when_fewer_do_not_flip(tiny_model):
    model = tiny_model("gpt2")
    logits = logits_of(model, PROMPT)
    answer, wrong = int(logits.argmax()), int(logits.argmin())
    words, positions = [1, 20, 41], [1, 3]
    one, two = (by_hand(model, answer, wrong, words, positions, count) for count in (1, 2))
    asked = {"words": words, "positions": positions, "exhaustive": True, "beam": 100}
    found = adversarial_of(mt.adversarial_search(model, PROMPT, answer, wrong, swaps=2, **asked))
    assert min(one.values()) > 0  # the least probable token is far away
    assert found.params["rounds"] == 2
    assert found.params["tried"] == len(one) + len(two)
    assert found.margin[0] == pytest.approx(min([*one.values(), *two.values()]), abs=1e-4)
    assert (found.swapped.sum(1) <= 2).all()
    again = adversarial_of(mt.adversarial_search(model, PROMPT, answer, wrong, swaps=1, **asked))
    assert again.params["rounds"] == 1
    assert again.margin[0] == pytest.approx(min(one.values()), abs=1e-4)


def test_the_slope_is_the_gradient_of_the_margin(tiny_model):
    model = tiny_model("gpt2", dtype="float64")
    answer, other, step = 11, 30, 1e-5
    slope = margin_slope(model.anatomy, torch.tensor(PROMPT), answer, other, len(PROMPT) - 1)
    for at, unit in ((0, 3), (2, 7), (4, 1)):
        axis = np.eye(model.identity.d_model)[unit]
        up, down = (
            mt.trace(model, PROMPT, edits=[mt.Steer("embed", axis, size, positions=[at])])
            for size in (step, -step)
        )
        sides = [margin_of(run.logits[-1].astype(np.float64), answer, other) for run in (up, down)]
        expected = (sides[0] - sides[1]) / (2 * step)
        assert float(slope[at, unit]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.fixture
def words(embedded):
    return embedded("words-4l")


def test_the_gradient_finds_a_flip_among_all_words_with_few_runs(words, tmp_path):
    made = mt.adversarial_search(
        words, NAMES, "Mary", "John", candidates=24, positions=[1, 3, 5, 6]
    )
    found = adversarial_of(made)
    assert found.params["tried"] <= 24
    assert found.flipped[0]
    logits = logits_of(words, found.prompt(0))
    assert margin_of(logits, *map(words.answer_token, ("Mary", "John"))) == pytest.approx(
        found.margin[0], abs=1e-3
    )
    ((at, text),) = found.swaps(0)
    assert at in (1, 3, 5, 6)
    assert found.prompt(0).split().count(text.strip()) >= 1
    # The nodes are those of the circuit of the pair, as the window draws it.
    pair = mt.PromptPair(NAMES, found.prompt(0))
    circuit = mt.component_graph(words, pair, mt.LogitDifference("Mary", "John"))
    assert found.nodes[0] == f"T@{at}"
    for name, score in zip(found.nodes, found.scores, strict=True):
        assert score == pytest.approx(circuit.node_score[circuit.row(name)], rel=1e-3, abs=1e-3)
    assert found.scores[0] == pytest.approx(found.margin_before - found.margin[0], rel=1e-3)
    session = Session(model=words, traces=[mt.trace(words, NAMES)], analyses={made.id: made})
    held = open_session(save_session(tmp_path / "swaps.h5", session)).analyses[made.id]
    assert adversarial_of(held).rows() == found.rows()
    assert adversarial_of(held).swaps(0) == found.swaps(0)


def test_a_search_can_be_stopped_and_hands_out_rounds(words):
    seen = []
    job = Job(on_partial=lambda name, part: seen.append((name, adversarial_of(part))))
    asked = {"words": ["Mary", "John"], "positions": [6, 7], "swaps": 2}
    found = adversarial_of(mt.adversarial_search(words, NAMES, "Mary", **asked, job=job))
    assert [(name, part.params["rounds"]) for name, part in seen] == [("adversarial", 1)]
    assert found.params["rounds"] == 2
    stopped = Job(on_partial=lambda *_: stopped.cancel())
    with pytest.raises(Cancelled):
        mt.adversarial_search(words, NAMES, "Mary", **asked, job=stopped)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"answer": "John"}, MetricError, "does not give the answer"),
        ({"wrong": "Mary"}, MetricError, "both"),
        ({"swaps": 0}, InputError, "swaps is 0"),
        ({"positions": [99]}, InputError, "Position 99"),
        ({"positions": []}, InputError, "No position"),
        ({"words": []}, InputError, "empty"),
    ],
)
def test_what_cannot_be_asked_is_named(words, given, error, told):
    with pytest.raises(error, match=told):
        mt.adversarial_search(words, NAMES, **{"answer": "Mary", **given})
