"""What a search for swaps asks, and the prompts that it proposes and runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from microtome.errors import MetricError
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.prompts import Prompt
from microtome.suites.choices import Ids


@dataclass(frozen=True, slots=True, eq=False)
class Flip:
    """The question: a prompt, its answer, and what it is compared with."""

    model: Model
    prompt: Prompt
    tokens: Tokens
    answer: int
    wrong: int | None

    @classmethod
    def of(cls, model: Model, prompt: Prompt, answer: Any, wrong: Any) -> Flip:
        """What is asked of a model. Raises MetricError for the same answer twice."""
        other = None if wrong is None else model.answer_token(wrong)
        held = cls(model, prompt, model.tokenize(prompt), model.answer_token(answer), other)
        if held.answer == other:
            raise MetricError(
                f"Answer and wrong answer are both {answer!r}.", "Give two different words."
            )
        return held

    @property
    def ids(self) -> Ids:
        """The prompt as the model reads it."""
        return tuple(int(token) for token in self.tokens.ids)

    @property
    def kept(self) -> frozenset[int]:
        """The tokens of answer and wrong answer, as they may be written within a text."""
        lexicon = self.model.lexicon
        named = [
            lexicon.token_text(one).strip() for one in (self.answer, self.wrong) if one is not None
        ]
        return frozenset(i for i in self.ids if lexicon.token_text(i).strip() in named)


@dataclass(frozen=True, slots=True)
class Proposed:
    """One prompt, and how near each token that was swapped is to the one before."""

    ids: Ids
    cosines: tuple[float, ...] = ()

    @property
    def near(self) -> float:
        """The mean cosine."""
        return float(np.mean(self.cosines)) if self.cosines else 1.0


@dataclass(frozen=True, slots=True)
class Tried(Proposed):
    """One prompt that was run."""

    margin: float = 0.0
    probability: float = 0.0
    said: int = -1  # the most probable token
    other: int = -1  # the token that the answer is compared with

    @property
    def rank(self) -> tuple[float, ...]:
        """First what flips, of that the fewest and nearest swaps; then by margin."""
        near = -round(self.near, 6)
        return (0, len(self.cosines), near) if self.margin < 0 else (1, self.margin, near)
