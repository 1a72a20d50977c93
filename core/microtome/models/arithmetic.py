"""A model's forward pass written out from its anatomy, with every intermediate kept.

This is the arithmetic that circuits are computed on: one prompt, or several of one length, and no
autograd. It
agrees with the transformers module to rounding, which the tests and the self-checks measure.
Axes: runs if there are several, heads, then positions, then the last axis of each site.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import linear

from microtome.jobs import Job, job_or_default
from microtome.models.activation_functions import activation_function
from microtome.models.anatomy import Anatomy, Attention, Block, Experts, Norm, Rotary, ScoreBias
from microtome.models.operations import (
    NormRun,
    embedded,
    neuron_scales,
    norm_run,
    normalise,
    output_matrix,
    per_head,
    project,
    rotate,
    scaled,
    soft_cap,
    transformed,
    visible_keys,
)

# An edit sees the name of a site, the layer (-1 outside the layers) and the value there, and
# returns what the pass goes on with.
Edit = Callable[[str, int, Tensor], Tensor]

# Finite, so that the difference of two masked logarithms is 0 and not "not a number".
MASKED = -1e30


def anatomy_in(anatomy: Any, dtype: torch.dtype) -> Any:
    """The same anatomy (or a part of one) with all weights in another dtype.

    Weights that have it already are shared, not copied.
    """
    if isinstance(anatomy, Tensor):
        return anatomy.detach().to(dtype)
    if isinstance(anatomy, tuple):
        return tuple(anatomy_in(part, dtype) for part in anatomy)
    if isinstance(anatomy, Rotary):
        return replace(anatomy, angles=_angles_in(anatomy, dtype))
    if isinstance(anatomy, ScoreBias):
        return ScoreBias(partial(_bias_in, anatomy, dtype))
    if is_dataclass(anatomy) and not isinstance(anatomy, type):
        parts = {field.name: getattr(anatomy, field.name) for field in fields(anatomy)}
        changed = {
            name: anatomy_in(part, dtype) for name, part in parts.items() if name != "unembedding"
        }
        if "unembedding" in parts:
            changed["unembedding"] = _shared_or_changed(parts, changed, dtype)
        return replace(anatomy, **changed)
    return anatomy


def _shared_or_changed(parts: dict[str, Any], changed: dict[str, Any], dtype: torch.dtype) -> Any:
    """The unembedding; where it is the embedding, whose copy is large, that copy."""
    tied = parts["unembedding"].data_ptr() == parts["embedding"].data_ptr()
    same = tied and parts["unembedding"].shape == parts["embedding"].shape
    return changed["embedding"] if same else anatomy_in(parts["unembedding"], dtype)


def _angles_in(rotary: Rotary, dtype: torch.dtype) -> Callable[[int], tuple[Tensor, Tensor]]:
    def angles(count: int) -> tuple[Tensor, Tensor]:
        cos, sin = rotary.angles(count)
        return cos.to(dtype), sin.to(dtype)

    return angles


def _bias_in(bias: ScoreBias, dtype: torch.dtype, count: int) -> Tensor:
    return bias.at(count).to(dtype)


@dataclass(frozen=True, slots=True, eq=False)
class AttentionRun:
    """One attention layer. ``q`` and ``k`` are as multiplied, ``scores`` before cap and mask."""

    norm: NormRun | None
    q_norm: NormRun | None
    k_norm: NormRun | None
    out_norm: NormRun | None
    q: Float[Tensor, "*run head position d_head"]
    k: Float[Tensor, "*run kv_head position d_head"]
    v: Float[Tensor, "*run kv_head position d_head"]
    visible: Bool[Tensor, "query key"]
    scores: Float[Tensor, "*run head query key"]
    log_pattern: Float[Tensor, "*run head query key"]
    pattern: Float[Tensor, "*run head query key"]
    z: Float[Tensor, "*run head position d_head"]
    out: Float[Tensor, "*run position d_model"]  # before a norm on the branch


@dataclass(frozen=True, slots=True, eq=False)
class MlpRun:
    """One MLP: what its neurons read (``pre``), their gate, and its output."""

    norm: NormRun | None
    out_norm: NormRun | None
    pre: Float[Tensor, "*run position d_mlp"]
    gate: Float[Tensor, "*run position d_mlp"] | None
    routing: Float[Tensor, "*run position d_mlp"] | None  # what a router scales each neuron by
    out: Float[Tensor, "*run position d_model"]  # before a norm on the branch


@dataclass(frozen=True, slots=True, eq=False)
class BlockRun:
    """One layer: its two branches, and the residual stream that each of them reads.

    ``sum_norm1`` and ``sum_norm2`` are what norms of the stream did after each branch.
    """

    resid_pre: Float[Tensor, "*run position d_model"]
    attention: AttentionRun
    mlp_from: Float[Tensor, "*run position d_model"]
    mlp: MlpRun
    resid_post: Float[Tensor, "*run position d_model"]
    sum_norm1: NormRun | None = None
    sum_norm2: NormRun | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One forward pass over one prompt, or over several of one length, by axes before all others.

    Embeddings are as they are added, before a norm on their sum (``stream_norm``).
    """

    anatomy: Anatomy
    ids: Int[Tensor, "*run position"]
    embedding: Float[Tensor, "*run position d_model"]
    position_embedding: Float[Tensor, "*run position d_model"] | None
    blocks: tuple[BlockRun, ...]
    final: Float[Tensor, "*run position d_model"]
    final_norm: NormRun | None
    stream_norm: NormRun | None = None

    @property
    def n_positions(self) -> int:
        """Number of tokens."""
        return int(self.ids.shape[-1])

    def normed(self, position: int | slice = slice(None)) -> Float[Tensor, "*places d_model"]:
        """What the final norm gives, of one position or of all."""
        return scaled(self.anatomy.final_norm, self.final_norm, self.final)[..., position, :]

    def raw_logits(
        self, position: int | slice = slice(None)
    ) -> Float[Tensor, "*places vocabulary"]:
        """The logits before a soft cap, of one position or of all."""
        anatomy = self.anatomy
        logits = transformed(anatomy.transform, self.normed(position)) @ anatomy.unembedding.T
        return logits if anatomy.unembedding_bias is None else logits + anatomy.unembedding_bias

    def logits(self, position: int | slice = slice(None)) -> Float[Tensor, "*places vocabulary"]:
        """The model's logits, of one position or of all."""
        return soft_cap(self.raw_logits(position), self.anatomy.soft_cap)


def run(
    anatomy: Anatomy,
    ids: Int[Tensor, "*run position"],
    *,
    edit: Edit | None = None,
    job: Job | None = None,
) -> Run:
    """The forward pass over one prompt, in the anatomy's dtype, or over several of one length.

    With axes before the positions all values have them too: rows of one matrix.
    ``edit`` may change the sites embed, pos_embed, z, attn_out and mlp_out (behind a norm on the
    branch, if there is one) and resid_post.
    """
    job = job_or_default(job)
    edit = edit or unchanged
    ids = ids.to(anatomy.embedding.device).long()
    with torch.no_grad():
        embedding = edit("embed", -1, embedded(anatomy, ids))
        positions = anatomy.positions
        if positions is not None:
            positions = edit("pos_embed", -1, positions[: ids.shape[-1]].expand_as(embedding))
        stream = embedding if positions is None else embedding + positions
        stream = stream if anatomy.token_type is None else stream + anatomy.token_type
        stream_norm = norm_run(anatomy.stream_norm, stream)
        stream = scaled(anatomy.stream_norm, stream_norm, stream)
        blocks = []
        for layer, block in enumerate(anatomy.blocks):
            job.progress("Running the model", layer, len(anatomy.blocks))
            blocks.append(_run_block(block, layer, stream, edit))
            stream = blocks[-1].resid_post
        final_norm = norm_run(anatomy.final_norm, stream)
    return Run(anatomy, ids, embedding, positions, tuple(blocks), stream, final_norm, stream_norm)


def unchanged(_site: str, _layer: int, value: Tensor) -> Tensor:
    """No edit."""
    return value


def _run_block(block: Block, layer: int, stream: Tensor, edit: Edit) -> BlockRun:
    attention = _run_attention(block, stream, lambda z: edit("z", layer, z))
    added = scaled(block.attention_norm, attention.out_norm, attention.out)
    middle = stream + edit("attn_out", layer, added)
    sum_norm1 = norm_run(block.sum_norm1, middle)
    middle = scaled(block.sum_norm1, sum_norm1, middle)
    mlp_from = stream if block.parallel else middle
    mlp = run_mlp(block, mlp_from)
    after = middle + edit("mlp_out", layer, scaled(block.mlp_norm, mlp.out_norm, mlp.out))
    sum_norm2 = norm_run(block.sum_norm2, after)
    after = edit("resid_post", layer, scaled(block.sum_norm2, sum_norm2, after))
    return BlockRun(stream, attention, mlp_from, mlp, after, sum_norm1, sum_norm2)


def head_outputs(
    block: Block,
    q_from: Float[Tensor, "position d_model"],
    k_from: Float[Tensor, "position d_model"],
    v_from: Float[Tensor, "position d_model"],
) -> Float[Tensor, "head position d_head"]:
    """``z`` when queries, keys and values are read from three different residual streams."""
    weights = block.attention
    reads = [normalise(block.norm1, stream) for stream in (q_from, k_from, v_from)]
    q, _ = prepared(weights, weights.q_norm, project(reads[0], weights.w_q, weights.b_q))
    k, _ = prepared(weights, weights.k_norm, project(reads[1], weights.w_k, weights.b_k))
    v = project(reads[2], weights.w_v, weights.b_v)
    return attend(weights, q, k)[2].exp() @ per_head(v, weights)


def attend(weights: Attention, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which keys are visible, the scores before cap and mask, and the pattern's logarithm."""
    visible = visible_keys(q.shape[-2], weights.window, q.device, causal=weights.causal)
    scores = weights.scale * (q @ per_head(k, weights).mT)
    if weights.bias is not None:
        scores = scores + weights.bias.at(q.shape[-2])
    capped = soft_cap(scores, weights.soft_cap).masked_fill(~visible, MASKED)
    return visible, scores, torch.log_softmax(capped, dim=-1)


def _run_attention(block: Block, stream: Tensor, edit: Callable[[Tensor], Tensor]) -> AttentionRun:
    weights = block.attention
    norm = norm_run(block.norm1, stream)
    read = scaled(block.norm1, norm, stream)
    q, q_norm = prepared(weights, weights.q_norm, project(read, weights.w_q, weights.b_q))
    k, k_norm = prepared(weights, weights.k_norm, project(read, weights.w_k, weights.b_k))
    v = project(read, weights.w_v, weights.b_v)
    visible, scores, log_pattern = attend(weights, q, k)
    pattern = log_pattern.exp()
    z = edit(pattern @ per_head(v, weights))
    out = linear(z.transpose(-3, -2).flatten(-2), output_matrix(weights), weights.b_o)
    out_norm = norm_run(block.attention_norm, out)
    return AttentionRun(
        norm, q_norm, k_norm, out_norm, q, k, v, visible, scores, log_pattern, pattern, z, out
    )


def run_mlp(
    block: Block,
    stream: Float[Tensor, "*run position d_model"],
    routed: Float[Tensor, "position expert"] | None = None,
) -> MlpRun:
    """The MLP of a layer that reads from a residual stream; ``routed`` takes a router's place."""
    norm = norm_run(block.norm2, stream)
    read, mlp = scaled(block.norm2, norm, stream), block.mlp
    pre = linear(read, mlp.w_in, mlp.b_in)
    w_gate = mlp.w_gate
    gate = None if w_gate is None else linear(read, w_gate, mlp.b_gate)
    routing = neuron_scales(mlp, read, routed) if isinstance(mlp, Experts) else None
    act = activation_function(mlp.activation)
    post = act.value(pre) if gate is None else act.value(gate) * pre
    out = linear(post if routing is None else post * routing, mlp.w_out, mlp.b_out)
    return MlpRun(norm, norm_run(block.mlp_norm, out), pre, gate, routing, out)


def prepared(weights: Attention, norm: Norm | None, raw: Tensor) -> tuple[Tensor, NormRun | None]:
    """Queries or keys after their norm and rotation."""
    ran = norm_run(norm, raw)
    return rotate(scaled(norm, ran, raw), weights.rotary), ran
