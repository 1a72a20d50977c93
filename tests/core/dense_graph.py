"""All edges of the component graph at once, with explicit matrices: plain, slow, float64.

Every line is one formula of docs/component-graph.md. Nothing of the circuits package is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from microtome.models.activation_functions import activation_function
from microtome.models.arithmetic import Run
from microtome.models.operations import normalise, project, rotate


@dataclass
class Dense:
    """Outputs, scores [component, position] and every edge; edges of one layer a list entry."""

    outputs: Tensor
    scores: Tensor
    out: Tensor  # [component]
    mlp: list[Tensor] = field(default_factory=list)  # [position, component]
    value: list[Tensor] = field(default_factory=list)  # [head, query, component, key]
    key: list[Tensor] = field(default_factory=list)
    query: list[Tensor] = field(default_factory=list)  # [head, query, component]


def norm_matrix(norm: Any, a: Tensor, b: Tensor | None) -> Tensor:
    """[…, d, d] such that the norm's linear part is a product with it."""
    d = a.shape[-1]
    eye = torch.eye(d, dtype=a.dtype)
    if norm is None:
        return eye.expand(*a.shape, d)
    centring = eye - 1 / d if norm.centred else eye
    a_c, r_a = a @ centring, _root(norm, a @ centring)
    if b is None:
        inner = centring / r_a[..., None]
    else:
        b_c, r_b = b @ centring, _root(norm, b @ centring)
        mid = (a_c + b_c) / 2
        kappa = -2 / (d * r_a * r_b * (r_a + r_b))
        average = (1 / r_a + 1 / r_b) / 2
        outer = mid[..., :, None] * mid[..., None, :] * kappa[..., None]
        inner = centring * average[..., None] + outer @ centring
    return norm.weight[..., None] * inner


def heads_matrix(norm: Any, a: Tensor, b: Tensor | None) -> Tensor:
    """[head, position, d_head, head, d_head]: a norm of queries or keys, heads apart or joint."""
    count, width = a.shape[0], a.shape[-1]
    if norm is not None and norm.joint:
        flat = [None if x is None else x.transpose(0, 1).flatten(1) for x in (a, b)]
        whole = norm_matrix(replace(norm, weight=norm.weight.flatten(), joint=False), *flat)
        parts = whole.unflatten(1, (count, width)).unflatten(3, (count, width))
        return parts.transpose(0, 1)
    eye = torch.eye(count, dtype=a.dtype)
    return torch.einsum("hpjk,hg->hpjgk", norm_matrix(norm, a, b), eye)


def _root(norm: Any, centred: Tensor) -> Tensor:
    return (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()


def rotations(rotary: Any, count: int, width: int) -> Tensor:
    """[position, d_head, d_head]."""
    eye = torch.eye(width, dtype=torch.float64)
    return rotate(eye[:, None].expand(width, count, width), rotary).permute(1, 2, 0)


def log_mean(a: Tensor, b: Tensor, visible: Tensor) -> Tensor:
    ratio = (a - b) / (a.log() - b.log())
    return torch.where(visible, torch.where(a == b, a, ratio), 0.0)


def quotient(f: Any, a: Tensor, b: Tensor | None) -> Tensor:
    """Secant through 0, or between two points; near ones are left to the product's own test."""
    return f(a) / a if b is None else torch.where(a == b, 0.0, (f(a) - f(b)) / (a - b))


def dense_graph(clean: Run, corrupt: Run | None, weights: Tensor, position: int) -> Dense:
    """The single rule for one run, the two-point rule for two."""
    anatomy, a, b = clean.anatomy, clean, corrupt
    raw = [r.raw_logits(position) for r in (a, b) if r is not None]
    if anatomy.soft_cap is not None:
        cap = anatomy.soft_cap
        slope = quotient(lambda x: cap * torch.tanh(x / cap), raw[0], raw[1] if b else None)
        if b is not None:  # tokens whose logits agree: any slope does
            slope = torch.where(raw[0] == raw[1], 1 - torch.tanh(raw[0] / cap) ** 2, slope)
        weights = weights * slope
    final = norm_matrix(anatomy.final_norm, a.final, b.final if b else None)
    worth = torch.zeros_like(a.final)
    before = weights @ anatomy.unembedding @ transform_matrix(a, b, position)
    worth[position] = final[position].T @ before
    outputs = _embeddings(a, b)
    summed = [None if r is None else _sum_of_embeddings(r) for r in (a, b)]
    first = norm_matrix(anatomy.stream_norm, *summed)
    layers = [_Layer(anatomy.blocks[i], a.blocks[i], b.blocks[i] if b else None)
              for i in range(len(anatomy.blocks))]  # fmt: skip
    outputs = torch.cat([outputs, *(layer.outputs() for layer in layers)])
    scores = torch.zeros(outputs.shape[:2], dtype=outputs.dtype)
    n_heads, last = len(layers[0].v), len(outputs)
    here = carry(first, outputs[: last - len(layers) * (n_heads + 1)])
    for layer in layers:
        here = layer.carry(here, outputs[len(here) : len(here) + n_heads + 1])
    graph = Dense(outputs, scores, here[:, position] @ worth[position])
    for layer in reversed(layers):
        last -= n_heads + 1
        worth = layer.back(worth, graph, slice(last, last + n_heads + 1))
    worth = torch.einsum("pde,pd->pe", first, worth)
    graph.scores[:last] = torch.einsum("npd,pd->np", outputs[:last], worth)
    for edges in (graph.mlp, graph.value, graph.key, graph.query):
        edges.reverse()
    return graph


def carry(matrices: Tensor, outputs: Tensor) -> Tensor:
    """What was written, [component, position, d], behind a norm on the stream."""
    return torch.einsum("pde,npe->npd", matrices, outputs)


def transform_matrix(a: Run, b: Run | None, position: int) -> Tensor:
    """[d_read, d] from what the final norm gives to what the unembedding reads."""
    t = a.anatomy.transform
    if t is None:
        return torch.eye(a.final.shape[-1], dtype=a.final.dtype)
    bias = 0 if t.bias is None else t.bias
    pre = [None if r is None else t.weight @ r.normed(position) + bias for r in (a, b)]
    matrix = t.weight
    if t.activation is not None:
        act = activation_function(t.activation).value
        matrix = quotient(act, *pre)[:, None] * matrix
        pre = [None if x is None else act(x) for x in pre]
    return matrix if t.norm is None else norm_matrix(t.norm, *pre) @ matrix


def _sum_of_embeddings(run: Run) -> Tensor:
    parts = (run.embedding, run.position_embedding, run.anatomy.token_type)
    return sum(part for part in parts if part is not None)


def _embeddings(a: Run, b: Run | None) -> Tensor:
    token = a.embedding - (0 if b is None else b.embedding)
    if a.position_embedding is None:
        return token[None]
    return torch.stack([token, a.position_embedding * (1 if b is None else 0)])


class _Layer:
    def __init__(self, block: Any, a: Any, b: Any) -> None:
        self.block, self.a, self.b = block, a, b
        w = self.w = block.attention
        group, count = w.group, len(a.resid_pre)
        self.count = count

        def both(pick: Any) -> tuple[Tensor, Tensor | None]:
            return pick(a), None if b is None else pick(b)

        n1 = norm_matrix(block.norm1, *both(lambda r: r.resid_pre))
        n2 = norm_matrix(block.norm2, *both(lambda r: r.mlp_from))
        self.npa = norm_matrix(block.attention_norm, *both(lambda r: r.attention.out))
        self.npm = norm_matrix(block.mlp_norm, *both(lambda r: r.mlp.out))
        self.no1 = norm_matrix(block.sum_norm1, *both(self._attended))
        self.no2 = norm_matrix(block.sum_norm2, *both(self._written))
        rot = rotations(w.rotary, count, w.w_q.shape[1])
        qn = heads_matrix(w.q_norm, *both(lambda r: self._raw(r, w.w_q, w.b_q)))
        kn = heads_matrix(w.k_norm, *both(lambda r: self._raw(r, w.w_k, w.b_k)))
        expand = lambda x: x.repeat_interleave(group, 0)  # noqa: E731
        self.q_map = torch.einsum("pij,hpjgk,gkd,pde->hpie", rot, qn, w.w_q, n1)
        self.k_map = expand(torch.einsum("pij,hpjgk,gkd,pde->hpie", rot, kn, w.w_k, n1))
        self.v_map = expand(torch.einsum("hkd,pde->hpke", w.w_v, n1))
        self.o_map = torch.einsum("pde,hek->hpdk", self.npa, w.w_o)
        runs = [r.attention for r in (a, b) if r is not None]
        mean = lambda name: sum(getattr(r, name) for r in runs) / len(runs)  # noqa: E731
        self.q, self.k, self.v = mean("q"), expand(mean("k")), expand(mean("v"))
        self.pattern = mean("pattern")
        visible = runs[0].visible
        seen = visible.double()
        other = runs[1].pattern if b else seen / seen.sum(-1, keepdim=True)
        self.mean = log_mean(runs[0].pattern, other.expand_as(self.pattern), visible)
        self.scale = w.scale * (0.5 if b is None else 1.0)
        self.cap = torch.ones_like(self.pattern)
        if w.soft_cap is not None:
            scores = [r.scores for r in runs]
            capped = lambda x: w.soft_cap * torch.tanh(x / w.soft_cap)  # noqa: E731
            self.cap = quotient(capped, scores[0], scores[1] if b else None)
        self.mlp_map = torch.einsum("pde,pef,pfg->pdg", self.npm, self._mlp_inner(), n2)

    def _raw(self, r: Any, weight: Tensor, bias: Tensor | None) -> Tensor:
        return project(normalise(self.block.norm1, r.resid_pre), weight, bias)

    def _mlp_inner(self) -> Tensor:
        m, a, b = self.block.mlp, self.a.mlp, self.b.mlp if self.b else None
        act = activation_function(m.activation).value
        chain = lambda s, w: torch.einsum("dm,pm,me->pde", m.w_out, s, w)  # noqa: E731
        if a.gate is None:
            return chain(quotient(act, a.pre, b.pre if b else None), m.w_in)
        if b is None:
            up, gate = act(a.gate) / 2, quotient(act, a.gate, None) * a.pre / 2
            if a.routing is not None:
                up, gate = up * a.routing, gate * a.routing
        else:
            up = (act(a.gate) + act(b.gate)) / 2
            gate = (a.pre + b.pre) / 2 * quotient(act, a.gate, b.gate)
        return chain(up, m.w_in) + chain(gate, m.w_gate)

    def _attended(self, r: Any) -> Tensor:
        return r.resid_pre + normalise(self.block.attention_norm, r.attention.out)

    def _written(self, r: Any) -> Tensor:
        middle = normalise(self.block.sum_norm1, self._attended(r))
        return middle + normalise(self.block.mlp_norm, r.mlp.out)

    def carry(self, before: Tensor, own: Tensor) -> Tensor:
        """All that was written, behind the layer; what its two branches read is kept."""
        self.before = before
        self.middle = carry(self.no1, torch.cat([before, own[:-1]]))
        return carry(self.no2, torch.cat([self.middle, own[-1:]]))

    def outputs(self) -> Tensor:
        a, b = self.a, self.b
        z = a.attention.z - (0 if b is None else b.attention.z)
        heads = torch.einsum("hpdk,hpk->hpd", self.o_map, z)
        written = a.mlp.out - (0 if b is None else b.mlp.out)
        mlp = torch.einsum("pde,pe->pd", self.npm, written)
        norm = self.block.mlp_norm
        if b is None and norm is not None and norm.bias is not None:
            mlp = mlp + norm.bias
        return torch.cat([heads, mlp[None]])

    def back(self, worth: Tensor, graph: Dense, rows: slice) -> Tensor:
        """Adds this layer's scores and edges; returns the worth before it."""
        parallel = self.block.parallel
        worth = torch.einsum("pde,pd->pe", self.no2, worth)
        read = torch.einsum("pde,pd->pe", self.mlp_map, worth)
        graph.scores[rows.stop - 1] = torch.einsum("pd,pd->p", graph.outputs[rows.stop - 1], worth)
        sources = self.before if parallel else self.middle
        graph.mlp.append(torch.einsum("npd,pd->pn", sources, read))
        middle = worth if parallel else worth + read
        at_heads = torch.einsum("pde,pd->pe", self.no1, middle)
        heads = graph.outputs[rows.start : rows.stop - 1]
        graph.scores[rows.start : rows.stop - 1] = torch.einsum("hpd,pd->hp", heads, at_heads)
        below = self._attention_back(at_heads, graph, self.before)
        return at_heads + below + (read if parallel else 0)

    def _attention_back(self, worth: Tensor, graph: Dense, before: Tensor) -> Tensor:
        gamma = torch.einsum("hqdk,qd->hqk", self.o_map, worth)
        nu = torch.einsum("hqk,hpk->hqp", gamma, self.v)
        centre = (self.mean * nu).sum(-1, keepdim=True) / self.mean.sum(-1, keepdim=True)
        w = self.scale * self.mean * (nu - centre) * self.cap
        v_in = torch.einsum("hpke,npe->hnpk", self.v_map, before)
        k_in = torch.einsum("hpke,npe->hnpk", self.k_map, before)
        q_in = torch.einsum("hpke,npe->hnpk", self.q_map, before)
        graph.value.append(torch.einsum("hqp,hnpk,hqk->hqnp", self.pattern, v_in, gamma))
        graph.key.append(torch.einsum("hqp,hnpk,hqk->hqnp", w, k_in, self.q))
        graph.query.append(torch.einsum("hnqk,hqp,hpk->hqn", q_in, w, self.k))
        return (
            torch.einsum("hqp,hqk,hpke->pe", self.pattern, gamma, self.v_map)
            + torch.einsum("hqp,hqk,hpke->pe", w, self.q, self.k_map)
            + torch.einsum("hqp,hpk,hqke->qe", w, self.k, self.q_map)
        )
