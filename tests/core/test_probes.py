"""Linear probes: the optimum of the fit, what words-4l knows, and what a probe cannot read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import microtome as mt
from microtome.analysis.logistic import fit_logistic
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
    with pytest.raises(InputError, match="none at position 7"):
        mt.probe(words, texts, ["a", "a", "b", "b"], folds=2, position=7)
