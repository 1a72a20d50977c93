"""The forward pass in which some edges carry another run's values, for many runs together.

A reader's input is the residual stream, where what a removed edge brings is exchanged: the
writer's own output, as it is in this very pass, for that of the other run. All else is computed as
always, so that everything behind a removed edge answers to it. Where norms act on the stream itself
(BERT) each reader has a stream of its own: the exchange is made where the writer adds, and what the
reader reads goes through those norms. So with all edges removed the other run is what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import linear

from microtome.analysis.norms import frozen_norm
from microtome.jobs import Job
from microtome.models.activation_functions import activation_function
from microtome.models.anatomy import Anatomy, Attention, Block, Mlp, Norm
from microtome.models.operations import normalise, rotate, soft_cap, visible_keys
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
    def rescaled(self) -> bool:
        """Whether norms act on the stream itself."""
        blocks = self.anatomy.blocks
        norms = [self.anatomy.stream_norm, *(b.sum_norm1 or b.sum_norm2 for b in blocks)]
        return any(norm is not None for norm in norms)


def run_replaced(
    grounds: Grounds,
    example: Int[Tensor, " run"],
    removed: Bool[Tensor, "run writer reader"],
    places: Int[Tensor, " place"],
    *,
    start: int = 0,
    job: Job,
) -> Float[Tensor, "run place d_model"]:
    """What the final norm reads at the ``places``, run by run.

    No edge into a layer before ``start`` may be removed: those layers are taken from the clean run.
    """
    return _Pass(grounds, example, removed, places, start, job).run()


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
    edges: Edges = field(init=False)
    stream: Tensor = field(init=False)  # [run, position, d_model]
    change: Tensor = field(init=False)  # other minus own [run, writer, position, d_model]
    stages: list[_Stage] | None = field(init=False, default=None)  # where norms act on the stream

    def run(self) -> Tensor:
        grounds, self.edges = self.grounds, self.grounds.edges
        if grounds.rescaled:
            self.start = 0  # what was written before comes through the norms of this pass
            self.stages = [self._entry()]
        before = self.edges.first(self.start)
        self.stream = grounds.streams[self.start][self.example]
        shape = (len(self.example), *grounds.clean.shape[1:])
        self.change = self.stream.new_empty(shape)
        fixed = grounds.other[:, :before] - grounds.clean[:, :before]
        self.change[:, :before] = fixed[self.example]
        for layer in range(self.start, self.edges.n_layers):
            self.job.check()
            self._layer(layer)
        final = self.stream[:, self.places]
        gone = self.removed[:, :, -1]
        if not bool(gone.any()):
            return final
        if self.stages is not None:
            return self._own(self.stages, gone[:, None])[:, 0, self.places]
        return final + torch.einsum(
            "rw,rwpd->rpd", gone.to(final.dtype), self.change[:, :, self.places]
        )

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
        self._note(edges.heads(layer), heads)
        middle = self._added(added, edges.heads(layer), block.sum_norm1)
        reader = edges.mlp_reader(layer)
        if block.parallel:
            read = self._reads(
                self.stream, reader, None if self.stages is None else self.stages[:-1]
            )
        else:
            read = self._reads(middle, reader, self.stages)
        written = normalise(block.mlp_norm, _mlp(block, read))
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
        weights, readers = block.attention, self.edges.head_readers(layer)
        gone = self.removed[:, : self.edges.first(layer), readers]
        if bool(gone.any()) and self.stages is not None:
            streams = self._own(self.stages, gone.mT)
        elif bool(gone.any()):
            change = self.change[:, : self.edges.first(layer)].flatten(2)
            brought = gone.mT.to(change.dtype) @ change  # [run, reader, position * d_model]
            streams = self.stream[:, None] + brought.view(len(brought), -1, *self.stream.shape[1:])
        else:
            streams = self.stream[:, None]
        read = normalise(block.norm1, streams)
        q_from, k_from, v_from = (
            read.unflatten(1, (3, -1)).unbind(1) if read.shape[1] > 1 else (read, read, read)
        )
        q = _projected(weights, q_from, weights.w_q, weights.b_q)
        k = _projected(weights, k_from, weights.w_k, weights.b_k)
        v = _projected(weights, v_from, weights.w_v, weights.b_v)
        q = rotate(_normed_heads(weights.q_norm, q), weights.rotary)
        k = rotate(_normed_heads(weights.k_norm, k, weights.group), weights.rotary)
        return (_pattern(weights, q, k) @ v) @ weights.w_o.mT


def _projected(
    weights: Attention, read: Tensor, matrix: Tensor, bias: Tensor | None
) -> Float[Tensor, "run head position d_head"]:
    """Queries, keys or values of all heads, each from its own reading or all from one."""
    repeats = weights.w_q.shape[0] // matrix.shape[0]
    matrix = matrix.repeat_interleave(repeats, 0)
    found = read @ matrix.mT
    if bias is None:
        return found
    return found + bias.repeat_interleave(repeats, 0)[:, None]


def _normed_heads(norm: Norm | None, raw: Tensor, group: int = 1) -> Tensor:
    """Queries or keys behind their norm; a key head stands here once for each head it serves."""
    if norm is not None and norm.weight is not None and norm.weight.ndim == 3 and group > 1:
        norm = replace(norm, weight=norm.weight.repeat_interleave(group, 0))
    return normalise(norm, raw)


def _pattern(weights: Attention, q: Tensor, k: Tensor) -> Float[Tensor, "run head query key"]:
    length = q.shape[-2]
    scores = weights.scale * (q @ k.mT)
    if weights.bias is not None:
        scores = scores + weights.bias.at(length).to(scores.dtype)
    seen = visible_keys(length, weights.window, q.device, causal=weights.causal)
    return soft_cap(scores, weights.soft_cap).masked_fill(~seen, float("-inf")).softmax(-1)


def _behind(norm: Norm | None, total: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
    """What attention adds, and each head's part of it, behind a norm on the branch."""
    if norm is None:
        return total, heads
    frozen = frozen_norm(norm, total[:, None])
    return normalise(norm, total), frozen.apply(heads)


def _mlp(block: Block, stream: Tensor) -> Tensor:
    mlp = block.mlp
    assert isinstance(mlp, Mlp)  # noqa: S101
    read = normalise(block.norm2, stream)
    act = activation_function(mlp.activation).value
    pre = linear(read, mlp.w_in, mlp.b_in)
    gate = None if mlp.w_gate is None else linear(read, mlp.w_gate, mlp.b_gate)
    post = act(pre) if gate is None else act(gate) * pre
    return linear(post, mlp.w_out, mlp.b_out)
