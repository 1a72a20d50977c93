"""One layer on many rows at once, as fast as the machine multiplies matrices.

The same arithmetic as ``microtome.models.arithmetic``, which keeps every intermediate of one
prompt; here rows of many runs lie in one matrix, nothing is kept, and fused operations stand
where torch has them. Axes: heads first, then rows, then the last axis of each site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from microtome.interventions.sweeping.scratch import Scratch
from microtome.models.activation_functions import activation_function
from microtome.models.anatomy import Attention, Block, Mlp, Norm, Rotary
from microtome.models.operations import normalise, output_matrix, turn

# Rows of a block of the MLP: its hidden values then stay in the processor's cache.
MLP_ROWS = 768

# In place: what the non-linearity read is not needed again.
_FUSED: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": torch.ops.aten.gelu_,
    "gelu_tanh": partial(torch.ops.aten.gelu_, approximate="tanh"),
    "silu": partial(functional.silu, inplace=True),
    "relu": torch.relu_,
}


def normed(norm: Norm | None, x: Float[Tensor, "*row d"]) -> Float[Tensor, "*row d"]:
    """What a norm gives; the rows themselves where there is none."""
    if norm is None or norm.joint or (norm.weight is not None and norm.weight.ndim > 1):
        return normalise(norm, x)
    size = x.shape[-1:]
    if norm.centred:
        return functional.layer_norm(x, size, norm.weight, norm.bias, norm.eps)
    y = functional.rms_norm(x, size, norm.weight, norm.eps)
    return y if norm.bias is None else y + norm.bias


Angles = tuple[Tensor, Tensor]


def angles_of(rotary: Rotary | None, length: int) -> Angles | None:
    """Cosines and sines [position, rotated] of all positions."""
    return None if rotary is None else rotary.angles(length)


def prepared(
    weights: Attention,
    norm: Norm | None,
    raw: Float[Tensor, "head row d_head"],
    angles: Angles | None,
    at: Int[Tensor, " row"],
) -> Float[Tensor, "head row d_head"]:
    """Queries or keys at the positions ``at`` as they are multiplied: normed and rotated."""
    raw = normalise(norm, raw)
    if weights.rotary is None or angles is None:
        return raw
    cos, sin = (part[at] for part in angles)
    return turn(raw, cos, sin, interleaved=weights.rotary.interleaved)


def queries(
    weights: Attention,
    read: Tensor,
    angles: Angles | None,
    at: Tensor,
    into: Tensor | None = None,
) -> Float[Tensor, "head row d_head"]:
    """The queries of rows that a layer's attention reads; ``into`` [row, all_heads] if given."""
    raw = _projected(read, weights.w_q, weights.b_q, into)
    return prepared(weights, weights.q_norm, raw, angles, at)


def keys(
    weights: Attention,
    read: Tensor,
    angles: Angles | None,
    at: Tensor,
    into: Tensor | None = None,
) -> Float[Tensor, "kv_head row d_head"]:
    """The keys of rows that a layer's attention reads."""
    raw = _projected(read, weights.w_k, weights.b_k, into)
    return prepared(weights, weights.k_norm, raw, angles, at)


def values(
    weights: Attention, read: Tensor, into: Tensor | None = None
) -> Float[Tensor, "kv_head row d_head"]:
    """The values of rows that a layer's attention reads."""
    return _projected(read, weights.w_v, weights.b_v, into)


def _projected(
    read: Tensor, weight: Tensor, bias: Tensor | None, into: Tensor | None
) -> Float[Tensor, "head row d_head"]:
    flat = _linear(read, weight.flatten(0, 1), None if bias is None else bias.flatten(), into)
    heads: Tensor = flat.unflatten(1, weight.shape[:2])
    return heads.transpose(0, 1)


def attention_output(
    weights: Attention, z: Float[Tensor, "row head d_head"], into: Tensor | None = None
) -> Float[Tensor, "row d_model"]:
    """What the heads write together, before a norm on the branch."""
    return _linear(z.flatten(1), output_matrix(weights), weights.b_o, into)


def behind_attention(
    block: Block,
    stream: Float[Tensor, "row d_model"],
    written: Float[Tensor, "row d_model"],
    into: Tensor | None = None,
) -> Float[Tensor, "row d_model"]:
    """The stream between attention and MLP; ``written`` is behind a norm on the branch."""
    return normed(block.sum_norm1, torch.add(stream, written, out=into))


def behind_mlp(
    block: Block,
    middle: Float[Tensor, "row d_model"],
    written: Float[Tensor, "row d_model"],
    into: Tensor | None = None,
) -> Float[Tensor, "row d_model"]:
    """The stream behind the layer; ``written`` is behind a norm on the branch."""
    return normed(block.sum_norm2, torch.add(middle, written, out=into))


def neurons(
    block: Block, stream: Float[Tensor, "row d_model"], scratch: Scratch | None = None
) -> Float[Tensor, "row d_mlp"]:
    """The neurons of rows whose MLP reads ``stream``; in ``scratch`` memory if there is some."""
    mlp = block.mlp
    assert isinstance(mlp, Mlp)  # noqa: S101
    read = normed(block.norm2, stream)
    act = _FUSED.get(mlp.activation, activation_function(mlp.activation).value)
    pre = _linear(read, mlp.w_in, mlp.b_in, _hidden(scratch, "neurons", read, mlp))
    if mlp.w_gate is None:
        return act(pre)
    gates = _linear(read, mlp.w_gate, mlp.b_gate, _hidden(scratch, "gates", read, mlp))
    return act(gates).mul_(pre)


def _hidden(scratch: Scratch | None, purpose: str, read: Tensor, mlp: Mlp) -> Tensor | None:
    return None if scratch is None else scratch.take(purpose, (len(read), len(mlp.w_in)), read)


def _linear(
    x: Float[Tensor, "row d_in"],
    weight: Float[Tensor, "d_out d_in"],
    bias: Float[Tensor, " d_out"] | None,
    into: Tensor | None,
) -> Float[Tensor, "row d_out"]:
    """The product, put into memory that is there if some is given."""
    if into is None:
        return functional.linear(x, weight, bias)
    if bias is None:
        return torch.mm(x, weight.T, out=into)
    return torch.addmm(bias, x, weight.T, out=into)


def mlp_writes(
    block: Block, post: Float[Tensor, "row d_mlp"], into: Tensor | None = None
) -> Float[Tensor, "row d_model"]:
    """What neurons write, before a norm on the branch."""
    mlp = block.mlp
    assert isinstance(mlp, Mlp)  # noqa: S101
    return _linear(post, mlp.w_out, mlp.b_out, into)


def mlp_output(
    block: Block,
    stream: Float[Tensor, "row d_model"],
    scratch: Scratch,
    into: Tensor | None = None,
) -> Float[Tensor, "row d_model"]:
    """What the MLP writes for rows that it reads, behind a norm on the branch."""
    made = torch.empty_like(stream) if into is None else into
    for start in range(0, len(stream), MLP_ROWS):
        scratch.check()
        part = slice(start, start + MLP_ROWS)
        post = neurons(block, stream[part], scratch)
        scratch.check()
        if block.mlp_norm is None:
            mlp_writes(block, post, made[part])
        else:
            made[part] = normed(block.mlp_norm, mlp_writes(block, post))
    return made
