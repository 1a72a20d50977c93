"""Metrics: values against plain sums, words against a small vocabulary."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.errors import AnswerError, MetricError
from microtome.metrics import LogitDifference, LogitOverMean, default_metric


class Words:
    """A vocabulary of four words."""

    texts = ("Mary", "John", "store", "went")

    def answer_token(self, word):
        if isinstance(word, str) and word not in self.texts:
            raise AnswerError(f"{word!r} is not a word")
        return word if isinstance(word, int) else self.texts.index(word)

    def token_text(self, token):
        return self.texts[token]


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(3, 4))


def test_a_logit_difference_is_the_difference(logits):
    metric = LogitDifference("Mary", "John").resolve(Words())
    assert metric(logits) == pytest.approx(logits[:, 0] - logits[:, 1])
    assert metric.name(Words()) == "logit(Mary) \N{MINUS SIGN} logit(John)"


def test_a_logit_over_the_mean_is_the_distance_to_the_mean(logits):
    metric = LogitOverMean("store").resolve(Words())
    assert metric(logits) == pytest.approx(logits[:, 2] - logits.mean(axis=1))


@pytest.mark.parametrize("metric", [LogitDifference(2, 0), LogitOverMean(3)])
def test_torch_and_numpy_agree(logits, metric):
    found = metric(torch.tensor(logits))
    assert found.numpy() == pytest.approx(metric(logits), abs=1e-12)


def test_a_metric_with_words_asks_to_be_resolved(logits):
    with pytest.raises(MetricError, match="resolve"):
        LogitDifference("Mary", "John")(logits)


def test_the_same_word_twice_is_refused():
    with pytest.raises(MetricError, match="Mary"):
        LogitDifference("Mary", 0).resolve(Words())


def test_resolving_keeps_the_position():
    assert LogitDifference("Mary", "John", position=3).resolve(Words()).position == 3


def test_default_with_both_answers_is_their_difference(logits):
    chosen = default_metric(Words(), logits[0], None, "Mary", "went")
    assert chosen == LogitDifference(0, 3)


def test_default_with_an_answer_alone_compares_with_the_mean(logits):
    assert default_metric(Words(), logits[0], None, "John") == LogitOverMean(1)


def test_default_with_nothing_takes_the_most_probable_token(logits):
    assert default_metric(Words(), logits[0]) == LogitOverMean(int(np.argmax(logits[0])))


def test_default_of_a_pair_takes_the_two_most_probable_tokens():
    clean, corrupt = np.array([3.0, 1, 0, 0]), np.array([0.0, 2, 0, 0])
    assert default_metric(Words(), clean, corrupt) == LogitDifference(0, 1)
    assert default_metric(Words(), clean, clean) == LogitOverMean(0)


def test_a_wrong_answer_alone_is_refused(logits):
    with pytest.raises(MetricError, match="without an answer"):
        default_metric(Words(), logits[0], None, None, "John")


def test_an_unknown_word_is_refused_by_name(logits):
    with pytest.raises(AnswerError, match="Zoe"):
        default_metric(Words(), logits[0], None, "Zoe")
