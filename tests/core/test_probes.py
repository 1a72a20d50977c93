"""Linear probes: the optimum of the fit, what words-4l knows, and what a probe cannot read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import microtome as mt
from microtome.analysis.labelled import (
    example_prompts,
    lines_of,
    parse_labelled,
    read_labelled,
)
from microtome.analysis.logistic import fit_logistic
from microtome.analysis.probes import _controls
from microtome.cli.commands import main
from microtome.errors import InputError
from microtome.prompt_sets import load_prompt_set
from microtome.records.probe import probe_analysis, probe_of


def test_the_fit_is_the_optimum_that_steps_find() -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((40, 3)) * [1, 5, 0.1] + [3, 0, -1]
    target = (rows[:, 0] + random.standard_normal(40) > 3).astype(int)
    fitted = fit_logistic(rows, target, l2=0.5)
    x, weights, bias = (rows - rows.mean(0)) / rows.std(0), np.zeros((2, 3)), np.zeros(2)
    for _ in range(3_000):
        logits = x @ weights.T + bias
        off = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(2)[target]
        weights -= 0.02 * (off.T @ x + 0.5 * weights)
        bias -= 0.02 * off.sum(0)
    assert fitted.weights == pytest.approx(weights, abs=1e-3)
    assert fitted.logits(rows) == pytest.approx(x @ weights.T + bias, abs=5e-3)


def test_the_number_of_the_subject_is_read_and_random_labels_of_words_are_not(
    embedded: Callable,
) -> None:
    pairs = load_prompt_set("agreement").pairs[:16]
    prompts = [text for pair in pairs for text in (pair.clean, pair.corrupt)]
    labels = [("plural" if pair.answer in ("are", "were") else "singular") for pair in pairs]
    other = {"plural": "singular", "singular": "plural"}
    named = [each for label in labels for each in (label, other[label])]
    words, sites = embedded("words-4l"), ["embed", "resid_post.3"]
    groups = [number for number in range(len(pairs)) for _ in range(2)]
    analysis = mt.probe(words, prompts, named, sites, groups=groups, folds=3)
    found = probe_of(analysis)
    assert found.best == "resid_post.3"
    assert found.mean[1] > 0.9
    assert found.mean[1] - found.chance > 0.3
    assert found.selectivity[1] > 0.25
    assert found.mean[0] == pytest.approx(0.5)  # both of a pair end alike: one of them is wrong
    alone = probe_of(mt.probe(words, prompts, named, sites[:1], folds=3))
    assert alone.mean[0] < 0.5  # the other of the pair was seen with the opposite label
    again = probe_of(mt.probe(words, prompts, named, sites[:1], groups=groups, folds=3))
    assert np.array_equal(again.accuracy[0], found.accuracy[0])
    assert probe_of(probe_analysis(found)).params["labels"] == ["plural", "singular"]


def test_the_direction_of_a_label_is_where_its_logit_grows() -> None:
    random = np.random.default_rng(1)
    rows = random.standard_normal((60, 4)) * [1, 3, 0.2, 1]
    target = (rows[:, 1] > 0).astype(int)
    fitted = fit_logistic(rows, target)
    step = 1e-4 * fitted.directions[1]
    gain = (fitted.logits(rows + step) - fitted.logits(rows))[0]
    assert gain[1] - gain[0] > 0
    other = 1e-4 * random.standard_normal((50, 4))
    other *= 1e-4 / np.linalg.norm(other, axis=1, keepdims=True)
    gains = (fitted.logits(rows[:1] + other) - fitted.logits(rows[:1])) @ [-1, 1]
    assert gains.max() < gain[1] - gain[0]  # no other step of that length gains as much
    assert np.linalg.norm(fitted.directions, axis=1) == pytest.approx(1)


def test_control_labels_are_as_frequent_as_the_concept_s_and_hang_on_the_word_alone() -> None:
    random = np.random.default_rng(0)
    types, target = random.integers(0, 40, 400), (np.arange(400) % 4 == 0).astype(int)
    draws = list(_controls(types, target, seed=0))
    for labels in draws:
        of_word = {(int(word), int(label)) for word, label in zip(types, labels, strict=True)}
        assert len(of_word) == len(set(types.tolist()))  # one label a word
        assert sum(label for _, label in of_word) == 10  # a quarter of the words
    assert not np.array_equal(draws[0], draws[1])
    few = next(_controls(np.arange(100) % 3, np.array([0] * 99 + [1]), seed=0))
    assert set(few.tolist()) == {0, 1}


def test_labelled_prompts_are_read_from_lines_tables_and_sets(tmp_path: Path) -> None:
    held = example_prompts("grammar", 2)
    assert (held.labels[:2], held.groups) == (("singular", "plural"), (0, 0, 1, 1))
    assert parse_labelled(lines_of(held)) == held
    every = list(zip(held.prompts, held.labels, held.groups, strict=True))
    rows = [dict(zip(("prompt", "label", "group"), one, strict=True)) for one in every]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = [f"{label}\t{prompt}\t{group}" for prompt, label, group in every]
    (tmp_path / "c.txt").write_text("\n".join(lines))
    for name in ("a.json", "b.jsonl", "c.txt"):
        assert read_labelled(tmp_path / name) == held
    (tmp_path / "ids.json").write_text('[{"prompt": [1, 2], "label": "x"}]')
    assert read_labelled(tmp_path / "ids.json").prompts == ((1, 2),)
    for name, text in (("d.json", "{}"), ("e.csv", "a,b\n1,2"), ("f.txt", ""), ("g.txt", "x | ")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError):
            read_labelled(tmp_path / name)
    with pytest.raises(InputError, match=r"none\.txt cannot be read"):
        read_labelled(tmp_path / "none.txt")
    with pytest.raises(InputError, match="Known: grammar, sentiment, entity"):
        example_prompts("music")


def test_the_command_probes_an_example_and_keeps_it(
    embedded: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words = embedded("words-4l")
    monkeypatch.setattr("microtome.models.loading.load_model", lambda *_, **__: words)
    out = tmp_path / "probe.h5"
    given = ["probe", "words-4l", "--example", "sentiment", "--limit", "4", "--folds", "2",
             "--sites", "resid_post.0,mlp_out.1", "--out", str(out)]  # fmt: skip
    assert main([*given, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["site"] for row in rows] == ["resid_post.0", "mlp_out.1"]
    (analysis,) = mt.open_session(out).analyses.values()
    assert probe_of(analysis).mean.tolist() == [row["accuracy"] for row in rows]
    assert probe_of(analysis).labels == ("bad", "good")
    assert main(given) == 0
    assert "best read at" in capsys.readouterr().out
    assert main(["probe", "words-4l"]) == 2
    assert "--example" in capsys.readouterr().err


def test_words_that_are_learned_by_heart_show_in_the_control(embedded: Callable) -> None:
    nouns = ["key", "road", "queen", "king", "store", "film", "novel", "mountain"]
    fronts = ["The", "A", "Mary and the", "John and the", "I and the"]
    prompts = [f"{front} {noun}" for noun in nouns for front in fronts]
    living = ["yes" if noun in ("queen", "king", "key", "road") else "no" for noun in nouns]
    labels = [label for label in living for _ in fronts]
    found = probe_of(mt.probe(embedded("words-4l"), prompts, labels, ["embed"], folds=5))
    assert found.mean[0] > 0.9
    assert abs(found.selectivity[0]) < 0.15  # random labels are read from words as well


def test_what_cannot_be_probed_is_refused(embedded: Callable) -> None:
    words, texts = embedded("words-4l"), ["The key", "The road", "The queen", "The king"]
    for prompts, labels, message in (
        (texts, ["a"], "4 prompts came with 1 labels"),
        (texts, ["a"] * 4, "All prompts are labelled 'a'"),
        (["The key", "The key"], ["a", "b"], "labelled a and b"),
        (texts, ["a", "a", "b", "b"], "2 different prompts or groups are labelled a, for 5 folds"),
    ):
        with pytest.raises(InputError, match=message):
            mt.probe(words, prompts, labels)
    two = ["a", "a", "b", "b"]
    for sites, message in (
        (["pattern.0"], "no vector at each position"), (["resid_post"], "names no layer"),
        (["resid_post.9"], "in no layer of words-4l, which has 4"), ([], "No site was given"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            mt.probe(words, texts, two, sites, folds=2)
    odd = mt.probe(words, ["The xylophone", *texts[1:]], two, ["embed"], folds=2)
    assert odd.params["unknown"] == ["xylophone"]
    with pytest.raises(InputError, match="none at position 7"):
        mt.probe(words, texts, ["a", "a", "b", "b"], folds=2, position=7)
