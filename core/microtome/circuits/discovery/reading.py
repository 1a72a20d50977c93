"""Heads and MLPs that each read streams of their own, for many runs together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.models.anatomy import Attention, Block, Norm, ScoreBias
from microtome.models.arithmetic import run_mlp
from microtome.models.operations import normalise, rotate, scaled, soft_cap, visible_keys


def can_go_alone(block: Block) -> bool:
    """Whether what a head writes does not depend on the other heads, through a norm over all."""
    weights = block.attention
    norms = (weights.q_norm, weights.k_norm)
    return block.attention_norm is None and not any(norm and norm.joint for norm in norms)


def heads_alone(
    block: Block,
    heads: Int[np.ndarray, " head"],
    streams: Float[Tensor, "run reader position d_model"],
) -> Float[Tensor, "run head position d_model"]:
    """What some heads of a layer write.

    Readers are the queries, then the keys, then the values of these heads; or one for all.
    """
    weights = block.attention
    if len(heads) < len(weights.w_q):
        weights = _some(weights, heads)
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


def mlp_output(
    block: Block, stream: Float[Tensor, "run position d_model"]
) -> Float[Tensor, "run position d_model"]:
    """What an MLP writes, behind a norm on the branch."""
    ran = run_mlp(block, stream.flatten(0, 1))
    return scaled(block.mlp_norm, ran.out_norm, ran.out).view_as(stream)


def _some(weights: Attention, heads: Int[np.ndarray, " head"]) -> Attention:
    """The weights of some heads, each with keys and values of its own."""
    own = torch.from_numpy(heads).to(weights.w_q.device)
    shared = torch.from_numpy(heads // weights.group).to(weights.w_q.device)
    rows = {"q": own, "k": shared, "v": shared}
    parts = {}
    for side, index in rows.items():
        bias = getattr(weights, f"b_{side}")
        parts[f"w_{side}"] = getattr(weights, f"w_{side}")[index]
        parts[f"b_{side}"] = None if bias is None else bias[index]
    return replace(
        weights,
        **parts,
        w_o=weights.w_o[own],
        q_norm=_some_norm(weights.q_norm, own),
        k_norm=_some_norm(weights.k_norm, shared),
        bias=_some_bias(weights.bias, own),
    )


def _some_norm(norm: Norm | None, index: Tensor) -> Norm | None:
    if norm is None or norm.weight is None or norm.weight.ndim < 3:
        return norm
    return replace(norm, weight=norm.weight[index])


def _some_bias(bias: ScoreBias | None, index: Tensor) -> ScoreBias | None:
    return None if bias is None else ScoreBias(lambda count: bias.at(count)[index])


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
