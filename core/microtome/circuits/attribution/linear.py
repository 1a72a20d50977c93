"""The local replacement model of one prompt: attention patterns and norm scales held as they were.

Transcoders stand for MLPs, with what they miss as a constant. All that is left between what
features write and what they read is then linear (Ameisen et al., "Circuit Tracing", 2025). Norms
are folded into the matrices and patterns beside them, so that a layer's attention is three
products in either direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.norms import NormMap, norm_map
from microtome.analysis.transforms import TransformMap, transform_map
from microtome.circuits.attribution.reading import Place
from microtome.features.dictionary import Dictionary
from microtome.models.anatomy import Anatomy, Block, Norm
from microtome.models.arithmetic import BlockRun, Run
from microtome.models.operations import output_matrix, transform_run


@dataclass(frozen=True, slots=True, eq=False)
class FrozenAttention:
    """One attention layer, from the stream that it reads to what it adds.

    ``z = pattern · (x @ w_v.T)`` for the heads of each group, ``out = z @ w_o.T``; ``constant`` is
    what biases add.
    """

    pattern: Float[Tensor, "group member query key"]
    w_v: Float[Tensor, "group d_head d_model"]
    w_o: Float[Tensor, "d_model all_heads"]
    constant: Float[Tensor, "position d_model"]

    def added(
        self, stream: Float[Tensor, "*source position d_model"]
    ) -> Float[Tensor, "*source position d_model"]:
        """What it adds for a stream, without the constant."""
        flat = stream @ self.w_v.flatten(0, 1).T
        values = flat.unflatten(-1, self.w_v.shape[:2]).transpose(-3, -2)
        z = torch.einsum("gmqk,...gkh->...qgmh", self.pattern, values)
        added: Tensor = z.flatten(-3) @ self.w_o.T
        return added

    def before_output(
        self, worth: Float[Tensor, "vector d_model"]
    ) -> Float[Tensor, "vector group member d_head"]:
        """What the heads' outputs are worth, where their sum is worth so much."""
        heads: Tensor = (worth @ self.w_o).unflatten(1, (*self.pattern.shape[:2], -1))
        return heads


@dataclass(frozen=True, slots=True, eq=False)
class FrozenLayer:
    """One layer; ``reads_before`` where the transcoder reads what attention has not added to yet.

    ``sum_norm1`` and ``sum_norm2`` are norms on the stream itself. ``read_bias`` is the bias of
    the norm that the transcoder reads behind, ``constant`` what it adds whatever it reads.
    """

    attention: FrozenAttention
    sum_norm1: NormMap
    sum_bias1: Float[Tensor, " d_model"] | None
    sum_norm2: NormMap
    sum_bias2: Float[Tensor, " d_model"] | None
    reads_before: bool
    read: NormMap
    read_bias: Float[Tensor, " d_in"] | None
    skip: Float[Tensor, "d_out d_in"] | None
    constant: Float[Tensor, "position d_out"]


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """The whole model as it was on one prompt."""

    anatomy: Anatomy
    layers: tuple[FrozenLayer, ...]
    stream_norm: NormMap
    final: NormMap
    transform: TransformMap  # at the position that is read
    start: Float[Tensor, "position d_model"]  # what the stream begins with beside the tokens
    position: int  # where logits are read

    def direction(self, words: Float[Tensor, "row d_read"]) -> Float[Tensor, "row d_model"]:
        """Directions at the unembedding as directions of the last stream, at ``position``."""
        behind = self.transform.transpose(words)
        return self.final.at(slice(self.position, self.position + 1)).transpose(behind)

    def constants(self, words: Float[Tensor, "row d_read"]) -> Float[Tensor, " row"]:
        """What the biases behind the last stream add along directions at the unembedding."""
        total = self.transform.bias(words)
        norm = self.anatomy.final_norm
        if norm is not None and norm.bias is not None:
            total = total + self.transform.transpose(words) @ norm.bias
        return total


def freeze(
    run: Run, places: tuple[Place, ...], layers: tuple[Dictionary, ...], position: int
) -> Frozen:
    """The linear model of a run, without what transcoders miss where they are silent."""
    anatomy = run.anatomy
    blocks = zip(anatomy.blocks, run.blocks, places, layers, strict=True)
    start = torch.zeros_like(run.embedding)
    if run.position_embedding is not None:
        start = start + run.position_embedding
    if anatomy.token_type is not None:
        start = start + anatomy.token_type
    stream_norm = norm_map(anatomy.stream_norm, run.stream_norm)
    ran = transform_run(anatomy.transform, run.normed(position))
    return Frozen(
        anatomy,
        tuple(_layer(*each) for each in blocks),
        stream_norm,
        norm_map(anatomy.final_norm, run.final_norm),
        transform_map(anatomy.transform, ran),
        plus(stream_norm.apply(start), bias_of(anatomy.stream_norm)),
        position,
    )


def plus(x: Tensor, bias: Tensor | None) -> Tensor:
    """A bias added, where there is one."""
    return x if bias is None else x + bias


def bias_of(norm: Norm | None) -> Tensor | None:
    """The bias of a norm."""
    return None if norm is None else norm.bias


def _layer(block: Block, ran: BlockRun, place: Place, one: Dictionary) -> FrozenLayer:
    read_bias = bias_of(place.norm(block))
    skip = one.weights.w_skip
    constant = one.weights.b_dec.expand(len(ran.resid_pre), -1)
    if skip is not None and read_bias is not None:
        constant = constant + read_bias @ skip.T
    return FrozenLayer(
        _attention(block, ran),
        norm_map(block.sum_norm1, ran.sum_norm1),
        bias_of(block.sum_norm1),
        norm_map(block.sum_norm2, ran.sum_norm2),
        bias_of(block.sum_norm2),
        place.is_before(block),
        norm_map(place.norm(block), place.norm_run(ran)),
        read_bias,
        skip,
        constant,
    )


def _attention(block: Block, ran: BlockRun) -> FrozenAttention:
    """Folded: weights and centring of norms into the matrices, their scales into the pattern."""
    weights, attention = block.attention, ran.attention
    before = norm_map(block.norm1, attention.norm)
    behind = norm_map(block.attention_norm, attention.out_norm)
    pattern = attention.pattern
    if behind.inverse is not None:
        pattern = pattern * behind.inverse  # [query, 1]
    out = output_matrix(weights)
    folded = behind.centre(out.T).T
    folded = folded if behind.weight is None else folded * behind.weight[:, None]
    value = torch.zeros_like(weights.w_v[..., 0]) if weights.b_v is None else weights.b_v
    if (bias := bias_of(block.norm1)) is not None:
        value = value + weights.w_v @ bias
    seen = pattern.sum(-1).unflatten(0, (len(weights.w_v), -1))  # [group, member, query]
    z = torch.einsum("gmq,gh->qgmh", seen, value).flatten(1)
    constant = z @ folded.T
    if weights.b_o is not None:
        constant = constant + behind.apply(weights.b_o.expand(len(constant), -1))
    constant = plus(constant, bias_of(block.attention_norm))
    if before.inverse is not None:
        pattern = pattern * before.inverse[:, 0]
    grouped = pattern.unflatten(0, (len(weights.w_v), -1))
    w_v = before.centre(before.weighted(weights.w_v))
    return FrozenAttention(grouped, w_v, folded, constant)
