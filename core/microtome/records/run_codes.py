"""Which features of a sparse dictionary are on in one run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, slots=True, eq=False)
class RunCodes:
    """The activations above 0 of one run, by falling size; row i of each array is one of them."""

    positions: int  # of the run
    position: Int[np.ndarray, " entry"]
    feature: Int[np.ndarray, " entry"]
    value: Float[np.ndarray, " entry"]

    @property
    def nbytes(self) -> int:
        """What it takes in memory, about."""
        return self.position.nbytes + self.feature.nbytes + self.value.nbytes

    def of(self, feature: int) -> Float[np.ndarray, " position"]:
        """One feature's activation at each position."""
        held, mine = np.zeros(self.positions, np.float32), self.feature == feature
        held[self.position[mine]] = self.value[mine]
        return held

    def at(self, position: int | None) -> Int[np.ndarray, " feature"]:
        """The features that are on at a position, or anywhere, the strongest first."""
        mine = self.feature if position is None else self.feature[self.position == position]
        _, first = np.unique(mine, return_index=True)
        return np.asarray(mine[np.sort(first)])
