"""Metrics: one number that says how much a model prefers an answer.

A metric is a frozen value called with logits ``[…, vocabulary]``. Words become token ids when
the metric is resolved against a model: the spelling with or without a leading space that is
one token is found, anything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from jaxtyping import Float

from microtome.errors import MetricError, WrongKind, described, expect
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


@runtime_checkable
class Metric(Protocol):
    """What every metric can do. One that reads all positions has ``everywhere`` set."""

    @property
    def position(self) -> int:
        """The position read, -1 for the last."""
        ...

    def resolve(self, vocabulary: Vocabulary) -> Any:
        """The same metric with token ids in place of words."""
        ...

    def __call__(self, logits: Any) -> Any:
        """The metric of logits ``[…, vocabulary]``: an array ``[…]``."""
        ...

    def name(self, vocabulary: Vocabulary) -> str:
        """How the metric is called on panels and in files."""
        ...


@dataclass(frozen=True, slots=True)
class LinearMetric:
    """A weighted sum of logits. ``position`` is the position read, -1 for the last."""

    answer: Word
    position: int = -1

    def __post_init__(self) -> None:
        expect_word(self.answer, "answer")
        _expect_position(self.position)

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


@dataclass(frozen=True, slots=True)
class _AnswerMetric:
    """A number read from the distribution at one position that asks for one answer."""

    answer: Word
    position: int = -1

    def __post_init__(self) -> None:
        expect_word(self.answer, "answer")
        _expect_position(self.position)

    def resolve(self, vocabulary: Vocabulary) -> _AnswerMetric:
        """The same metric with a token id in place of a word."""
        return replace(self, answer=vocabulary.answer_token(self.answer))

    def _text(self, vocabulary: Vocabulary) -> str:
        return vocabulary.token_text(_token(self.answer)).strip()


@dataclass(frozen=True, slots=True)
class LogProbability(_AnswerMetric):
    """Logarithm of the probability of the answer, in nats."""

    def __call__(self, logits: Any) -> Any:
        """The metric of logits ``[…, vocabulary]``, numpy or torch: an array ``[…]``."""
        return _log_softmax(logits)[..., _token(self.answer)]

    def name(self, vocabulary: Vocabulary) -> str:
        """For example ``log p(Mary)``."""
        return f"log p({self._text(vocabulary)})"


@dataclass(frozen=True, slots=True)
class Probability(_AnswerMetric):
    """Probability of the answer, 0 to 1."""

    def __call__(self, logits: Any) -> Any:
        """The metric of logits ``[…, vocabulary]``, numpy or torch: an array ``[…]``."""
        chosen = _log_softmax(logits)[..., _token(self.answer)]
        return np.exp(chosen) if isinstance(chosen, np.ndarray | np.generic) else chosen.exp()

    def name(self, vocabulary: Vocabulary) -> str:
        """For example ``p(Mary)``."""
        return f"p({self._text(vocabulary)})"


@dataclass(frozen=True, slots=True)
class Rank(_AnswerMetric):
    """How many tokens are more probable than the answer: 0 for the most probable one.

    It has no gradient and is no sum of contributions: it serves sweeps only.
    """

    def __call__(self, logits: Any) -> Any:
        """The metric of logits ``[…, vocabulary]``, numpy or torch: an array ``[…]``."""
        token = _token(self.answer)
        above = logits > logits[..., token : token + 1]
        return above.sum(-1) * 1.0

    def name(self, vocabulary: Vocabulary) -> str:
        """For example ``rank of Mary``."""
        return f"rank of {self._text(vocabulary)}"


@dataclass(frozen=True, slots=True, eq=False)
class KL:
    """Kullback-Leibler divergence from the clean run's distribution, in nats; 0 when equal.

    ``reference`` holds the clean logits ``[vocabulary]``, which a sweep fills in.
    """

    position: int = -1
    reference: Float[np.ndarray, " vocabulary"] | None = None

    def __post_init__(self) -> None:
        _expect_position(self.position)

    def resolve(self, vocabulary: Vocabulary) -> KL:
        """The metric itself: it names no word."""
        del vocabulary
        return self

    def against(self, logits: Float[np.ndarray, " vocabulary"]) -> KL:
        """The divergence from the distribution of these logits."""
        return replace(self, reference=np.asarray(logits, dtype=np.float64))

    def __call__(self, logits: Any) -> Any:
        """The metric of logits ``[…, vocabulary]``, numpy or torch: an array ``[…]``.

        Raises MetricError before the reference is known.
        """
        if self.reference is None:
            raise MetricError(
                "The KL divergence has no distribution to compare with.", "Call against(logits)."
            )
        known = _log_softmax(self.reference)
        if isinstance(logits, np.ndarray):
            return (np.exp(known) * (known - _log_softmax(logits))).sum(-1)
        there = logits.new_tensor(known)
        return (there.exp() * (there - _log_softmax(logits))).sum(-1)

    def name(self, vocabulary: Vocabulary) -> str:
        """Always ``KL from clean``."""
        del vocabulary
        return "KL from clean"


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """Mean cross-entropy of each next token of the prompt, in nats; it reads all positions.

    ``targets`` are the tokens that follow each position, which a sweep fills in.
    """

    targets: tuple[int, ...] = ()
    everywhere: ClassVar[bool] = True
    position: ClassVar[int] = -1

    def resolve(self, vocabulary: Vocabulary) -> Loss:
        """The metric itself: it names no word."""
        del vocabulary
        return self

    def following(self, ids: Sequence[int]) -> Loss:
        """The loss on a prompt of these token ids."""
        if len(ids) < 2:
            raise MetricError("The loss needs a prompt of two tokens or more.")
        return replace(self, targets=tuple(int(token) for token in ids[1:]))

    def __call__(self, logits: Any) -> Any:
        """The metric of logits ``[…, position, vocabulary]``, numpy or torch: an array ``[…]``."""
        if not self.targets:
            raise MetricError("The loss does not know the tokens.", "Call following(ids).")
        places = list(range(len(self.targets)))
        return -_log_softmax(logits)[..., places, list(self.targets)].mean(-1)

    def name(self, vocabulary: Vocabulary) -> str:
        """Always ``loss``."""
        del vocabulary
        return "loss"


@dataclass(frozen=True, slots=True, eq=False)
class CustomMetric:
    """A user's own function of logits.

    ``function`` is given logits as float arrays of the library in use (torch in a sweep),
    ``[…, vocabulary]`` at ``position``, or ``[…, position, vocabulary]`` with ``everywhere``,
    and returns ``[…]``.
    """

    function: Callable[[Any], Any]
    title: str = "custom metric"
    position: int = -1
    everywhere: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise WrongKind(
                f"{described(self.function)} is no function of logits.",
                "Write for example CustomMetric(lambda logits: logits[..., 3]).",
            )
        _expect_position(self.position)

    def resolve(self, vocabulary: Vocabulary) -> CustomMetric:
        """The metric itself."""
        del vocabulary
        return self

    def __call__(self, logits: Any) -> Any:
        """What the function returns for these logits."""
        return self.function(logits)

    def name(self, vocabulary: Vocabulary) -> str:
        """The title given."""
        del vocabulary
        return self.title


def reads_everywhere(metric: Metric) -> bool:
    """Whether a metric needs the logits of all positions."""
    return bool(getattr(metric, "everywhere", False))


def _expect_position(position: object) -> None:
    whole = (int, SupportsIndex)
    expect(position, whole, "position", "a whole number", "Write -1 for the last.")


def _log_softmax(logits: Any) -> Any:
    if isinstance(logits, np.ndarray):
        shifted = logits - logits.max(-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return logits.log_softmax(-1)


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
