"""Sums over positions of text: what dictionaries do with activations, what a model says."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

_DENSE = 0.1  # of the positions
_SURE = 0.9


@dataclass(slots=True, eq=False)
class Seen:
    """Sums over positions of what a dictionary does with activations."""

    on: Tensor
    sum: Tensor
    squares: float = 0.0
    missed: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, features: int, width: int) -> Seen:
        """Before the first position."""
        return cls(
            torch.zeros(features, dtype=torch.int64), torch.zeros(width, dtype=torch.float64)
        )

    def add(self, codes: Tensor, written: Tensor, target: Tensor) -> None:
        """Take positions in: codes, what they write, and what they should write."""
        wide = target.double()
        self.on += (codes > 0).sum(0)
        self.sum += wide.sum(0)
        self.squares += float(wide.square().sum())
        self.missed += float((written.double() - wide).square().sum())
        self.count += len(target)

    def told(self) -> dict[str, float]:
        """The figures of what was taken in."""
        variance = self.squares - float(self.sum @ self.sum) / self.count
        rate = self.on / self.count
        return {
            "explained_variance": 1 - self.missed / variance,
            "l0": float(rate.sum()),
            "dead": float((self.on == 0).double().mean()),
            "dense": float((rate > _DENSE).double().mean()),
        }


@dataclass(slots=True, eq=False)
class Said:
    """Sums over positions of what a model predicts, as it is and with something in place.

    With ``own_answers`` what is right at a position is what the model itself answers there: of a
    model whose answers are classes no text says them.
    """

    own_answers: bool = False
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, ids: Tensor, kept: Tensor, own: Tensor, put: Tensor, zeroed: Tensor) -> None:
        """Take a pass in: each position but the last predicts the token behind it."""
        if self.own_answers:
            asked, behind = kept, own.argmax(-1)
        else:
            asked, behind = kept[:, :-1], ids[:, 1:]
            own, put, zeroed = (values[:, :-1] for values in (own, put, zeroed))
        right = behind[asked]
        before = own[asked].log_softmax(-1)
        after = put[asked].log_softmax(-1)
        self._take("own", -before.gather(1, right[:, None]))
        self._take("put", -after.gather(1, right[:, None]))
        self._take("kl", (before.exp() * (before - after)).sum(1))
        best = before.max(1)
        same = (best.indices == after.argmax(1)).double()
        self._take("same", same)
        self._take("sure", same[best.values > math.log(_SURE)])
        chances = zeroed[asked].log_softmax(-1)
        self._take("zeroed", -chances.gather(1, right[:, None]))

    def _take(self, name: str, values: Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(values.double().sum())
        self.counts[name] = self.counts.get(name, 0) + values.numel()

    def mean(self, name: str) -> float:
        """The mean over positions; NaN where there was none."""
        return self.sums[name] / self.counts[name] if self.counts[name] else math.nan
