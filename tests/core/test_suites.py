"""Suites against one plain run a case; their files, circuits by slice, and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

import microtome as mt
from microtome import cli
from microtome.errors import Cancelled, EditError, InputError, PromptError
from microtome.jobs import Job
from microtome.records.session import Session
from microtome.records.slice_circuits import slice_circuits_of
from microtome.records.suite_result import suite_of
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome.suites.bands import rate_band
from microtome.suites.comparing import compare_slices

LONG = mt.Ablate("mlp_out.0", positions=[5])


def made_up(lengths, seed=0):
    """Random prompts with random answers; every third has no wrong answer."""
    random = np.random.default_rng(seed)
    cases = []
    for at, length in enumerate(lengths):
        ids = tuple(random.integers(4, 60, length).tolist())
        answer, wrong = random.choice(60, 2, replace=False).tolist()
        slices = (f"kind: {at % 2}", *(["first: yes"] if at < 4 else []))
        cases.append(mt.Case(ids, answer, None if at % 3 == 0 else wrong, None, slices))
    return mt.Suite("made", cases)


SUITE = made_up([5] * 34 + [7] * 4)


def plainly(model, suite, edits):
    """Top, above, probability and difference of each case, by a run of its own."""
    rows = []
    for case in suite.cases:
        run = mt.trace(model, case.prompt, sites=[], edits=edits)
        logits = run.logits[model.read_at(run.token_ids)].astype(np.float64)
        order = np.argsort(-logits)
        best_other = next(token for token in order if token != case.answer)
        wrong = best_other if case.wrong is None else case.wrong
        above = np.nan if case.wrong is None else float(logits[case.answer] > logits[wrong])
        share = np.exp(logits[case.answer]) / np.exp(logits).sum()
        rows.append((order[0] == case.answer, above, share, logits[case.answer] - logits[wrong]))
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize("variant", ["gpt2", "bert"])
def test_a_suite_says_what_plain_runs_say(tiny_model, variant):
    model = tiny_model(variant)
    edits = [mt.Ablate("mlp_out.1"), mt.Ablate("z.0.1")]
    found = suite_of(mt.run_suite(model, SUITE, edits[:1], remove=["a0.h1"]))
    sides = [plainly(model, SUITE, each) for each in ([], edits)]
    for at, name in enumerate(("top", "above", "probability", "difference")):
        expected = np.stack([side[:, at] for side in sides], 1)
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-5, atol=1e-5)
    assert found.slices == ("all", "kind: 0", "kind: 1", "first: yes")
    passed = np.where(np.isnan(found.above), found.top, found.above)
    for row, name in enumerate(found.slices):
        own = [at for at, case in enumerate(SUITE.cases) if name in ("all", *case.slices)]
        np.testing.assert_allclose(found.rate[row], passed[own].mean(0))
        np.testing.assert_allclose(found.confidence[row], found.probability[own].mean(0))
        assert found.counts[row] == len(own)
        inside = (
            found.rate_band[row, :, 0] <= found.rate[row],
            found.rate[row] <= found.rate_band[row, :, 1],
        )
        assert np.all(inside)
    assert found.params["edits"] == [str(edit) for edit in edits]
    assert np.abs(found.difference[:, 0] - found.difference[:, 1]).max() > 1e-3


def test_wilson_is_the_closed_form():
    passed = np.array([[1.0]] * 7 + [[0.0]] * 3)
    z, p, n = 1.959963984540054, 0.7, 10
    middle, width = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = np.array([[middle - width, middle + width]]) / (1 + z * z / n)
    np.testing.assert_allclose(rate_band(passed), expected, rtol=1e-9)


def test_a_slice_falls_only_by_more_than_chance(words):
    suite = mt.load_suite(["pronoun", "name"], limit=30)
    found = suite_of(mt.run_suite(words, suite, remove=["a1.h1"]))
    falls = dict(zip(found.slices, found.falls, strict=True))
    assert falls["task: pronoun"]
    assert not falls["task: name"]
    alone = suite_of(mt.run_suite(words, suite))
    assert alone.sides == ("before",)
    assert not alone.falls.any()
    np.testing.assert_array_equal(alone.rate[:, 0], found.rate[:, 0])


@pytest.fixture
def words(embedded):
    return embedded("words-4l")


def test_cases_that_edits_do_not_fit_are_left_out_of_both_sides(tiny_model):
    model = tiny_model("gpt2")
    found = suite_of(mt.run_suite(model, SUITE, [LONG]))
    assert found.counts[0] == 4
    assert "position 5" in found.note
    np.testing.assert_array_equal(found.ran, [len(case.prompt) > 5 for case in SUITE.cases])
    with pytest.raises(EditError, match="fit no case"):
        mt.run_suite(model, SUITE, [mt.Ablate("mlp_out.0", positions=[20])])


def test_a_run_can_be_stopped_and_a_file_holds_the_result(tiny_model, tmp_path):
    model = tiny_model("gpt2")
    job = Job(lambda _: job.cancel())
    with pytest.raises(Cancelled):
        mt.run_suite(model, SUITE, job=job)
    made = mt.run_suite(model, SUITE, [LONG])
    run = mt.trace(model, SUITE.cases[0].prompt)
    session = Session(model=model, traces=[run], analyses={made.id: made})
    held = open_session(save_session(tmp_path / "suite.h5", session)).analyses[made.id]
    assert held.params == made.params
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(held.array(name), array.values)
    assert suite_of(held).slices == suite_of(made).slices


def test_suites_are_read_from_files_and_made_of_sets(tmp_path):
    suite = mt.load_suite(["pronoun", "name"], limit=20, words={"gender: she": ["Jane", "Mary"]})
    file = tmp_path / "suite.json"
    file.write_text(json.dumps(suite.as_json()))
    assert mt.load_suite(file) == suite
    assert {"task: name", "task: pronoun", "gender: she"} <= set(suite.slices)
    assert all(
        "Jane" in c.prompt or "Mary" in c.prompt for c in suite.of_slice("gender: she").cases
    )
    she = suite.of_slice("answer: she")
    assert {case.answer for case in she.cases} == {"she"}
    lengths = [name for name in suite.slices if name.startswith("length")]
    assert sum(len(suite.of_slice(name).cases) for name in lengths) == len(suite.cases) == 40


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"cases": []}, "no list of cases"),
        ({"cases": [{"prompt": "x"}]}, "case 0 has no answer"),
        ({"cases": [{"prompt": "", "answer": "x"}]}, "of case 0, The prompt is empty"),
        ({"cases": [{"prompt": "x", "answer": "y", "slices": "z"}]}, "slices"),
        ({"cases": [{"prompt": "x", "answer": True}]}, "of case 0, answer is True, neither a word"),
        ({"cases": [{"prompt": "x", "answer": "y", "wrng": "z"}]}, "case 0 has 'wrng', which no"),
        ({"cases": [{"prompt": "x", "answer": "y", "wrong": "y"}]}, "wrong answer are both 'y'"),
        ([1], "no list of cases"),
    ],
)
def test_a_bad_file_is_refused_by_what_is_wrong(tmp_path, content, told):
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=told):
        mt.load_suite(file)


@pytest.mark.parametrize(
    ("case", "told"),
    [
        (mt.Case("the " * 300, "she"), "case 1: The prompt has 301 tokens"),
        (mt.Case("Jane said that", "she he"), "case 1: The answer 'she he' is 2 tokens"),
        (mt.Case((1, 99_999), "she"), "case 1: The token id 99999"),
    ],
)
def test_a_case_that_the_model_cannot_read_is_named(words, case, told):
    suite = mt.Suite("who", [mt.Case("Jane said that", "she", "he"), case])
    with pytest.raises(InputError, match=f"Of the suite who, {told}"):
        mt.run_suite(words, suite)


@pytest.mark.parametrize("remove", ["h1", "a1", "a1.h", "z.1.1"])
def test_a_removal_that_is_none_is_refused(tiny_model, remove):
    with pytest.raises(InputError, match="no part of a model"):
        mt.run_suite(tiny_model("gpt2"), SUITE, remove=[remove])


def test_the_circuit_of_a_slice_is_that_of_its_pairs(words):
    suite = mt.load_suite(["pronoun", "name"], limit=12)
    seen = []
    made = mt.slice_circuits(
        words, suite, ["task: name", "task: pronoun"], limit=8,
        job=Job(on_partial=lambda name, _: seen.append(name)),
    )  # fmt: skip
    assert seen.count("slice-circuits") == 1  # the circuits themselves tell of edges on the way
    found = slice_circuits_of(made)
    cases = suite.of_slice("task: name").cases[:8]
    pairs = [mt.PromptPair(case.prompt, case.corrupt) for case in cases]
    metrics = [mt.LogitDifference(case.answer, case.wrong) for case in cases]
    alone = mt.discover_circuit(words, pairs, metrics)
    np.testing.assert_allclose(
        found.circuit("task: name").edge_weight, alone.edge_weight, rtol=1e-6
    )
    told = compare_slices(found, "task: name", "task: pronoun", share=0.02)
    assert "a0.h3->m0" in told.shared
    assert "input->a0.h3<k>" not in told.only_second
    assert "m0->a1.h1<v>" in told.only_second
    assert len(told.only_first) == len(told.only_second)
    assert -1 <= told.correlation < 0.9
    same = compare_slices(found, "task: name", "task: name")
    assert (same.overlap, same.only_first, same.correlation) == (1.0, (), pytest.approx(1.0))
    with pytest.raises(PromptError, match="corrupt prompt"):
        mt.slice_circuits(words, mt.Suite("x", [mt.Case("The keys", "are")]))


def test_the_command_prints_a_table_and_tells_a_low_slice_by_its_status(tmp_path, capsys):
    given = ["suite", "--model", "words-4l", "--suite", "pronoun", "--suite", "name"]
    given += ["--limit", "6", "--remove", "a1.h1", "--at-least", "0.95"]
    path = tmp_path / "suite.h5"
    assert cli.main([*given, "--out", str(path)]) == 1
    assert "too low" in capsys.readouterr().out
    assert any(each.kind == "suite" for each in open_session(path).analyses.values())
    assert cli.main([*given, "--json", "--circuits", "task: name,task: pronoun"]) == 1
    told = json.loads(capsys.readouterr().out)
    low = {row["slice"] for row in told["slices"] if row["too_low"]}
    assert "task: pronoun" in low
    assert "task: name" not in low
    assert "a0.h3->m0" in told["circuits"]["shared"]
    assert cli.main(given[: given.index("--at-least")]) == 0
    given[given.index("0.95")] = "2"
    assert cli.main(given) == 2
