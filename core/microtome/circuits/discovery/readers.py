"""What a unit of the stream is worth to the metric where each reader takes it up."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.backward import Gradient, LayerGradient, head_back, rotated_back
from microtome.circuits.coefficients import AttentionCoefficients
from microtome.records.edges import Edges


def reader_worths(gradient: Gradient) -> Float[Tensor, "reader position d_model"]:
    """The gradient of the metric at the input of every reader, in the order of ``Edges``.

    Heads that share keys and values have each their own.
    """
    frozen = gradient.coefficients
    edges = Edges.of(frozen.anatomy)
    found = gradient.final.new_empty(edges.n_readers, *gradient.final.shape)
    for layer, worth in enumerate(gradient.layers):
        found[edges.head_readers(layer)] = _of_heads(frozen.attention[layer], worth)
        found[edges.mlp_reader(layer)] = worth.mlp_read
    found[-1] = gradient.final
    return found


def _of_heads(
    attention: AttentionCoefficients, worth: LayerGradient
) -> Float[Tensor, "side_and_head position d_model"]:
    assert worth.score is not None  # noqa: S101
    assert worth.query is not None  # noqa: S101
    weights, heads = attention.weights, range(len(attention.weights.w_q))
    group = weights.group
    queries = [head_back(attention.q_norm, weights.w_q, head, worth.query[head]) for head in heads]
    offered = attention.score_scale * worth.score.mT @ attention.q
    keys = [
        head_back(
            attention.k_norm, weights.w_k, head // group, rotated_back(attention, offered[head])
        )
        for head in heads
    ]
    values = (attention.pattern.mT @ worth.gamma) @ weights.w_v.repeat_interleave(group, 0)
    read = torch.cat([torch.stack(queries), torch.stack(keys), values])
    return attention.norm.transpose(read)
