"""The forward pass of a transformer, written plainly from its anatomy in float64."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def norm(x: Tensor, n: Any) -> Tensor:
    if n is None:
        return x
    if n.centred:
        x = x - x.mean(-1, keepdim=True)
    y = x / torch.sqrt((x * x).mean(-1, keepdim=True) + n.eps)
    y = y if n.weight is None else y * n.weight.double()
    return y if n.bias is None else y + n.bias.double()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = x @ weight.double().T
    return y if bias is None else y + bias.double()


def act(name: str, x: Tensor) -> Tensor:
    return {
        "gelu": lambda: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
        "gelu_tanh": lambda: (
            0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        ),
        "relu": lambda: x * (x > 0),
        "silu": lambda: x / (1 + torch.exp(-x)),
    }[name]()


def rotate(x: Tensor, rotary: Any) -> Tensor:
    """x [position, d_head]."""
    if rotary is None:
        return x
    cosines, sines = (angle.double() for angle in rotary.angles(len(x)))
    part, rest = x[:, : rotary.n_rotated], x[:, rotary.n_rotated :]
    half = rotary.n_rotated // 2
    turned = torch.cat([-part[:, half:], part[:, :half]], -1)
    return torch.cat([part * cosines + turned * sines, rest], -1)


def head(x: Tensor, a: Any, h: int) -> Tensor:
    """What one head adds, before the bias of the output matrix: [position, d_model]."""
    g = h // a.group
    bias = [None if b is None else b[i] for b, i in ((a.b_q, h), (a.b_k, g), (a.b_v, g))]
    q, k, v = (linear(x, w, b) for w, b in zip((a.w_q[h], a.w_k[g], a.w_v[g]), bias, strict=True))
    q, k = rotate(norm(q, a.q_norm), a.rotary), rotate(norm(k, a.k_norm), a.rotary)
    z = torch.zeros_like(q)
    for at in range(len(x)):
        first = 0 if a.window is None else max(0, at - a.window + 1)
        scores = k[first : at + 1] @ q[at] * a.scale
        if a.soft_cap is not None:
            scores = a.soft_cap * torch.tanh(scores / a.soft_cap)
        weights = torch.exp(scores - scores.max())
        z[at] = (weights / weights.sum()) @ v[first : at + 1]
    return z @ a.w_o[h].double().T


def attention(x: Tensor, a: Any) -> Tensor:
    out = sum(head(x, a, h) for h in range(len(a.w_q)))
    return out if a.b_o is None else out + a.b_o.double()


def mlp(x: Tensor, m: Any) -> Tensor:
    hidden = linear(x, m.w_in, m.b_in)
    if m.w_gate is None:
        hidden = act(m.activation, hidden)
    else:
        hidden = act(m.activation, linear(x, m.w_gate, m.b_gate)) * hidden
    return linear(hidden, m.w_out, m.b_out)


def logits(anatomy: Any, ids: list[int]) -> Tensor:
    """Logits [position, vocabulary] in float64."""
    x = anatomy.embedding[ids].double() * anatomy.embedding_scale
    if anatomy.positions is not None:
        x = x + anatomy.positions[: len(ids)].double()
    for b in anatomy.blocks:
        attended = norm(attention(norm(x, b.norm1), b.attention), b.attention_norm)
        middle = x if b.parallel else x + attended
        wrote = norm(mlp(norm(middle, b.norm2), b.mlp), b.mlp_norm)
        x = x + attended + wrote
    y = linear(norm(x, anatomy.final_norm), anatomy.unembedding, anatomy.unembedding_bias)
    return y if anatomy.soft_cap is None else anatomy.soft_cap * torch.tanh(y / anatomy.soft_cap)
