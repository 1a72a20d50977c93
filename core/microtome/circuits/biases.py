"""The part of a score that biases explain, computed from the biases themselves.

Between two runs all biases cancel, so everything here belongs to single runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.backward import Gradient
from microtome.circuits.coefficients import AttentionCoefficients, Coefficients
from microtome.circuits.sources import Layout
from microtome.models.anatomy import Anatomy, Norm
from microtome.models.operations import per_head, project, rotate


@dataclass(frozen=True, slots=True, eq=False)
class BiasParts:
    """What constants add to each node's score, and to what its keys and queries choose.

    ``value`` and ``mlp`` complete the in-edges of a node to its score, ``key`` and ``query``
    complete the key and query edges to half of what the head gains by looking selectively.
    """

    output: Float[Tensor, ""]
    value: Float[Tensor, "layer head position"]
    key: Float[Tensor, "layer head position"] | None
    query: Float[Tensor, "layer head position"] | None
    mlp: Float[Tensor, "layer position"]


def bias_parts(gradient: Gradient, weights: Float[Tensor, " vocabulary"]) -> BiasParts:
    """The bias part of every node, for the metric ``weights · logits``."""
    frozen = gradient.coefficients
    before, middle = carried_biases(frozen)
    value, key, query, mlp = [], [], [], []
    for layer, block in enumerate(frozen.anatomy.blocks):
        attention, score = frozen.attention[layer], gradient.layers[layer].score
        read = attention_reads(frozen, layer, before[layer])
        value.append(_value_part(attention, read, gradient.layers[layer].gamma))
        if score is not None:
            scaled = attention.score_scale * score
            fixed = _score_bias_part(attention, score)
            product = attention.q @ key_bias(attention, read).mT
            key.append((scaled * product).sum(-1) + fixed)
            product = query_bias(attention, read) @ attention.k.mT
            query.append((scaled * product).sum(-1) + fixed)
        mlp.append(_mlp_part(gradient, layer, (before if block.parallel else middle)[layer]))
    return BiasParts(
        _output_part(gradient, weights, before[-1]),
        torch.stack(value),
        torch.stack(key) if key else None,
        torch.stack(query) if query else None,
        torch.stack(mlp),
    )


def node_bias(parts: BiasParts, anatomy: Anatomy) -> Float[Tensor, "component position"]:
    """The bias part of each node's score, in the layout of the components."""
    layout = Layout.of(anatomy)
    bias = parts.mlp.new_zeros(layout.n_components, parts.mlp.shape[-1])
    for layer in range(layout.n_layers):
        bias[layout.heads(layer)] = parts.value[layer]
        bias[layout.mlp(layer)] = parts.mlp[layer]
    return bias


def carried_biases(frozen: Coefficients) -> tuple[list[Tensor], list[Tensor]]:
    """What constants left in the residual stream [position, d_model] before and within each layer.

    Constants are the attention layers' output biases, those of norms on the stream, and token
    types. The first list ends with what reaches the final norm.
    """
    anatomy = frozen.anatomy
    carried = anatomy.embedding.new_zeros(frozen.attention[0].q.shape[-2], anatomy.d_model)
    if anatomy.token_type is not None:
        carried = carried + anatomy.token_type
    carried = _with_bias(frozen.stream_norm.apply(carried), anatomy.stream_norm)
    before, middle = [carried], []
    for attention, mlp, block in zip(frozen.attention, frozen.mlp, anatomy.blocks, strict=True):
        bias = attention.weights.b_o
        if bias is not None:
            carried = carried + attention.out_norm.apply(bias.expand_as(carried))
        carried = _with_bias(carried, block.attention_norm)
        carried = _with_bias(attention.sum_norm.apply(carried), block.sum_norm1)
        middle.append(carried)
        carried = _with_bias(mlp.sum_norm.apply(carried), block.sum_norm2)
        before.append(carried)
    return before, middle


def attention_reads(
    frozen: Coefficients, layer: int, carried: Float[Tensor, "position d_model"]
) -> Float[Tensor, "position d_model"]:
    """What biases before a layer put into what its attention reads, the norm's included."""
    return _with_bias(
        frozen.attention[layer].norm.apply(carried), frozen.anatomy.blocks[layer].norm1
    )


def key_bias(
    attention: AttentionCoefficients, read: Float[Tensor, "position d_model"]
) -> Float[Tensor, "head position d_head"]:
    """The part of the keys, as multiplied, that biases make."""
    weights = attention.weights
    raw = attention.k_norm.apply(project(read, weights.w_k, weights.b_k))
    return per_head(rotate(_with_bias(raw, weights.k_norm), weights.rotary), weights)


def query_bias(
    attention: AttentionCoefficients, read: Float[Tensor, "position d_model"]
) -> Float[Tensor, "head position d_head"]:
    """The part of the queries, as multiplied, that biases make."""
    weights = attention.weights
    raw = attention.q_norm.apply(project(read, weights.w_q, weights.b_q))
    return rotate(_with_bias(raw, weights.q_norm), weights.rotary)


def _score_bias_part(
    attention: AttentionCoefficients, score: Float[Tensor, "head query key"]
) -> Float[Tensor, "head query"]:
    """Half of what a bias of the scores makes the heads choose: keys and queries share it."""
    bias = attention.weights.bias
    if bias is None:
        return score.new_zeros(score.shape[:-1])
    return (score * bias.at(score.shape[-1])).sum(-1) / 2


def _value_part(attention: AttentionCoefficients, read: Tensor, gamma: Tensor) -> Tensor:
    weights = attention.weights
    value = per_head(project(read, weights.w_v, weights.b_v), weights)
    return ((attention.pattern @ value) * gamma).sum(-1)


def _with_bias(x: Tensor, norm: Norm | None) -> Tensor:
    return x if norm is None or norm.bias is None else x + norm.bias


def _mlp_part(gradient: Gradient, layer: int, carried: Tensor) -> Tensor:
    block = gradient.coefficients.anatomy.blocks[layer]
    mlp, worth = gradient.coefficients.mlp[layer], gradient.layers[layer]
    weights = mlp.weights
    part = (worth.mlp_read * carried).sum(-1)
    if block.norm2 is not None and block.norm2.bias is not None:
        part = part + worth.mlp_normed @ block.norm2.bias
    if weights.b_in is not None:
        part = part + (worth.neurons * mlp.slope) @ weights.b_in
    if weights.b_gate is not None and mlp.gate_slope is not None:
        part = part + (worth.neurons * mlp.gate_slope) @ weights.b_gate
    written = torch.zeros_like(worth.mlp)
    if weights.b_out is not None:
        written = mlp.out_norm.apply(weights.b_out.expand_as(written))
    return part + (worth.mlp * _with_bias(written, block.mlp_norm)).sum(-1)


def _output_part(gradient: Gradient, weights: Tensor, carried: Tensor) -> Tensor:
    anatomy, slope = gradient.coefficients.anatomy, gradient.coefficients.logit_slope
    part = (carried * gradient.final).sum()
    if anatomy.final_norm is not None and anatomy.final_norm.bias is not None:
        part = part + anatomy.final_norm.bias @ gradient.logits
    part = part + gradient.coefficients.transform.bias(gradient.words)
    if anatomy.unembedding_bias is not None:
        scaled = weights if slope is None else weights * slope
        part = part + scaled @ anatomy.unembedding_bias
    return part
