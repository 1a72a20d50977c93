"""Direct effects found so far: a row for each logit and each feature that was walked from.

Rows of a layer keep the columns before it alone, since nothing behind acts on it. Influence
begins at the logits with their probabilities and is passed on from rows to columns, each row's
sizes scaled to sum to one; features whose rows are not there yet receive it and pass none on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from microtome.circuits.attribution.replaced import Replaced
from microtome.circuits.attribution.targets import Features

_LEAST = 1e-10  # weights into a node that count as none, as published
_PIECE = 1 << 24  # numbers of a matrix that are looked at in one piece


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of one layer: features by their number among all active ones; for logits, by word."""

    layer: int
    numbers: Int[Tensor, " row"]
    weights: Float[Tensor, "row column"]


@dataclass(slots=True, eq=False)
class Rows:
    """All rows that were found, by layer."""

    held: Replaced
    features: Features
    column: Int[Tensor, " feature"]  # of each active feature
    parts: list[Part] = field(default_factory=list)

    @classmethod
    def of(cls, held: Replaced, features: Features) -> Rows:
        """None yet."""
        firsts = torch.tensor([held.first(layer) for layer in range(held.n_layers)])
        return cls(held, features, firsts[features.layer] + features.row)

    def add_logits(self, weights: Float[Tensor, "word column"]) -> None:
        """The rows of the logits."""
        self.parts.append(Part(self.held.n_layers, torch.arange(len(weights)), weights))

    def add(self, numbers: Int[Tensor, " row"], weights: Float[Tensor, "row column"]) -> None:
        """Rows of some features; each layer keeps what may be there."""
        layers = self.features.layer[numbers]
        for layer in layers.unique().tolist():
            own = (layers == layer).nonzero()[:, 0]
            kept = weights[own.to(weights.device), : self.held.first(layer)]
            self.parts.append(Part(layer, numbers[own], kept))

    @property
    def walked(self) -> Bool[Tensor, " feature"]:
        """Which features have a row."""
        found = torch.zeros(len(self.column), dtype=torch.bool)
        for part in self.parts:
            if part.layer < self.held.n_layers:
                found[part.numbers] = True
        return found

    @property
    def n_bytes(self) -> int:
        """Bytes of all rows."""
        return sum(part.weights.nbytes for part in self.parts)

    def influence(
        self, probability: Float[Tensor, " word"], kept: Bool[Tensor, " column"] | None = None
    ) -> Float[Tensor, " column"]:
        """How much of the logits passes through each column's node, or through some of them.

        Source: ``compute_partial_influences`` of circuit-tracer, solved from the top layer down.
        """
        through = torch.zeros(self.held.n_columns, dtype=torch.float64)
        for part in sorted(self.parts, key=lambda part: -part.layer):
            top = part.layer == self.held.n_layers
            given = probability.double().cpu() if top else through[self.column[part.numbers]]
            for piece, amount in zip(*_pieces(part.weights, given), strict=True):
                sizes = piece.abs()
                if kept is not None:
                    sizes *= kept[: sizes.shape[1]].to(sizes.device)
                total = sizes.sum(1, dtype=torch.float64).clamp(min=_LEAST).cpu()
                share = (amount / total).to(sizes)
                through[: sizes.shape[1]] += (share @ sizes).double().cpu()
        return through


def _pieces(weights: Tensor, given: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    count = max(1, _PIECE // max(1, weights.shape[1]))
    return weights.split(count), given.split(count)
