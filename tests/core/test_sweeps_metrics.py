"""The metrics of sweeps against plain formulas, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import AnswerError, MetricError

ROWS, SIZE = 5, 7


class Words:
    """A vocabulary of letters."""

    def answer_token(self, word):
        if isinstance(word, str) and word not in "abcdefg":
            raise AnswerError(f"{word!r} is not a word")
        return word if isinstance(word, int) else "abcdefg".index(word)

    def token_text(self, token):
        return f" {'abcdefg'[token]}"


@pytest.fixture
def logits():
    return 3 * np.random.default_rng(1).normal(size=(ROWS, SIZE))


def _probabilities(row):
    powers = [np.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


PLAINLY = {
    "log p(c)": (mt.LogProbability("c"), lambda row: np.log(_probabilities(row)[2])),
    "p(c)": (mt.Probability("c"), lambda row: _probabilities(row)[2]),
    "rank of c": (mt.Rank("c"), lambda row: sorted(row, reverse=True).index(row[2])),
}


@pytest.mark.parametrize("name", PLAINLY)
def test_metrics_of_one_answer(logits, name):
    metric, plainly = PLAINLY[name]
    metric = metric.resolve(Words())
    assert metric.name(Words()) == name
    expected = [plainly(list(row)) for row in logits]
    np.testing.assert_allclose(metric(logits), expected, rtol=1e-12, atol=1e-12)
    assert len(set(expected)) > 2
    found = metric(torch.tensor(logits))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_large_logits_overflow_nowhere():
    logits = np.array([[2000.0, 0.0, -2000.0]])
    assert mt.LogProbability(2)(logits)[0] == -4000
    assert mt.Probability(0)(logits)[0] == 1
    assert mt.KL().against(logits[0, ::-1].copy())(logits)[0] == pytest.approx(4000)


def test_divergence_from_the_clean_distribution(logits):
    metric = mt.KL().resolve(Words()).against(logits[0])
    clean = _probabilities(logits[0])
    expected = []
    for row in logits:
        other = _probabilities(row)
        expected.append(sum(p * np.log(p / q) for p, q in zip(clean, other, strict=True)))
    np.testing.assert_allclose(metric(logits), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(metric(torch.tensor(logits)), expected, rtol=1e-10, atol=1e-12)
    assert metric(logits)[0] == pytest.approx(0, abs=1e-12)
    with pytest.raises(MetricError, match="no distribution to compare with"):
        mt.KL()(logits)


def test_loss_is_the_mean_of_each_next_token(logits):
    ids = (3, 1, 1, 6, 0)
    metric = mt.Loss().resolve(Words()).following(ids)
    each = [-np.log(_probabilities(logits[at])[ids[at + 1]]) for at in range(ROWS - 1)]
    batch = np.stack([logits, logits[::-1]])
    assert metric(batch)[0] == pytest.approx(np.mean(each), rel=1e-12)
    np.testing.assert_allclose(metric(torch.tensor(batch)), metric(batch), rtol=1e-12)
    with pytest.raises(MetricError, match="two tokens or more"):
        mt.Loss().following((3,))
    with pytest.raises(MetricError, match="following"):
        mt.Loss()(batch)


@pytest.mark.parametrize("kind", [mt.LogProbability, mt.Probability, mt.Rank])
def test_words_are_resolved_or_refused(logits, kind):
    assert kind("d", position=2).resolve(Words()) == kind(3, position=2)
    with pytest.raises(MetricError, match="resolve"):
        kind("d")(logits)
    with pytest.raises(AnswerError, match="'zz'"):
        kind("zz").resolve(Words())


def test_a_function_of_the_user_s(logits):
    metric = mt.CustomMetric(lambda x: x.max(-1), "highest")
    np.testing.assert_array_equal(metric(logits), logits.max(-1))
    assert metric.name(Words()) == "highest"


PAIR = mt.PromptPair((3, 17, 4, 60, 22), (3, 17, 40, 60, 22))


@pytest.mark.parametrize("path", ["packed", "blocks", "hooks"])
@pytest.mark.parametrize(
    ("function", "shape"),
    [(lambda x: x.sum(), r"\[\]"), (lambda x: x, r"\[\d+, 61\]")],
    ids=["one number for all", "all logits"],
)
def test_a_function_must_give_a_number_a_run(tiny_model, path, function, shape):
    with pytest.raises(MetricError, match=f"shape {shape} for logits of the shape"):
        mt.patching_sweep(tiny_model("gpt2"), PAIR, mt.CustomMetric(function), path=path)


@pytest.mark.parametrize("path", ["packed", "blocks", "hooks"])
def test_each_metric_in_a_sweep_is_that_of_patched_runs(tiny_model, path):
    model = tiny_model("gpt2")
    value = mt.trace(model, PAIR.clean, sites=["resid_pre"]).activation("resid_pre.1")
    clean = mt.trace(model, PAIR.clean).logits
    run = mt.trace(model, PAIR.corrupt, edits=[mt.Patch("resid_pre.1", value, [2])]).logits
    metrics = {
        mt.LogProbability(5, 3): mt.LogProbability(5)(run[3]),
        mt.Probability(5): mt.Probability(5)(run[-1]),
        mt.Rank(5): mt.Rank(5)(run[-1]),
        mt.KL(-2): mt.KL().against(clean[-2])(run[-2]),
        mt.Loss(): mt.Loss().following(PAIR.corrupt)(run[None])[0],
        mt.CustomMetric(lambda x: (x[..., 3] ** 2).sum(-1), everywhere=True): (
            run[:, 3] ** 2
        ).sum(),
    }
    for metric, expected in metrics.items():
        sweep = mt.patching_sweep(model, PAIR, metric, path=path)
        assert sweep.path == path
        assert sweep.raw[1, 2] == pytest.approx(float(expected), abs=1e-4), metric
        assert np.ptp(sweep.raw) > 1e-4
