"""The logits that a graph explains, and rows of targets in chunks that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from microtome.circuits.attribution.replaced import Replaced
from microtome.circuits.attribution.walk import Targets
from microtome.models.arithmetic import Run
from microtome.models.operations import soft_cap

# Vectors of one walk that are enough for fast products, and more would only take memory.
_VECTORS = 16_384
# Arrays of a vector's length that a walk holds at a time.
_COPIES = 7


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """Words that are explained: how probable each is, and its logit beyond the mean of all."""

    ids: Int[Tensor, " word"]
    probability: Float[Tensor, " word"]
    value: Float[Tensor, " word"]  # before a soft cap
    words: Float[Tensor, "word d_read"]  # unembedding columns less the mean one
    bias: Float[Tensor, " word"]  # of the unembedding, less the mean one


def likely(run: Run, position: int, probability: float, most: int) -> Logits:
    """The fewest words that together have a probability, at most so many.

    Before a soft cap logits are linear in the stream, so that those are explained.
    """
    anatomy = run.anatomy
    raw = run.raw_logits(position)
    p = soft_cap(raw, anatomy.soft_cap).softmax(-1)
    best = p.topk(min(most, len(p)))
    reached = best.values.double().cumsum(0)
    count = int((reached < probability).sum()) + 1
    ids = best.indices[:count]
    bias = anatomy.unembedding_bias
    own = raw.new_zeros(len(ids)) if bias is None else bias[ids] - bias.mean()
    words = anatomy.unembedding[ids] - anatomy.unembedding.mean(0)
    return Logits(ids, p[ids], raw[ids] - raw.mean(), words, own)


def logit_targets(held: Replaced, logits: Logits) -> Targets:
    """Logits as targets of a walk."""
    count, device = len(logits.ids), logits.ids.device
    layer = torch.full((count,), held.n_layers, device=device)
    position = torch.full((count,), held.frozen.position, device=device)
    return Targets(layer, position, held.frozen.direction(logits.words))


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """All active features in the order of their layers: which layer and row there each is."""

    layer: Int[Tensor, " feature"]
    row: Int[Tensor, " feature"]
    position: Int[Tensor, " feature"]
    given: Bool[Tensor, " feature"]

    @classmethod
    def of(cls, held: Replaced) -> Features:
        """Those of a prompt."""
        layers = [torch.full((len(one),), at) for at, one in enumerate(held.features)]
        rows = [torch.arange(len(one)) for one in held.features]
        positions = [one.position.cpu() for one in held.features]
        given = [one.given.cpu() for one in held.features]
        return cls(torch.cat(layers), torch.cat(rows), torch.cat(positions), torch.cat(given))

    def targets(self, held: Replaced, some: Int[Tensor, " some"]) -> Targets:
        """Some of them as targets of a walk, in the order given."""
        device = held.run.embedding.device
        direction = held.run.embedding.new_empty(len(some), held.dictionaries[0].d_in)
        for layer in self.layer[some].unique().tolist():
            here = (self.layer[some] == layer).nonzero()[:, 0]
            rows = self.row[some[here]].to(device)
            direction[here.to(device)] = held.reading(layer, rows)[0]
        return Targets(self.layer[some].to(device), self.position[some].to(device), direction)

    def chunks(
        self, held: Replaced, some: Int[Tensor, " some"], n_bytes: int
    ) -> Iterator[Int[Tensor, " chunk"]]:
        """Some features, those of equal positions together, in walks that take so much memory."""
        order = some[self.position[some].argsort(stable=True)]
        cost = chunk_costs(held, self.position[order]) / n_bytes
        vectors = (self.position[order] + 1) / _VECTORS
        chunk = torch.maximum(cost, vectors).double().cumsum(0).floor()
        yield from order.split(torch.unique_consecutive(chunk, return_counts=True)[1].tolist())


def walk_bytes(held: Replaced, features: int) -> int:
    """The most that one walk takes where so many features get a row and room is no concern."""
    counts = torch.cat([one.position for one in held.features]).cpu() + 1
    if not len(counts) or not features:
        return 0
    vectors = min(float(counts.sum()) * features / len(counts), _VECTORS)
    rows = vectors * len(counts) / float(counts.sum())
    width = held.run.embedding.shape[-1]
    return int(4 * (rows * held.n_columns + _COPIES * width * vectors))


def chunk_costs(held: Replaced, position: Int[Tensor, " target"]) -> Int[Tensor, " target"]:
    """Bytes that targets of some positions take in a walk, row by row."""
    width = held.run.embedding.shape[-1]
    return 4 * (held.n_columns + _COPIES * width * (position + 1))
