"""The forward pass in which some edges carry another run's values, for many runs together.

A reader's input is the residual stream, where what a removed edge brings is exchanged: the
writer's own output, as it is in this very pass, for that of the other run. All else is computed as
always, so that everything behind a removed edge answers to it. Norms on the stream itself (BERT)
rescale what was written before them: the exchange goes through them with the root of this pass.
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
    behind the last. ``entry`` is what the other embedding differs by, behind a norm on it.
    """

    anatomy: Anatomy
    clean: Float[Tensor, "example writer position d_model"]
    other: Float[Tensor, "example writer position d_model"]
    streams: Float[Tensor, "stage example position d_model"]
    entry: Float[Tensor, "example position d_model"]

    @property
    def edges(self) -> Edges:
        """The edges of the model."""
        return Edges.of(self.anatomy)


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

    def run(self) -> Tensor:
        grounds, self.edges = self.grounds, self.grounds.edges
        if any(block.sum_norm1 or block.sum_norm2 for block in grounds.anatomy.blocks):
            self.start = 0  # what was written before comes through the norms of this pass
        before = self.edges.first(self.start)
        self.stream = grounds.streams[self.start][self.example]
        shape = (len(self.example), *grounds.clean.shape[1:])
        self.change = self.stream.new_empty(shape)
        fixed = grounds.other[:, :before] - grounds.clean[:, :before]
        fixed[:, 0] = grounds.entry
        self.change[:, :before] = fixed[self.example]
        for layer in range(self.start, self.edges.n_layers):
            self.job.check()
            self._layer(layer)
        final = self.stream[:, self.places]
        gone = self.removed[:, :, -1]
        if not bool(gone.any()):
            return final
        return final + torch.einsum(
            "rw,rwpd->rpd", gone.to(final.dtype), self.change[:, :, self.places]
        )

    def _layer(self, layer: int) -> None:
        block, edges = self.grounds.anatomy.blocks[layer], self.edges
        heads = self._heads(block, layer)  # [run, head, position, d_model]
        total = heads.sum(1)
        if block.attention.b_o is not None:
            total = total + block.attention.b_o
        added, heads = _behind(block.attention_norm, total, heads)
        self._note(edges.heads(layer), heads)
        middle = self._through(block.sum_norm1, self.stream + added, edges.mlp(layer))
        read = self._reads(self.stream if block.parallel else middle, edges.mlp_reader(layer))
        written = normalise(block.mlp_norm, _mlp(block, read))
        self._note(slice(edges.mlp(layer), edges.mlp(layer) + 1), written[:, None])
        self.stream = self._through(block.sum_norm2, middle + written, edges.first(layer + 1))

    def _through(self, norm: Norm | None, stream: Tensor, writers: int) -> Tensor:
        """The stream behind a norm on it, and all changes written so far with it."""
        if norm is None:
            return stream
        frozen = frozen_norm(norm, stream[:, None])
        self.change[:, :writers] = frozen.apply(self.change[:, :writers])
        return normalise(norm, stream)

    def _note(self, writers: slice, own: Tensor) -> None:
        other = self.grounds.other[:, writers][self.example]
        torch.sub(other, own, out=self.change[:, writers])

    def _reads(self, stream: Tensor, reader: int) -> Tensor:
        """The stream as one reader reads it."""
        gone = self.removed[:, :, reader]
        if not bool(gone.any()):
            return stream
        there = int(gone.any(0).nonzero().max()) + 1
        change = self.change[:, :there].flatten(2)
        brought = gone[:, None, :there].to(change.dtype) @ change
        return stream + brought.view_as(stream)

    def _heads(self, block: Block, layer: int) -> Tensor:
        """What each head writes before a norm on the branch."""
        weights, readers = block.attention, self.edges.head_readers(layer)
        gone = self.removed[:, : self.edges.first(layer), readers]
        if bool(gone.any()):
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
