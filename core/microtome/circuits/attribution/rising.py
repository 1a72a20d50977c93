"""Sources of the lowest layers carried upward, to meet the targets of higher ones on their way.

A walk down takes all targets through all layers, and the lowest are passed by the most of them.
What the few sources there have become at some layer is the same for all targets, so that those
need go no further down than that. Where that is worth its work and memory is computed before.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.circuits.attribution.linear import FrozenLayer
from microtome.circuits.attribution.replaced import Replaced
from microtome.jobs import Job, job_or_default

_MOST = 128 << 20  # bytes of what is carried
# How much longer a product takes there than on the way down, with all that is around it; measured.
_UP, _MEETING = 1.5, 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Risen:
    """What every source below a layer has become in the stream before it, by position."""

    layer: int
    streams: Float[Tensor, "position source d_model"]

    def meet(
        self,
        worth: Float[Tensor, "vector d_model"],
        positions: Int[Tensor, " vector"],
        rows: Int[Tensor, " vector"],
        out: Float[Tensor, "target column"],
    ) -> None:
        """Add to targets' rows what the sources below bring to the stream that they walked to."""
        order = positions.argsort(stable=True)
        counts = torch.bincount(positions, minlength=len(self.streams)).tolist()
        below = out[:, : self.streams.shape[1]]
        parts = zip(
            worth[order].split(counts), rows[order].split(counts), self.streams, strict=True
        )
        for own, row, streams in parts:
            below.index_put_((row,), own @ streams.T, accumulate=True)


def risen(held: Replaced, vectors: Float[Tensor, " layer"], job: Job | None = None) -> Risen | None:
    """All sources below the layer where meeting saves most; None where walking down is best.

    ``vectors`` are those of the targets of each layer, logits last.
    """
    layer = meeting_layer(held, vectors)
    return carried_to(held, layer, job) if layer else None


def meeting_layer(held: Replaced, vectors: Float[Tensor, " layer"]) -> int:
    """The layer where sources that are carried upward meet targets; 0 where none are carried."""
    return min(range(held.n_layers), key=lambda at: _work(held, vectors, at))


def carried_bytes(held: Replaced, layer: int) -> int:
    """Bytes of all sources below a layer, as they are held during walks."""
    sources = held.first(layer) if layer else 0
    return 4 * sources * held.n_positions * held.run.embedding.shape[-1]


def _work(held: Replaced, vectors: Float[Tensor, " layer"], layer: int) -> float:
    """Products of vectors with a matrix of the stream's width."""
    positions, width = held.n_positions, held.run.embedding.shape[-1]
    if carried_bytes(held, layer) > _MOST:
        return float("inf")
    above = vectors.flip(0).cumsum(0).flip(0)  # with those of all higher layers
    down = sum(2 * float(above[at + 1]) for at in range(layer, held.n_layers))
    down += sum((1 + (at > 0)) * float(above[at + 1] - above[layer]) for at in range(layer))
    up = sum(2 * positions * held.first(at) for at in range(layer))
    meeting = float(above[layer]) * held.first(layer) / width if layer else 0.0
    return down + _UP * up + _MEETING * meeting


def carried_to(held: Replaced, layer: int, job: Job | None = None) -> Risen:
    """What the sources below a layer become in the stream before it."""
    frozen, job = held.frozen, job_or_default(job)
    tokens = torch.diag_embed(frozen.stream_norm.apply(held.run.embedding).T)
    streams = tokens.permute(1, 2, 0)  # [source, position, d_model]
    for at in range(layer):
        job.check()
        new = streams.new_zeros(held.first(at + 1) - len(streams), *streams.shape[1:])
        streams = _through(frozen.layers[at], torch.cat([streams, new]), _written(held, at))
    return Risen(layer, streams.transpose(0, 1).contiguous())


def _written(held: Replaced, to: int) -> Float[Tensor, "source position d_model"]:
    """What each source below writes to the MLP output of a layer."""
    found = held.run.embedding.new_zeros(held.first(to + 1), *held.run.embedding.shape)
    for layer in held.writers(to):
        one = held.features[layer]
        columns = torch.arange(len(one), device=found.device) + held.first(layer)
        found[columns, one.position] = held.written(layer, to)
    heard = torch.arange(held.silent, held.n_positions, device=found.device)
    found[heard - held.silent + held.first_error(to), heard] = held.errors[to]
    return found


def _through(layer: FrozenLayer, streams: Tensor, written: Tensor) -> Tensor:
    """The streams behind a layer to which each source adds something."""
    middle = layer.sum_norm1.apply(streams + layer.attention.added(streams))
    after = middle + written
    if layer.skip is not None:
        after = after + layer.read.apply(streams if layer.reads_before else middle) @ layer.skip.T
    return layer.sum_norm2.apply(after)
