"""Figures of a training: means over the steps since the figure before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from microtome.features.training.gradients import Found
from microtome.features.training.state import State

_DENSE = 0.1  # of the rows: a feature that is on in more is called dense


@dataclass(slots=True, eq=False)
class Window:
    """Sums since the last figure; kept in checkpoints, so that a continuation has equal figures."""

    on: Tensor  # [*feature] rows that each was on in
    sums: Tensor = field(default_factory=lambda: torch.zeros(4, dtype=torch.float64))

    @classmethod
    def over(cls, state: State) -> Window:
        """Before the first step."""
        return cls(torch.zeros(state.form.shape, dtype=torch.int64))

    def add(self, found: Found, rows: int) -> None:
        """Take a step in."""
        self.on += found.on
        self.sums += torch.tensor([1, rows, found.loss, found.error], dtype=torch.float64)

    def point(self, state: State, variance: float, recovered: float = math.nan) -> dict[str, float]:
        """The figures, and an empty window; ``variance`` is that of a row in training units."""
        steps, rows, loss, error = self.sums.tolist()
        rate = self.on / rows
        point = {
            "step": state.step,
            "loss": loss / steps,
            "l0": float(rate.sum()),
            "explained_variance": 1 - error / steps / variance,
            "dead": float(state.dead.double().mean()),
            "dense": float((rate > _DENSE).double().mean()),
            "rate": state.plan.rate_at(state.step - 1),
            "recovered": recovered,
        }
        self.on.zero_()
        self.sums.zero_()
        return point

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of it."""
        return {"window.on": self.on, "window.sums": self.sums}

    @classmethod
    def of(cls, held: Mapping[str, Tensor]) -> Window:
        """The window that ``tensors`` gave."""
        return cls(held["window.on"], held["window.sums"])
