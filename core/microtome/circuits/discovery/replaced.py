"""The forward pass in which some edges carry another run's values, for many runs together.

A reader's input is the residual stream, where what a removed edge brings is exchanged: the
writer's own output, as it is in this very pass, for that of the other run. All else is computed as
always, so that everything behind a removed edge answers to it. Where norms act on the stream itself
(BERT) each reader has a stream of its own: the exchange is made where the writer adds, and what the
reader reads goes through those norms. So with all edges removed the other run is what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from microtome.analysis.norms import frozen_norm
from microtome.circuits.discovery.reading import can_go_alone, heads_alone, mlp_output
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy, Block, Norm
from microtome.models.operations import normalise
from microtome.records.edges import Edges


@dataclass(frozen=True, slots=True, eq=False)
class Grounds:
    """What replacing edges starts from: examples of one length, the clean pass and the other.

    ``clean`` and ``other`` are what writers add, ``streams`` the clean stream before each layer and
    behind the last.
    """

    anatomy: Anatomy
    clean: Float[Tensor, "example writer position d_model"]
    other: Float[Tensor, "example writer position d_model"]
    streams: Float[Tensor, "stage example position d_model"]

    @property
    def edges(self) -> Edges:
        """The edges of the model."""
        return Edges.of(self.anatomy)

    @property
    def bytes(self) -> int:
        """Bytes of what is held."""
        return sum(each.nbytes for each in (self.clean, self.other, self.streams))


def run_replaced(
    grounds: Grounds,
    example: Int[Tensor, " run"],
    removed: Bool[Tensor, "run writer reader"],
    places: Int[Tensor, " place"],
    *,
    start: int = 0,
    whole: bool = False,
    job: Job,
) -> Float[Tensor, "run place d_model"]:
    """What the final norm reads at the ``places``, run by run.

    No edge into a layer before ``start`` may be removed: those layers are taken from the clean run.
    Heads and MLPs that nobody reads in any of the runs are not computed, as the other run's output
    takes their place everywhere, and behind the last head that is read only the ``places`` are;
    ``whole`` computes all the same.
    """
    return _Pass(grounds, example, removed, places, start, job, whole).run()


def written_replaced(
    grounds: Grounds,
    removed: Bool[Tensor, "run writer reader"],
    writer: int,
    *,
    start: int = 0,
    job: Job,
) -> Float[Tensor, "run position d_model"]:
    """What one head or MLP writes without the removed edges, for every example of the grounds.

    No edge into a layer before ``start`` may be removed.
    """
    example = torch.arange(len(grounds.clean), device=grounds.clean.device)
    made = _Pass(grounds, example, removed, example[:0], start, job, whole=True)
    layer = (writer - 1) // (grounds.edges.n_heads + 1)
    made.go_to(layer + 1)
    return grounds.other[:, writer] - made.change[:, writer]


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """What was added to the stream, by which writers, and the norm on the stream behind it."""

    added: Float[Tensor, "run position d_model"]
    writers: slice
    norm: Norm | None


@dataclass(slots=True, eq=False)
class _Pass:
    grounds: Grounds
    example: Tensor
    removed: Tensor
    places: Tensor
    start: int
    job: Job
    whole: bool
    needed: Bool[np.ndarray, " writer"] = field(init=False)
    edges: Edges = field(init=False)
    stream: Tensor = field(init=False)  # [run, position, d_model]
    change: Tensor = field(init=False)  # other minus own [run, writer, position, d_model]
    stages: list[_Stage] | None = field(init=False, default=None)  # where norms act on the stream
    last: int = field(init=False)  # layer with a head that is read; behind it positions are apart

    def go_to(self, layer: int) -> None:
        """Compute all layers before this one."""
        grounds, self.edges = self.grounds, self.grounds.edges
        read = self.edges.exists & ~self.removed.cpu().numpy()
        self.needed = np.asarray(read.any((0, 2)) | self.whole)
        if grounds.anatomy.norms_on_stream:
            self.start = 0  # what was written before comes through the norms of this pass
            self.stages = [self._entry()]
        self.last = self._last_attending()
        if self.last < self.start:
            self._narrow()
            grounds = self.grounds
        before = self.edges.first(self.start)
        self.stream = grounds.streams[self.start][self.example]
        shape = (len(self.example), *grounds.clean.shape[1:])
        self.change = self.stream.new_empty(shape)
        fixed = grounds.other[:, :before] - grounds.clean[:, :before]
        self.change[:, :before] = fixed[self.example]
        for each in range(self.start, layer):
            self.job.check()
            self._layer(each)

    def run(self) -> Tensor:
        """What the final norm reads."""
        self.go_to(len(self.grounds.anatomy.blocks))
        final = self.stream[:, self.places]
        gone = self.removed[:, :, -1]
        if not bool(gone.any()):
            return final
        if self.stages is not None:
            return self._own(self.stages, gone[:, None])[:, 0, self.places]
        return final + torch.einsum(
            "rw,rwpd->rpd", gone.to(final.dtype), self.change[:, :, self.places]
        )

    def _last_attending(self) -> int:
        """The last layer with a head that is read, -1 without; all if nothing may be left out."""
        edges, n_positions = self.edges, self.grounds.clean.shape[2]
        if self.whole or self.stages is not None or len(self.places) == n_positions:
            return edges.n_layers
        there = [layer for layer in range(edges.n_layers) if self.needed[edges.heads(layer)].any()]
        return max(there, default=-1)

    def _narrow(self) -> None:
        """Go on with the positions that are read: no head is left that carries others there."""
        held, places = self.grounds, self.places
        self.grounds = replace(
            held,
            clean=held.clean[:, :, places],
            other=held.other[:, :, places],
            streams=held.streams[:, :, places],
        )
        self.places = torch.arange(len(places), device=places.device)

    def _entry(self) -> _Stage:
        added, anatomy = self.grounds.clean[:, 0], self.grounds.anatomy
        added = added if anatomy.token_type is None else added + anatomy.token_type
        return _Stage(added[self.example], slice(0, 1), anatomy.stream_norm)

    def _own(
        self, stages: list[_Stage], gone: Bool[Tensor, "run reader writer"]
    ) -> Float[Tensor, "run reader position d_model"]:
        """What readers read where norms act on the stream: each its own sum, behind those norms."""
        stream = self.stream.new_zeros(1)
        for stage in stages:
            brought = gone[..., stage.writers].to(self.change.dtype) @ self.change[
                :, stage.writers
            ].flatten(2)
            added = stage.added[:, None]
            stream = stream + added + brought.unflatten(2, stage.added.shape[1:])
            stream = normalise(stage.norm, stream)
        return stream

    def _layer(self, layer: int) -> None:
        block, edges = self.grounds.anatomy.blocks[layer], self.edges
        heads = self._heads(block, layer)  # [run, head, position, d_model]
        total = heads.sum(1)
        if block.attention.b_o is not None:
            total = total + block.attention.b_o
        added, heads = _behind(block.attention_norm, total, heads)
        if layer == self.last:
            added, heads = added[:, self.places], heads[:, :, self.places]
            self.stream, self.change = self.stream[:, self.places], self.change[:, :, self.places]
            self._narrow()
        self._note(edges.heads(layer), heads)
        middle = self._added(added, edges.heads(layer), block.sum_norm1)
        reader = edges.mlp_reader(layer)
        if not self.needed[edges.mlp(layer)]:
            written = self.grounds.other[:, edges.mlp(layer)][self.example]
        else:
            stages = self.stages and (self.stages[:-1] if block.parallel else self.stages)
            read = self._reads(self.stream if block.parallel else middle, reader, stages)
            written = mlp_output(block, read)
        own = slice(edges.mlp(layer), edges.mlp(layer) + 1)
        self._note(own, written[:, None])
        self.stream = middle
        self.stream = self._added(written, own, block.sum_norm2)

    def _added(self, added: Tensor, writers: slice, norm: Norm | None) -> Tensor:
        """The stream with what writers add, behind the norm on it."""
        if self.stages is not None:
            self.stages.append(_Stage(added, writers, norm))
        return normalise(norm, self.stream + added)

    def _note(self, writers: slice, own: Tensor) -> None:
        other = self.grounds.other[:, writers][self.example]
        torch.sub(other, own, out=self.change[:, writers])

    def _reads(self, stream: Tensor, reader: int, stages: list[_Stage] | None) -> Tensor:
        """The stream as one reader reads it."""
        gone = self.removed[:, :, reader]
        if not bool(gone.any()):
            return stream
        if stages is not None:
            return self._own(stages, gone[:, None])[:, 0]
        there = int(gone.any(0).nonzero().max()) + 1
        change = self.change[:, :there].flatten(2)
        brought = gone[:, None, :there].to(change.dtype) @ change
        return stream + brought.view_as(stream)

    def _heads(self, block: Block, layer: int) -> Tensor:
        """What each head writes before a norm on the branch."""
        edges = self.edges
        own = edges.heads(layer)
        heads = np.arange(edges.n_heads)
        if can_go_alone(block):
            heads = heads[self.needed[own]]
            if not len(heads):
                return self.grounds.other[:, own][self.example]
        readers = edges.head_readers(layer).start + np.concatenate(
            [side * edges.n_heads + heads for side in range(3)]
        )
        made = heads_alone(block, heads, self._streams(layer, readers))
        if len(heads) == edges.n_heads:
            return made
        found = self.grounds.other[:, own][self.example]
        found[:, torch.from_numpy(heads)] = made
        return found

    def _streams(self, layer: int, readers: np.ndarray) -> Tensor:
        """The streams of some readers of a layer, along axis 1, or one for all."""
        before = self.edges.first(layer)
        gone = self.removed[:, :before, torch.from_numpy(readers)]
        if not bool(gone.any()):
            return self.stream[:, None]
        if self.stages is not None:
            return self._own(self.stages, gone.mT)
        brought = gone.mT.to(self.change.dtype) @ self.change[:, :before].flatten(2)
        streams: Tensor = self.stream[:, None] + brought.unflatten(2, self.stream.shape[1:])
        return streams


def _behind(norm: Norm | None, total: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
    """What attention adds, and each head's part of it, behind a norm on the branch."""
    if norm is None:
        return total, heads
    frozen = frozen_norm(norm, total[:, None])
    return normalise(norm, total), frozen.apply(heads)
