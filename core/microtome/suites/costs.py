"""What the parts of a model cost: parameters, and operations of one token."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from microtome.models.anatomy import Anatomy, Attention, Experts, Mlp
from microtome.records.removal import HEADS, MLPS, Part


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters, and multiplications and additions of one token."""

    parameters: int
    flops: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.parameters + other.parameters, self.flops + other.flops)


def cost_of(anatomy: Anatomy, part: Part, length: int) -> Cost:
    """What a part costs in prompts of so many tokens, from the shapes of its weights.

    A weight is multiplied and added once a token; scores and the mean of the values add
    2 · 2 · d_head · length. Keys and values that heads share count for each as its share, and of a
    mixture of experts those that run.
    """
    block = anatomy.blocks[part.layer]
    if part.kind == HEADS:
        return _head(block.attention, length)
    if part.kind == MLPS:
        return _mlp(block.mlp)
    heads = [_head(block.attention, length)] * len(block.attention.w_q)
    return sum([*heads, _of(block.attention.b_o)], _mlp(block.mlp))


def whole_cost(anatomy: Anatomy, parameters: int, length: int) -> Cost:
    """What the model of so many parameters costs, its unembedding with it."""
    layers = [cost_of(anatomy, Part("layers", at), length) for at in range(len(anatomy.blocks))]
    total = sum(layers, Cost(0, 2.0 * anatomy.unembedding.numel()))
    return Cost(parameters, total.flops)


def _head(weights: Attention, length: int) -> Cost:
    own = _of(weights.w_q[0], weights.w_o[0], _first(weights.b_q))
    shared = _of(weights.w_k[0], weights.w_v[0], _first(weights.b_k), _first(weights.b_v))
    group = weights.group
    mixing = 4.0 * weights.w_q.shape[1] * length
    return own + Cost(shared.parameters // group, shared.flops / group + mixing)


def _mlp(mlp: Mlp | Experts) -> Cost:
    if isinstance(mlp, Mlp):
        return _of(mlp.w_in, mlp.w_out, mlp.w_gate, mlp.b_in, mlp.b_out, mlp.b_gate)
    experts = _of(mlp.gate_up, mlp.down)
    running = experts.flops * mlp.router.chosen / len(mlp.down)
    rest = _of(mlp.router.weight) + (Cost(0, 0.0) if mlp.shared is None else _mlp(mlp.shared))
    return Cost(experts.parameters, running) + rest


def _first(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias[0]


def _of(*weights: Tensor | None) -> Cost:
    count = sum(weight.numel() for weight in weights if weight is not None)
    return Cost(count, 2.0 * count)
