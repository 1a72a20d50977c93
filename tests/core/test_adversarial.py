"""Swaps that flip an answer, against every swap tried by hand on tiny models."""

from __future__ import annotations

import csv
import itertools
import json

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.cli.commands import main
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


def cosine(model, first, second):
    """How near two tokens are to each other, by their rows in the weights."""
    rows = model.module.get_input_embeddings().weight.detach().double().numpy()
    one, two = rows[first], rows[second]
    return one @ two / np.linalg.norm(one) / np.linalg.norm(two)


def by_rank(model, ids, margin):
    """What flips by nearness, before all else by its margin; for one swap."""
    ((own, other),) = [(a, b) for a, b in zip(PROMPT, ids, strict=True) if a != b]
    return (0, -cosine(model, own, other)) if margin < 0 else (1, margin)


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
    best = sorted(truth.items(), key=lambda one: by_rank(model, *one))[: len(found.ids)]
    assert [tuple(ids) for ids in found.ids.tolist()] == [ids for ids, _ in best]
    np.testing.assert_allclose(found.margin, [margin for _, margin in best], atol=1e-4)
    np.testing.assert_array_equal(found.swapped, found.ids != np.array(PROMPT))
    np.testing.assert_array_equal(found.flipped, found.margin < 0)
    assert found.margin_before == pytest.approx(
        margin_of(logits_of(model, PROMPT), answer), abs=1e-4
    )


OTHERS = (
    (7, 3, 8, 12, 5),  # 8 stands where 9 does
    (7, 2, 9, 12, 6),  # 2 where 3, 6 where 5
    (1, 7, 3, 9, 11, 5),  # one more token before: 11 where 12 stands
    (7, 3, 9, 5),  # nothing against 12
    (7, 41, 42, 43, 44),  # shares too little
)


def test_without_words_what_stands_there_in_the_task_is_run_and_the_nearest_flip_is_first(
    tiny_model, tmp_path
):
    model = tiny_model("gpt2")
    pairs = [{"clean": ids, "corrupt": OTHERS[0], "answer": 1, "wrong": 2} for ids in OTHERS]
    file = tmp_path / "task.json"
    file.write_text(json.dumps({"pairs": pairs}))
    answer = int(logits_of(model, PROMPT).argmax())
    expected = {(2, 8), (1, 2), (4, 6), (3, 11)}
    truth = {}
    for at, token in expected:
        ids = (*PROMPT[:at], token, *PROMPT[at + 1 :])
        truth[ids] = margin_of(logits_of(model, ids), answer)
    found = adversarial_of(mt.adversarial_search(model, PROMPT, answer, task=file))
    best = sorted(truth, key=lambda ids: by_rank(model, ids, truth[ids]))
    assert [tuple(ids) for ids in found.ids.tolist()] == best
    np.testing.assert_allclose(found.margin, [truth[ids] for ids in best], atol=1e-4)
    near = [by_rank(model, ids, -1)[1] for ids in best]
    np.testing.assert_allclose(found.nearness, np.negative(near), atol=1e-6)
    assert found.params["task"] == "task"
    nearest = max(expected, key=lambda one: cosine(model, PROMPT[one[0]], one[1]))
    one = adversarial_of(mt.adversarial_search(model, PROMPT, answer, task=file, candidates=1))
    assert one.swapped[0].nonzero()[0] == nearest[0]
    assert one.ids[0, nearest[0]] == nearest[1]


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
        words, NAMES, "Mary", "John", words="any", order="gradient", candidates=24,
        positions=[1, 3, 5, 6],
    )  # fmt: skip
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


def test_a_swap_that_merely_removes_an_answer_is_none_of_its_findings(words):
    """By itself a search keeps both names, and puts only words of the task in their places."""
    found = adversarial_of(mt.adversarial_search(words, NAMES, "Mary", "John", candidates=8))
    assert found.params["task"] == "name"
    assert found.params["kept"] == ["John", "Mary"]
    at = [at for at, text in enumerate(words.tokenize(NAMES).texts) if text in {"Mary", "John"}]
    assert len(at) == 3
    assert not found.swapped[:, at].any()
    plural = "The mountain with the warm chairs"
    rows = adversarial_of(mt.adversarial_search(words, plural, "is", "are")).rows()
    assert rows[0]["swaps"] == "2: mountain → mountains"  # the nearest that flips
    assert (rows[0]["said_before"], rows[0]["said"]) == ("is", "are")
    assert rows[0]["change"] == pytest.approx(rows[0]["margin"] - rows[0]["margin_before"])


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
        ({"order": "size"}, InputError, "no order 'size'"),
        ({"task": "quote"}, InputError, "another prompt like this one"),
        ({"task": "none"}, InputError, "no prompt set 'none'"),
    ],
)
def test_what_cannot_be_asked_is_named(words, given, error, told):
    with pytest.raises(error, match=told):
        mt.adversarial_search(words, NAMES, **{"answer": "Mary", **given})


def test_what_the_command_finds_fails_the_suite_that_is_run_anew_and_is_kept(tmp_path, capsys):
    out, table = tmp_path / "swaps.h5", tmp_path / "swaps.csv"
    plural = "The mountain with the warm chairs"
    asked = ["--model", "words-4l", "--prompt", plural, "--answer", "is", "--wrong", "are"]
    given = ["swaps", *asked, "--csv", str(table), "--json"]
    assert main([*given, "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    flipped = [row for row in told["prompts"] if row["flipped"]]
    assert flipped
    assert told["nodes"][0]["node"] == "T@2"
    cases = [{"prompt": row["prompt"], "slices": ["swapped"]} for row in flipped]
    cases.append({"prompt": plural, "slices": ["as it was"]})
    suite = tmp_path / "suite.json"
    suite.write_text(json.dumps({"cases": [{**c, "answer": "is", "wrong": "are"} for c in cases]}))
    assert main(["suite", "--model", "words-4l", "--suite", str(suite), "--json"]) == 0
    rates = {row["slice"]: row for row in json.loads(capsys.readouterr().out)["slices"]}
    assert rates["swapped"]["pass_rate"]["before"] == 0.0
    assert rates["as it was"]["pass_rate"]["before"] == 1.0
    mean = np.mean([row["probability"] for row in flipped])
    assert rates["swapped"]["confidence"]["before"] == pytest.approx(mean, abs=1e-5)
    (held,) = [one for one in open_session(out).analyses.values() if one.kind == "adversarial"]
    assert adversarial_of(held).rows() == told["prompts"]
    assert adversarial_of(held).node_rows() == told["nodes"]
    with table.open(encoding="utf-8", newline="") as file:
        assert [row["swaps"] for row in csv.DictReader(file)] == [
            row["swaps"] for row in told["prompts"]
        ]
    assert main([*given, "--words", "are", "--any"]) == 2
    assert "--words and --any are both given" in capsys.readouterr().err
