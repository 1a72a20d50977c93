"""Which features are on at which tokens of a prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, slots=True, eq=False)
class Firing:
    """The features that are on in a prompt, an entry each time, in the order of positions.

    ``value`` is the activation; what is not named is off.
    """

    dictionary: str
    tokens: tuple[str, ...]
    position: Int[np.ndarray, " entry"]
    feature: Int[np.ndarray, " entry"]
    value: Float[np.ndarray, " entry"]

    def of(self, feature: int) -> Float[np.ndarray, " position"]:
        """The activation of one feature at each token, 0 where it is off."""
        held = np.zeros(len(self.tokens), np.float32)
        chosen = self.feature == feature
        held[self.position[chosen]] = self.value[chosen]
        return held

    def at(self, position: int) -> tuple[tuple[int, float], ...]:
        """The features that are on at a token, with their activations, strongest first."""
        chosen = np.flatnonzero(self.position == position)
        order = chosen[np.argsort(-self.value[chosen], kind="stable")]
        return tuple(zip(self.feature[order].tolist(), self.value[order].tolist(), strict=True))
