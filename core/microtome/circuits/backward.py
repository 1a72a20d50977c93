"""What every place in the model is worth to the metric: one closed-form sweep from the top."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.norms import NormMap
from microtome.circuits.coefficients import AttentionCoefficients, Coefficients, MlpCoefficients
from microtome.jobs import Job, job_or_default
from microtome.models.operations import output_matrix, turn

_FEW = 64  # logits that are worth reading alone


@dataclass(frozen=True, slots=True, eq=False)
class LayerGradient:
    """One layer. ``heads`` and ``mlp`` are the worth of what heads and MLP write.

    ``behind`` is that of the residual stream behind the layer, ``mlp`` itself where no norm acts
    on the sum.
    ``gamma`` is a head's worth before its output matrix, ``score`` the worth of each attention
    score, ``query`` the worth of the queries before their rotation and behind their norm (None
    in values-only mode), ``neurons`` the worth of each neuron, and ``mlp_read`` of what the MLP
    reads from the residual stream, ``mlp_normed`` behind the norm.
    """

    behind: Float[Tensor, "*run position d_model"]
    heads: Float[Tensor, "*run position d_model"]
    mlp: Float[Tensor, "*run position d_model"]
    gamma: Float[Tensor, "*run head position d_head"]
    score: Float[Tensor, "*run head query key"] | None
    query: Float[Tensor, "*run head position d_head"] | None
    neurons: Float[Tensor, "*run position d_mlp"]
    mlp_normed: Float[Tensor, "*run position d_model"]
    mlp_read: Float[Tensor, "*run position d_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """The worth of every place: of the layers, of the embeddings, and at the metric's position.

    ``stream`` is the worth of what the first layer reads, ``embedding`` before a norm on that.
    """

    coefficients: Coefficients
    position: int
    words: Float[Tensor, "*run d_read"]  # the metric's direction at the unembedding
    logits: Float[Tensor, "*run d_model"]  # behind the final norm
    final: Float[Tensor, "*run position d_model"]  # zero but at the metric's position
    layers: tuple[LayerGradient, ...]
    stream: Float[Tensor, "*run position d_model"]
    embedding: Float[Tensor, "*run position d_model"]


def backward(
    coefficients: Coefficients,
    weights: Float[Tensor, "*run vocabulary"],
    position: int,
    *,
    values_only: bool = False,
    job: Job | None = None,
) -> Gradient:
    """The worth of every place to the metric ``weights · logits[position]``, run by run."""
    job = job_or_default(job)
    anatomy = coefficients.anatomy
    slope = coefficients.logit_slope
    words = _words(weights if slope is None else weights * slope, anatomy.unembedding)
    direction = coefficients.transform.transpose(words)
    n_positions = coefficients.attention[0].q.shape[-2]
    final = direction.new_zeros(*direction.shape[:-1], n_positions, direction.shape[-1])
    end = coefficients.final.at(..., position, slice(None))
    final[..., position, :] = end.transpose(direction)
    worth = final
    layers: list[LayerGradient] = []
    for layer in reversed(range(len(anatomy.blocks))):
        job.progress("Tracing the answer back", len(layers), len(anatomy.blocks))
        attention, mlp = coefficients.attention[layer], coefficients.mlp[layer]
        written = mlp.sum_norm.transpose(worth)
        neurons, normed = _through_mlp(mlp, written)
        read = mlp.norm.transpose(normed)
        parallel = anatomy.blocks[layer].parallel
        heads = attention.sum_norm.transpose(written if parallel else written + read)
        gamma, score, query, below = _through_attention(attention, heads, values_only)
        layers.append(
            LayerGradient(worth, heads, written, gamma, score, query, neurons, normed, read)
        )
        worth = heads + read + below if parallel else heads + below
    embedding = coefficients.stream_norm.transpose(worth)
    return Gradient(
        coefficients, position, words, direction, final, tuple(reversed(layers)), worth, embedding
    )


def _words(weights: Tensor, unembedding: Tensor) -> Tensor:
    """The direction that reads some logits, from only their rows where they are few."""
    some = weights.reshape(-1, weights.shape[-1]).any(0).nonzero()[:, 0]
    if len(some) > _FEW:
        return weights @ unembedding
    return weights[..., some] @ unembedding[some]


def _through_mlp(mlp: MlpCoefficients, worth: Tensor) -> tuple[Tensor, Tensor]:
    weights = mlp.weights
    neurons = mlp.out_norm.transpose(worth) @ weights.w_out
    read = (neurons * mlp.slope) @ weights.w_in
    if weights.w_gate is not None and mlp.gate_slope is not None:
        read = read + (neurons * mlp.gate_slope) @ weights.w_gate
    return neurons, read


def _through_attention(
    attention: AttentionCoefficients, worth: Tensor, values_only: bool
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
    weights = attention.weights
    flat = attention.out_norm.transpose(worth) @ output_matrix(weights)
    gamma = flat.unflatten(-1, (len(weights.w_o), -1)).transpose(-3, -2)
    value = attention.pattern.mT @ gamma
    read = unproject(value, weights.w_v)
    score = query = None
    if not values_only:
        score = _score_worth(attention, gamma)
        scaled = attention.score_scale * score
        query = rotated_back(attention, scaled @ attention.k)
        key = key_back(attention, scaled.mT @ attention.q)
        read = read + unproject(attention.q_norm.transpose(query), weights.w_q)
        read = read + unproject(key, weights.w_k)
    return gamma, score, query, attention.norm.transpose(read)


def _score_worth(attention: AttentionCoefficients, gamma: Tensor) -> Tensor:
    """The softmax's Jacobian with the logarithmic mean in place of the pattern."""
    mean = attention.log_mean
    worth = attention.value_share * (gamma @ attention.v.mT)
    average = (mean * worth).sum(-1, keepdim=True) / mean.sum(-1, keepdim=True)
    score = mean * (worth - average)
    return score if attention.cap_slope is None else score * attention.cap_slope


def unproject(
    heads: Float[Tensor, "*run head position d_head"],
    weight: Float[Tensor, "some_head d_head d_model"],
) -> Float[Tensor, "*run position d_model"]:
    """The transpose of a projection to heads; heads of a group are added first."""
    flat: Tensor = _grouped(heads, len(weight)).transpose(-3, -2).flatten(-2)
    return flat @ weight.flatten(0, 1)


def rotated_back(attention: AttentionCoefficients, worth: Tensor) -> Tensor:
    """From queries or keys that are multiplied back to those before the rotation."""
    if attention.angles is None or attention.weights.rotary is None:
        return worth
    cos, sin = attention.angles
    return turn(worth, cos, -sin, interleaved=attention.weights.rotary.interleaved)


def key_back(attention: AttentionCoefficients, worth: Tensor) -> Tensor:
    """From the keys that are multiplied (by head) back to those that are projected (by group)."""
    grouped = _grouped(worth, len(attention.weights.w_k))
    return attention.k_norm.transpose(rotated_back(attention, grouped))


def _grouped(heads: Tensor, count: int) -> Float[Tensor, "*run group position d_head"]:
    """The sums over the heads of each group."""
    return heads if heads.shape[-3] == count else heads.unflatten(-3, (count, -1)).sum(-3)


def head_back(
    norm: NormMap,
    weight: Float[Tensor, "some_head d_head d_model"],
    head: int,
    worth: Float[Tensor, "*target position d_head"],
    positions: slice | Tensor = slice(None),
) -> Float[Tensor, "*target position d_model"]:
    """From one head's queries or keys behind their norm back to what is read of the stream.

    A norm over all heads carries a part of them, between two runs, to all other heads.
    """
    own = norm.at(head, positions)
    back: Tensor = own.transpose(worth) @ weight[head]
    if norm.joint and norm.middle is not None and own.middle is not None and own.kappa is not None:
        along = own.kappa * (own.middle * own.weighted(worth)).sum(-1, keepdim=True)
        others = torch.arange(len(weight), device=weight.device) != head
        mixed = torch.einsum("hpk,hkd->pd", norm.middle[others], weight[others])
        back = back + along * mixed[positions]
    return back
