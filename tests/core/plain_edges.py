"""Edges between components in the most obvious way: one plain pass for everything that is asked.

Of Microtome only the weights are used, and the circuits' columns. A pass is float64 and goes head
by head; each reader reads a sum of its own, in which some edges may bring something else. Names are
``input``, ``a0.h1``, ``m0``, ``logits``, of readers ``a0.h1<q>`` too; an edge is a pair of names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from plain_forward import act, linear, norm, rotate, scale
from torch import Tensor

from microtome.records.circuit import EdgeKind

Edge = tuple[str, str]
Written = Mapping[str, Tensor]
Metric = Callable[[Tensor], Tensor]  # of logits [position, vocabulary]


def straight(n: Any, total: Tensor, x: Tensor) -> Tensor:
    """A part of a norm's total behind it, by the root of the total; its bias is nobody's."""
    if n is None:
        return x
    y = (x - x.mean(-1, keepdim=True) if n.centred else x) / scale(total, n)[..., None]
    return y if n.weight is None else y * n.weight.double()


def named_edges(circuit: Any) -> dict[Edge, float]:
    """The weights of a discovered circuit's edges by the names that are used here."""
    sides = {"QUERY": "<q>", "KEY": "<k>", "VALUE": "<v>"}
    names = {int(kind): sides.get(kind.name, "") for kind in EdgeKind}
    rows = zip(
        circuit.edge_source,
        circuit.edge_target,
        circuit.edge_kind,
        circuit.edge_weight,
        strict=True,
    )
    return {
        (circuit.node_id[source], circuit.node_id[target] + names[int(kind)]): float(weight)
        for source, target, kind, weight in rows
    }


class PlainEdges:
    """The edges of a model of few layers, and what happens when some are changed."""

    def __init__(self, anatomy: Any) -> None:
        self.anatomy = anatomy
        self.edges: list[Edge] = []
        before = ["input"]
        for layer, block in enumerate(anatomy.blocks):
            heads = [f"a{layer}.h{h}" for h in range(len(block.attention.w_q))]
            readers = [f"{head}<{side}>" for head in heads for side in "qkv"]
            self.edges += [(writer, reader) for reader in readers for writer in before]
            seen = before if block.parallel else before + heads
            self.edges += [(writer, f"m{layer}") for writer in seen]
            before = [*before, *heads, f"m{layer}"]
        self.edges += [(writer, "logits") for writer in before]
        self.writers = before

    def run(
        self,
        ids: Iterable[int],
        amounts: Mapping[Edge, Any] | None = None,
        *,
        other: Written | None = None,
        step: Written | None = None,
        put: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits [position, vocabulary], and what each writer adds.

        A reader reads the stream plus, of each of its edges, the amount times the change: ``step``
        of the writer, or without steps ``other`` less what the writer adds in this very pass.
        ``put`` sets the input, the heads of a layer together (``a0``) or an MLP to a constant.
        """
        return _Pass(self.anatomy, amounts or {}, other, step, put or {}).run(list(ids))

    def written(self, ids: Iterable[int]) -> dict[str, Tensor]:
        return self.run(ids)[1]

    def mean(self, prompts: list[Any], *, by_position: bool = False) -> dict[str, Tensor]:
        runs = [self.written(ids) for ids in prompts]
        if by_position:
            return {name: sum(ran[name] for ran in runs) / len(runs) for name in self.writers}
        return {name: torch.cat([ran[name] for ran in runs]).mean(0) for name in self.writers}

    # -------------------------------------------------------------------- scores

    def exact(self, ids: Any, other: Written, metric: Metric) -> dict[Edge, float]:
        """The metric of all edges less that of all but one, edge by edge."""
        whole = float(metric(self.run(ids)[0]))
        return {
            edge: whole - float(metric(self.run(ids, {edge: 1.0}, other=other)[0]))
            for edge in self.edges
        }

    def slopes(
        self,
        ids: Any,
        step: Written,
        metric: Metric,
        put: Any = None,
        shape: tuple[int, ...] = (),
    ) -> dict[Edge, Tensor]:
        """How fast the metric rises as an edge alone begins to bring its writer's step.

        Every edge has a knob of its own, which stands at 0; with the shape [position, 1] one for
        each position.
        """
        knobs = {
            edge: torch.zeros(shape, dtype=torch.float64, requires_grad=True) for edge in self.edges
        }
        value = metric(self.run(ids, knobs, step=step, put=put)[0])
        found = torch.autograd.grad(value, list(knobs.values()), allow_unused=True)
        nothing = torch.zeros(shape, dtype=torch.float64)
        return {edge: nothing if s is None else s for edge, s in zip(knobs, found, strict=True)}

    def eap(self, ids: Any, other: Written, metric: Metric) -> dict[Edge, float]:
        return self._mean_slopes(ids, other, metric, [None])

    def eap_ig(self, ids: Any, other: Written, metric: Metric, steps: int) -> dict[Edge, float]:
        """The input at 0/m to (m - 1)/m of the way from other to clean."""
        clean = self.written(ids)["input"]
        there = [other["input"] + k / steps * (clean - other["input"]) for k in range(steps)]
        return self._mean_slopes(ids, other, metric, [{"input": each} for each in there])

    def eap_ig_activations(
        self, ids: Any, other: Written, metric: Metric, steps: int
    ) -> dict[Edge, float]:
        """One group of writers after another set to 1/m to m/m of the way from other to clean."""
        own = self.written(ids)
        puts = []
        for group, names in self._groups().items():
            bias = self._shared_bias(group, ids)
            clean, far = (sum(held[name] for name in names) for held in (own, other))
            shares = [k / steps for k in range(1, steps + 1)]
            puts += [{group: share * clean + (1 - share) * far + bias} for share in shares]
        return self._mean_slopes(ids, other, metric, puts)

    def _groups(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for name in self.writers:
            groups.setdefault(name.split(".")[0], []).append(name)
        return groups

    def _shared_bias(self, group: str, ids: Any) -> Tensor | float:
        """What the heads of a layer add together beside their own parts."""
        if not group.startswith("a"):
            return 0.0
        seen = _Pass(self.anatomy, {}, None, None, {})
        seen.run(list(ids))
        return seen.attended[group] - sum(seen.written[name] for name in self._groups()[group])

    def _mean_slopes(
        self, ids: Any, other: Written, metric: Metric, puts: list[Any]
    ) -> dict[Edge, float]:
        own = self.written(ids)
        step = {name: own[name] - other[name] for name in self.writers}
        found = [self.slopes(ids, step, metric, put) for put in puts]
        return {edge: float(sum(each[edge] for each in found)) / len(puts) for edge in self.edges}

    def routes(self, ids: Any) -> dict[Edge, float]:
        """How much of what is read is nearer to zero without the writer, as a share, by position.

        For models without norms on the stream.
        """
        seen = _Pass(self.anatomy, {}, None, None, {})
        seen.run(list(ids))
        near = {}
        for writer, reader in self.edges:
            read, own = seen.seen[reader], seen.written[writer]
            near[writer, reader] = (read.abs().sum(-1) - (read - own).abs().sum(-1)).clamp(min=0)
        totals: dict[str, Any] = {}
        for (_, reader), part in near.items():
            totals[reader] = totals.get(reader, 0.0) + part
        return {edge: float((part / totals[edge[1]]).mean()) for edge, part in near.items()}

    # -------------------------------------------------------------------- searches

    def value(self, tasks: list[tuple[Any, Written, Metric]], removed: Iterable[Edge]) -> float:
        """The mean over examples (prompt, what is put in place, metric) without some edges."""
        gone = dict.fromkeys(removed, 1.0)
        values = [metric(self.run(ids, gone, other=other)[0]) for ids, other, metric in tasks]
        return float(sum(values)) / len(values)

    def acdc(
        self, tasks: list[tuple[Any, Written, Metric]], tau: float
    ) -> tuple[dict[Edge, float], int]:
        """How much the metric rose for each edge that stayed; how many edges were tried.

        The logits first, then from the last layer down the MLP, and of the last head first values,
        keys and queries; of each reader the latest writer first.
        """
        value, gone, kept, tried = self.value(tasks, []), set(), {}, 0
        for reader in self._order():
            node = reader.split("<")[0]
            edges = [edge for edge in reversed(self.edges) if edge[1] == reader]
            if node != "logits" and not any(writer == node for writer, _ in kept):
                gone.update(edges)
                continue
            for edge in sorted(edges, key=lambda edge: -self.writers.index(edge[0])):
                tried += 1
                without = self.value(tasks, gone | {edge})
                if without - value < tau:
                    gone.add(edge)
                    value = without
                else:
                    kept[edge] = without - value
        return kept, tried

    def _order(self) -> list[str]:
        order = ["logits"]
        for layer in reversed(range(len(self.anatomy.blocks))):
            order.append(f"m{layer}")
            for head in reversed(range(len(self.anatomy.blocks[layer].attention.w_q))):
                order += [f"a{layer}.h{head}<{side}>" for side in "vkq"]
        return order


class _Pass:
    def __init__(
        self, anatomy: Any, amounts: Any, other: Any, step: Any, put: Mapping[str, Tensor]
    ) -> None:
        self.anatomy, self.amounts = anatomy, amounts
        self.other, self.step, self.put = other, step, put
        self.written: dict[str, Tensor] = {}
        self.attended: dict[str, Tensor] = {}
        self.seen: dict[str, Tensor] = {}  # what each reader read
        # What was added, by whom, and the norms on the stream in between.
        self.stream: list[tuple[Any, tuple[str, ...]]] = []

    def run(self, ids: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        a = self.anatomy
        x = a.embedding[ids].double() * a.embedding_scale
        x = norm(
            x if a.embedding_map is None else linear(x, a.embedding_map, None), a.embedding_norm
        )
        x = x if a.positions is None else x + a.positions[: len(ids)].double()
        self.add(self.note("input", self.put.get("input", x)), "input")
        if a.token_type is not None:
            self.add(a.token_type.double())
        self.add(a.stream_norm)
        for layer, block in enumerate(a.blocks):
            self.block(block, layer)
        x = norm(self.read("logits"), a.final_norm)
        if (t := a.transform) is not None:
            x = linear(x, t.weight, t.bias)
            x = norm(x if t.activation is None else act(t.activation, x), t.norm)
        y = linear(x, a.unembedding, a.unembedding_bias)
        return y if a.soft_cap is None else a.soft_cap * torch.tanh(y / a.soft_cap), self.written

    def note(self, name: str, value: Tensor) -> Tensor:
        self.written[name] = value
        return value

    def add(self, what: Tensor, *writers: str) -> None:
        self.stream.append((what, writers))

    def read(self, reader: str, *, behind: int | None = None) -> Tensor:
        """What a reader reads: all that was added, its edges changed, behind the norms between."""
        x: Any = 0.0
        for what, writers in self.stream[:behind]:
            x = x + what if isinstance(what, Tensor) else norm(x, what)
            for writer in writers:
                if (writer, reader) in self.amounts:
                    x = x + self.amounts[writer, reader] * self.change(writer)
        self.seen[reader] = x
        return x

    def change(self, writer: str) -> Tensor:
        if self.step is not None:
            return self.step[writer]
        return self.other[writer] - self.written[writer]

    def block(self, b: Any, layer: int) -> None:
        start = len(self.stream)
        out = [self.head(b, layer, h) for h in range(len(b.attention.w_q))]
        names = [f"a{layer}.h{h}" for h in range(len(out))]
        total = sum(out) if b.attention.b_o is None else sum(out) + b.attention.b_o.double()
        for name, each in zip(names, out, strict=True):
            self.note(name, straight(b.attention_norm, total, each))
        added = self.put.get(f"a{layer}", norm(total, b.attention_norm))
        self.attended[f"a{layer}"] = added
        self.add(added, *names)
        self.add(b.sum_norm1)
        read = norm(self.read(f"m{layer}", behind=start if b.parallel else None), b.norm2)
        wrote = self.note(f"m{layer}", norm(self.mlp(b.mlp, read), b.mlp_norm))
        if f"m{layer}" in self.put:
            wrote = self.note(f"m{layer}", self.put[f"m{layer}"])
        self.add(wrote, f"m{layer}")
        self.add(b.sum_norm2)

    def head(self, b: Any, layer: int, h: int) -> Tensor:
        a = b.attention
        g, count = h // a.group, len(self.written["input"])
        sides = {}
        for side in "qkv":
            matrix, bias = getattr(a, f"w_{side}"), getattr(a, f"b_{side}")
            own = h if side == "q" else g
            read = norm(self.read(f"a{layer}.h{h}<{side}>"), b.norm1)
            sides[side] = linear(read, matrix[own], None if bias is None else bias[own])
            if side != "v":
                n = getattr(a, f"{side}_norm")
                if n is not None and n.weight is not None and n.weight.dim() == 3:
                    n = replace(n, weight=n.weight[own, 0])
                sides[side] = rotate(norm(sides[side], n), a.rotary)
        scores = sides["q"] @ sides["k"].T * a.scale
        if a.bias is not None:
            scores = scores + a.bias.at(count)[h].double()
        if a.soft_cap is not None:
            scores = a.soft_cap * torch.tanh(scores / a.soft_cap)
        far = torch.arange(count) - torch.arange(count)[:, None]  # of the key behind the query
        hidden = (far > 0) if a.causal else torch.zeros_like(far, dtype=torch.bool)
        if a.window is not None:
            hidden = hidden | (far.abs() >= a.window)
        pattern = torch.softmax(scores.masked_fill(hidden, float("-inf")), -1)
        return pattern @ sides["v"] @ a.w_o[h].double().T

    def mlp(self, m: Any, x: Tensor) -> Tensor:
        up = linear(x, m.w_in, m.b_in)
        hidden = act(m.activation, up if m.w_gate is None else linear(x, m.w_gate, m.b_gate))
        return linear(hidden if m.w_gate is None else hidden * up, m.w_out, m.b_out)
