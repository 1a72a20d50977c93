"""How the next token is chosen from its logits."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError, expect


@dataclass(frozen=True, slots=True)
class Sampling:
    """Settings of sampling, and the seed that makes it repeatable.

    At temperature 0 the most probable token is taken. Above, logits are divided by it, then all
    but the ``top_k`` largest are left out, then all behind the fewest that together have the
    probability ``top_p``.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        number = (int, float, np.number)
        expect(self.temperature, number, "temperature", "a number", "Write temperature=0.8.")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(
                f"The temperature {self.temperature} cannot be used.",
                "Give 0 for the most probable token, or for example 0.8.",
            )
        if self.top_k is not None:
            expect(self.top_k, int, "top_k", "a whole number", "Write top_k=40.")
            if self.top_k < 1:
                raise InputError(f"top_k is {self.top_k}.", "Give 1 or more, or leave it out.")
        if self.top_p is not None:
            expect(self.top_p, number, "top_p", "a number", "Write top_p=0.9.")
            if not 0 < self.top_p <= 1:
                raise InputError(
                    f"top_p is {self.top_p}.", "Give a share above 0 and up to 1, or leave it out."
                )
        expect(self.seed, int, "seed", "a whole number", "Write seed=0.")
        if self.seed < 0:
            raise InputError(f"The seed is {self.seed}.", "Give 0 or more.")

    @property
    def params(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)

    def choose(self, logits: Float[np.ndarray, " vocabulary"], draw: float) -> int:
        """The token that a number from 0 to 1 falls on, tokens laid out by their number."""
        if self.temperature == 0:
            return int(np.argmax(logits))
        reached = np.cumsum(self.probabilities(logits))
        # Rounding may leave the sum below 1.
        return int(np.searchsorted(reached, draw * reached[-1], side="right"))

    def probabilities(
        self, logits: Float[np.ndarray, " vocabulary"]
    ) -> Float[np.ndarray, " vocabulary"]:
        """How probable each token is to be chosen, above temperature 0."""
        scaled = logits.astype(np.float64) / self.temperature
        if self.top_k is not None and self.top_k < len(scaled):
            least = np.partition(scaled, -self.top_k)[-self.top_k]
            scaled = np.where(scaled < least, -np.inf, scaled)
        chances = softmax(scaled)
        if self.top_p is None:
            return chances
        order = np.argsort(-chances, kind="stable")
        before = np.cumsum(chances[order]) - chances[order]
        chances[order[before >= self.top_p]] = 0.0
        return np.asarray(chances / chances.sum())


def softmax(logits: Float[np.ndarray, " vocabulary"]) -> Float[np.ndarray, " vocabulary"]:
    """Probabilities of logits, float64."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max())
    return np.asarray(powers / powers.sum())
