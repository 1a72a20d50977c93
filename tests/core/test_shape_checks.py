"""The shape checks that all tests of the engine run under do check shapes."""

from __future__ import annotations

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintParamViolation, BeartypeCallHintReturnViolation

from microtome.analysis import aligning
from microtome.metrics import default_metric
from microtome.records.generation import Generation


class Letters:
    """A vocabulary."""

    def answer_token(self, word):
        return "abcd".index(word)

    def token_text(self, token):
        return "abcd"[token]


def test_a_number_of_axes_that_was_not_meant_is_seen():
    with pytest.raises(BeartypeCallHintParamViolation, match="clean_logits"):
        default_metric(Letters(), np.zeros((2, 3)))


def test_an_axis_has_one_size_in_all_arguments_of_a_call():
    default_metric(Letters(), np.zeros(3), np.zeros(3))
    default_metric(Letters(), np.zeros(4), np.zeros(4))  # and may have another in the next call
    with pytest.raises(BeartypeCallHintParamViolation, match="corrupt_logits"):
        default_metric(Letters(), np.zeros(3), np.zeros(4))


def test_what_a_call_gives_back_has_the_axes_of_what_it_was_given(monkeypatch):
    cloud = np.eye(3)
    assert aligning.alignment(cloud, cloud).shape == (3, 3)
    monkeypatch.setattr(aligning.np, "asarray", lambda values: values[:2, :2])
    with pytest.raises(BeartypeCallHintReturnViolation):
        aligning.alignment(cloud, cloud)


def test_a_record_is_checked_when_it_is_made():
    made = {"model": "", "prompt": "", "tokens": ("a",), "texts": ("b", "c"), "text": "bc"}
    ids, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    Generation(**made, token_ids=ids, ids=two, probabilities=np.zeros(2))
    with pytest.raises(BeartypeCallHintParamViolation, match="probabilities"):
        Generation(**made, token_ids=ids, ids=two, probabilities=np.zeros(3))
