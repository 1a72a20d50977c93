"""The forward pass of a transformer, written plainly from its anatomy in float64.

Heads and queries are looped over one by one; every site of the table is recorded on the way.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor


def scale(x: Tensor, n: Any) -> Tensor:
    if n.centred:
        x = x - x.mean(-1, keepdim=True)
    return torch.sqrt((x * x).mean(-1) + n.eps)


def norm(x: Tensor, n: Any) -> Tensor:
    if n is None:
        return x
    y = (x - x.mean(-1, keepdim=True) if n.centred else x) / scale(x, n)[..., None]
    y = y if n.weight is None else y * n.weight.double()
    return y if n.bias is None else y + n.bias.double()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = x @ weight.double().T
    return y if bias is None else y + bias.double()


def act(name: str, x: Tensor) -> Tensor:
    tanh_argument = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return {
        "gelu": 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
        "gelu_tanh": 0.5 * x * (1 + torch.tanh(tanh_argument)),
        "relu": x * (x > 0),
        "silu": x / (1 + torch.exp(-x)),
    }[name]


def rotate(x: Tensor, rotary: Any) -> Tensor:
    """x [position, d_head]."""
    if rotary is None:
        return x
    cosines, sines = (angle.double() for angle in rotary.angles(len(x)))
    part, rest = x[:, : rotary.n_rotated], x[:, rotary.n_rotated :]
    turned = torch.zeros_like(part)
    half = rotary.n_rotated // 2
    for i in range(half):
        one, other = (2 * i, 2 * i + 1) if rotary.interleaved else (i, i + half)
        turned[:, one], turned[:, other] = -part[:, other], part[:, one]
    return torch.cat([part * cosines + turned * sines, rest], -1)


class Sites:
    """Records every site, and lets ``change(name, layer, head, values)`` replace its values."""

    def __init__(self, change: Any) -> None:
        self.change, self.layer = change, None
        self.found: dict[str, dict[Any, Tensor]] = {}

    def __call__(self, name: str, values: Tensor, h: int | None = None) -> Tensor:
        values = self.change(name, self.layer, h, values)
        self.found.setdefault(name, {})[self.layer, h] = values
        return values

    def arrays(self) -> dict[str, Tensor]:
        return {name: self._array(name, rows) for name, rows in self.found.items()}

    @staticmethod
    def _array(name: str, rows: dict[Any, Tensor]) -> Tensor:
        layers = sorted({layer for layer, _ in rows if layer is not None})
        heads = sorted({h for _, h in rows if h is not None})
        axis = 0 if name in ("scores", "pattern") else 1
        stacked = [
            torch.stack([rows[layer, h] for h in heads], axis) if heads else rows[layer, None]
            for layer in layers or [None]
        ]
        return torch.stack(stacked) if layers else stacked[0]


def normed(x: Tensor, n: Any, site: str, see: Sites, absent: bool = True) -> Tensor:
    """Where a layer lacks the norm that others have (not ``absent``) it divides by 1."""
    if n is None and absent:
        return x
    if n is None:
        return see(site, x / see(f"{site}_scale", torch.ones(len(x), dtype=x.dtype))[..., None])
    y = x - x.mean(-1, keepdim=True) if n.centred else x
    y = y / see(f"{site}_scale", scale(x, n))[..., None]
    y = y if n.weight is None else y * n.weight.double()
    return see(site, y if n.bias is None else y + n.bias.double())


def head_norms(heads: list[Tensor], n: Any) -> list[Tensor]:
    """Queries or keys of all heads after their norms, or after the one they share."""
    if n is None or not n.joint:
        apart = n is not None and n.weight is not None and n.weight.dim() == 3
        own = [replace(n, weight=n.weight[h, 0]) if apart else n for h in range(len(heads))]
        return [norm(one, head) for one, head in zip(heads, own, strict=True)]
    root = torch.sqrt((torch.cat(heads, -1) ** 2).mean(-1, keepdim=True) + n.eps)
    return [one / root * n.weight[h, 0].double() for h, one in enumerate(heads)]


def attention(x: Tensor, a: Any, see: Sites) -> Tensor:
    """Keys and values once a key-value head, then one head and one query after another."""
    keys, values = [], []
    raw = [
        see("k", linear(x, a.w_k[g], None if a.b_k is None else a.b_k[g]), g)
        for g in range(len(a.w_k))
    ]
    for g, k in enumerate(head_norms(raw, a.k_norm)):
        keys.append(see("rot_k", rotate(k, a.rotary), g))
        values.append(see("v", linear(x, a.w_v[g], None if a.b_v is None else a.b_v[g]), g))
    out = torch.zeros_like(x) if a.b_o is None else a.b_o.double().expand_as(x)
    raw = [
        see("q", linear(x, a.w_q[h], None if a.b_q is None else a.b_q[h]), h)
        for h in range(len(a.w_q))
    ]
    for h, q_normed in enumerate(head_norms(raw, a.q_norm)):
        k, v = keys[h // a.group], values[h // a.group]
        q = rotate(q_normed, a.rotary)
        if a.queries_scaled:
            scores = see("rot_q", q * a.scale, h) @ k.T
        else:
            scores = see("rot_q", q, h) @ k.T * a.scale
        if a.bias is not None:
            scores = scores + a.bias.at(len(x))[h].double()
        if a.soft_cap is not None:
            scores = a.soft_cap * torch.tanh(scores / a.soft_cap)
        scores = see("scores", scores, h)
        pattern = torch.zeros_like(scores)
        for at in range(len(x)):
            first = 0 if a.window is None else max(0, at - a.window + 1)
            end = at + 1 if a.causal else len(x) if a.window is None else at + a.window
            weights = torch.exp(scores[at, first:end] - scores[at, first:end].max())
            pattern[at, first:end] = weights / weights.sum()
        z = see("z", see("pattern", pattern, h) @ v, h)
        out = out + z @ a.w_o[h].double().T
    return out


def experts(x: Tensor, m: Any, see: Sites) -> Tensor:
    """Position by position and expert by expert."""
    weights = torch.zeros(len(x), len(m.down), dtype=torch.float64)
    for at, row in enumerate(torch.softmax(linear(x, m.router.weight, None), -1)):
        best = row.argsort(descending=True)[: m.router.chosen]
        weights[at, best] = row[best] / row[best].sum() if m.router.renormalise else row[best]
    out = torch.zeros_like(x)
    for at, row in enumerate(see("router", weights)):
        for e in torch.nonzero(row)[:, 0].tolist():
            gate, up = linear(x[at], m.gate_up[e], None).chunk(2)
            out[at] += row[e] * linear(act(m.activation, gate) * up, m.down[e], None)
    if m.shared is not None:
        gate = torch.sigmoid(linear(x, m.router.shared, None))
        out = out + gate * mlp(x, m.shared, lambda _site, values: values)
    return out


def mlp(x: Tensor, m: Any, see: Any) -> Tensor:
    x = see("mlp_in", x)
    if hasattr(m, "router"):
        return experts(x, m, see)
    up = linear(x, m.w_in, m.b_in)
    if m.w_gate is None:
        hidden = act(m.activation, see("mlp_pre", up))
    else:
        hidden = act(m.activation, see("mlp_pre", linear(x, m.w_gate, m.b_gate))) * up
    return linear(see("mlp_post", hidden), m.w_out, m.b_out)


def summed(x: Tensor, n: Any, site: str, see: Sites) -> Tensor:
    """Behind a norm on the stream, whose output is a site of the stream."""
    if n is None:
        return x
    centred = x - x.mean(-1, keepdim=True) if n.centred else x
    y = centred / see(f"{site}_scale", scale(x, n))[..., None]
    y = y if n.weight is None else y * n.weight.double()
    return y if n.bias is None else y + n.bias.double()


def block(x: Tensor, b: Any, see: Sites, absent: bool) -> Tensor:
    x = see("resid_pre", x)
    first = normed(x, b.norm1, "norm1", see, absent)
    attended = attention(first, b.attention, see)
    attended = see("attn_out", norm(attended, b.attention_norm))
    middle = x if b.parallel else see("resid_mid", summed(x + attended, b.sum_norm1, "norm1", see))
    shared = b.parallel and b.norm2 is b.norm1
    second = first if shared else normed(middle, b.norm2, "norm2", see)
    wrote = see("mlp_out", norm(mlp(second, b.mlp, see), b.mlp_norm))
    after = x + attended + wrote if b.parallel else middle + wrote
    return see("resid_post", summed(after, b.sum_norm2, "norm2", see))


def _unchanged(_name: str, _layer: int | None, _head: int | None, values: Tensor) -> Tensor:
    return values


def run(anatomy: Any, ids: list[int], change: Any = _unchanged) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits [position, vocabulary] and every site, with a layer axis where it has one."""
    see = Sites(change)
    x = anatomy.embedding[ids].double() * anatomy.embedding_scale
    if anatomy.embedding_map is not None:
        x = linear(x, anatomy.embedding_map, None)
    x = see("embed", norm(x, anatomy.embedding_norm))
    if anatomy.positions is not None:
        x = x + see("pos_embed", anatomy.positions[: len(ids)].double())
    if anatomy.token_type is not None:
        x = x + anatomy.token_type.double()
    x = norm(x, anatomy.stream_norm)
    absent = all(b.norm1 is None for b in anatomy.blocks)
    for see.layer, b in enumerate(anatomy.blocks):
        x = block(x, b, see, absent)
    see.layer = None
    x = normed(x, anatomy.final_norm, "final_norm", see)
    if (t := anatomy.transform) is not None:
        x = linear(x, t.weight, t.bias)
        x = norm(x if t.activation is None else act(t.activation, x), t.norm)
    y = linear(x, anatomy.unembedding, anatomy.unembedding_bias)
    if anatomy.soft_cap is not None:
        y = anatomy.soft_cap * torch.tanh(y / anatomy.soft_cap)
    return y, see.arrays()


def logits(anatomy: Any, ids: list[int]) -> Tensor:
    """Logits [position, vocabulary] in float64."""
    return run(anatomy, ids)[0]
