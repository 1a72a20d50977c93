"""Metrics: one number that says how much a model prefers an answer.

A metric is a frozen value called with logits ``[…, vocabulary]``. Words become token ids when
the metric is resolved against a model: the spelling with or without a leading space that is
one token is found, anything else is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from jaxtyping import Float

from microtome.errors import MetricError, expect
from microtome.prompts import expect_word

Word = str | int


@runtime_checkable
class Vocabulary(Protocol):
    """What a metric needs of a model to turn words into token ids."""

    def answer_token(self, word: Word) -> int:
        """The id of a word that is exactly one token; AnswerError otherwise."""
        ...

    def token_text(self, token: int) -> str:
        """How a token reads."""
        ...


@dataclass(frozen=True, slots=True)
class LinearMetric:
    """A weighted sum of logits. ``position`` is the position read, -1 for the last."""

    answer: Word
    position: int = -1

    def __post_init__(self) -> None:
        expect_word(self.answer, "answer")
        whole = (int, SupportsIndex)
        expect(self.position, whole, "position", "a whole number", "Write -1 for the last.")

    def resolve(self, vocabulary: Vocabulary) -> LinearMetric:
        """The same metric with token ids in place of words."""
        return replace(self, answer=vocabulary.answer_token(self.answer))

    def coefficients(self, size: int) -> Float[np.ndarray, " vocabulary"]:
        """The weight of each logit, float64.

        Raises MetricError when the metric still holds words.
        """
        raise NotImplementedError

    def __call__(self, logits: Any) -> Any:
        """The metric of logits ``[…, vocabulary]``, numpy or torch: an array ``[…]``."""
        weights = self.coefficients(int(logits.shape[-1]))
        if isinstance(logits, np.ndarray):
            return logits @ weights.astype(logits.dtype)
        return logits @ logits.new_tensor(weights)

    def name(self, vocabulary: Vocabulary) -> str:
        """How the metric is called on panels and in files."""
        raise NotImplementedError


def _token(word: Word) -> int:
    if isinstance(word, str):
        raise MetricError(
            f"The metric still holds the word {word!r}.", "Call resolve(model) first."
        )
    return word


@dataclass(frozen=True, slots=True)
class LogitDifference(LinearMetric):
    """Logit of the answer minus logit of the wrong answer."""

    wrong: Word = 0

    def __init__(self, answer: Word, wrong: Word, position: int = -1) -> None:
        object.__setattr__(self, "answer", answer)
        object.__setattr__(self, "wrong", wrong)
        object.__setattr__(self, "position", position)
        self.__post_init__()
        expect_word(wrong, "wrong")

    def resolve(self, vocabulary: Vocabulary) -> LinearMetric:
        """The same metric with token ids in place of words.

        Raises MetricError when both words are the same token.
        """
        answer, wrong = (vocabulary.answer_token(word) for word in (self.answer, self.wrong))
        if answer == wrong:
            text = vocabulary.token_text(answer)
            raise MetricError(
                f"Answer and wrong answer are both {text!r}.", "Give two different words."
            )
        return replace(self, answer=answer, wrong=wrong)

    def coefficients(self, size: int) -> Float[np.ndarray, " vocabulary"]:
        """+1 at the answer, -1 at the wrong answer."""
        weights = np.zeros(size)
        weights[_token(self.answer)] = 1.0
        weights[_token(self.wrong)] = -1.0
        return weights

    def name(self, vocabulary: Vocabulary) -> str:
        """For example ``logit(Mary) - logit(John)``."""
        answer, wrong = (vocabulary.token_text(_token(word)) for word in (self.answer, self.wrong))
        return f"logit({answer.strip()}) \N{MINUS SIGN} logit({wrong.strip()})"


@dataclass(frozen=True, slots=True)
class LogitOverMean(LinearMetric):
    """Logit of the answer minus the mean logit of the vocabulary."""

    def coefficients(self, size: int) -> Float[np.ndarray, " vocabulary"]:
        """+1 at the answer, minus one over the vocabulary size everywhere."""
        weights = np.full(size, -1.0 / size)
        weights[_token(self.answer)] += 1.0
        return weights

    def name(self, vocabulary: Vocabulary) -> str:
        """For example ``logit(Mary) - mean logit``."""
        answer = vocabulary.token_text(_token(self.answer)).strip()
        return f"logit({answer}) \N{MINUS SIGN} mean logit"


def default_metric(
    vocabulary: Vocabulary,
    clean_logits: Float[np.ndarray, " vocabulary"],
    corrupt_logits: Float[np.ndarray, " vocabulary"] | None = None,
    answer: Word | None = None,
    wrong: Word | None = None,
    position: int = -1,
) -> LinearMetric:
    """The metric of a question, from what it names and the logits at the position it reads.

    With answer and wrong answer the logit difference; with an answer alone its logit minus the
    mean logit; with neither the same for the most probable token, or, for a pair whose most
    probable tokens differ, their difference.
    Raises AnswerError for an answer that is not one token, MetricError for a wrong answer alone.
    """
    if wrong is not None and answer is None:
        raise MetricError("A wrong answer was given without an answer.", "Give the answer too.")
    if answer is not None and wrong is not None:
        return LogitDifference(answer, wrong, position).resolve(vocabulary)
    if answer is not None:
        return LogitOverMean(answer, position).resolve(vocabulary)
    top = int(np.argmax(clean_logits))
    other = top if corrupt_logits is None else int(np.argmax(corrupt_logits))
    if other == top:
        return LogitOverMean(top, position)
    return LogitDifference(top, other, position)
