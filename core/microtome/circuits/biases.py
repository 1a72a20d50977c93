"""The part of a score that biases explain, computed from the biases themselves.

Between two runs all biases cancel, so everything here belongs to single runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.backward import Gradient
from microtome.circuits.coefficients import AttentionCoefficients
from microtome.circuits.sources import Layout
from microtome.models.anatomy import Anatomy, Norm
from microtome.models.arithmetic import per_head, project, rotate


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
    anatomy = gradient.coefficients.anatomy
    carried = torch.zeros_like(gradient.embedding)  # biases in the residual stream so far
    value, key, query, mlp = [], [], [], []
    for layer, block in enumerate(anatomy.blocks):
        attention = gradient.coefficients.attention[layer]
        read = _with_bias(attention.norm.apply(carried), block.norm1)
        value.append(_value_part(attention, read, gradient, layer))
        if gradient.layers[layer].score is not None:
            key.append(_key_part(attention, read, gradient, layer))
            query.append(_query_part(attention, read, gradient, layer))
        before = carried
        carried = carried + _attention_bias(gradient, layer)
        mlp.append(_mlp_part(gradient, layer, before if block.parallel else carried))
    return BiasParts(
        _output_part(gradient, weights, carried),
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


def _attention_bias(gradient: Gradient, layer: int) -> Tensor:
    """What the attention's own biases write: [position, d_model]."""
    attention = gradient.coefficients.attention[layer]
    norm = gradient.coefficients.anatomy.blocks[layer].attention_norm
    written = torch.zeros_like(gradient.embedding)
    if attention.weights.b_o is not None:
        written = attention.out_norm.apply(written + attention.weights.b_o)
    return _with_bias(written, norm)


def _value_part(
    attention: AttentionCoefficients, read: Tensor, gradient: Gradient, layer: int
) -> Tensor:
    weights = attention.weights
    value = per_head(project(read, weights.w_v, weights.b_v), weights)
    return ((attention.pattern @ value) * gradient.layers[layer].gamma).sum(-1)


def _key_part(
    attention: AttentionCoefficients, read: Tensor, gradient: Gradient, layer: int
) -> Tensor:
    weights = attention.weights
    raw = attention.k_norm.apply(project(read, weights.w_k, weights.b_k))
    key = per_head(rotate(_with_bias(raw, weights.k_norm), weights.rotary), weights)
    return _score_part(attention, gradient, layer, attention.q @ key.mT)


def _query_part(
    attention: AttentionCoefficients, read: Tensor, gradient: Gradient, layer: int
) -> Tensor:
    weights = attention.weights
    raw = attention.q_norm.apply(project(read, weights.w_q, weights.b_q))
    query = rotate(_with_bias(raw, weights.q_norm), weights.rotary)
    return _score_part(attention, gradient, layer, query @ attention.k.mT)


def _with_bias(x: Tensor, norm: Norm | None) -> Tensor:
    return x if norm is None or norm.bias is None else x + norm.bias


def _score_part(
    attention: AttentionCoefficients, gradient: Gradient, layer: int, product: Tensor
) -> Tensor:
    score = gradient.layers[layer].score
    assert score is not None  # noqa: S101
    return attention.score_scale * (score * product).sum(-1)


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
        written = mlp.out_norm.apply(written + weights.b_out)
    return part + (worth.mlp * _with_bias(written, block.mlp_norm)).sum(-1)


def _output_part(gradient: Gradient, weights: Tensor, carried: Tensor) -> Tensor:
    anatomy, slope = gradient.coefficients.anatomy, gradient.coefficients.logit_slope
    part = (carried * gradient.final).sum()
    if anatomy.final_norm is not None and anatomy.final_norm.bias is not None:
        part = part + anatomy.final_norm.bias @ gradient.logits
    if anatomy.unembedding_bias is not None:
        scaled = weights if slope is None else weights * slope
        part = part + scaled @ anatomy.unembedding_bias
    return part
