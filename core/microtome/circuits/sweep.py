"""The lazy reverse sweep: influence from the metric down, and the edges that carry it.

Targets are reached in an order in which their influence is final, and only those that matter
are expanded, so that the tens of millions of edges of a real model are never made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.circuits.backward import Gradient
from microtome.circuits.carried import Carried
from microtome.circuits.inputs import HeadInputs, HeadTargets
from microtome.circuits.sources import Layout
from microtome.jobs import Job, job_or_default
from microtome.records.circuit import EdgeKind

# Floats in one block of edge weights: 32 MB in float32.
_BLOCK = 1 << 23

OUT_ROW = -1


@dataclass(frozen=True, slots=True, eq=False)
class Explored:
    """The edges that were kept, and the influence of every node.

    A node is ``component * n_positions + position``; ``OUT_ROW`` is the metric.
    """

    influence: Float[Tensor, "component position"]
    source: Int[Tensor, " edge"]
    target: Int[Tensor, " edge"]
    kind: Int[Tensor, " edge"]
    weight: Float[Tensor, " edge"]
    edge_influence: Float[Tensor, " edge"]
    direct: Float[Tensor, " component"]  # what each component writes straight to the metric


def sweep(
    gradient: Gradient,
    outputs: Float[Tensor, "component position d_model"],
    *,
    tau: float = 3e-4,
    keep: int = 32,
    job: Job | None = None,
    on_layer: Callable[[int, Callable[[], Explored]], None] | None = None,
) -> Explored:
    """Influence and edges, from the metric down to the embeddings.

    Targets of influence below ``tau`` are not expanded; of each expanded one the ``keep``
    strongest in-edges are returned, after all of them have been counted. ``on_layer`` is told
    the lowest layer that is done, and what gives all that is known: its edges are final, the
    influence of lower nodes is not.
    """
    swept = _Sweep(gradient, outputs, tau, keep, job_or_default(job), on_layer)
    return swept.run()


@dataclass(slots=True)
class _Sweep:
    gradient: Gradient
    outputs: Tensor
    tau: float
    keep: int
    job: Job
    on_layer: Callable[[int, Callable[[], Explored]], None] | None = None
    carried: Carried = field(init=False)
    influence: Tensor = field(init=False)
    direct: Tensor = field(init=False)
    kept: list[tuple[Tensor, ...]] = field(init=False, default_factory=list)

    def run(self) -> Explored:
        layout = Layout.of(self.gradient.coefficients.anatomy)
        self.carried = Carried(self.gradient.coefficients, self.outputs)
        self.influence = self.outputs.new_zeros(self.outputs.shape[:2])
        self.direct = self._output()
        for layer in reversed(range(layout.n_layers)):
            done = layout.n_layers - 1 - layer
            self.job.progress("Finding the circuit", done, layout.n_layers)
            self._mlp(layout, layer)
            self._heads(layout, layer)
            if self.on_layer is not None and layer:
                self.on_layer(layer, self._explored)
        return self._explored()

    def _explored(self) -> Explored:
        source, target, kind, weight, through = (
            torch.cat(parts) for parts in zip(*self.kept, strict=True)
        )
        return Explored(self.influence, source, target, kind, weight, through, self.direct)

    def _output(self) -> Tensor:
        position = self.gradient.position
        weights = self.carried.end()[:, position] @ self.gradient.final[position]
        target = torch.tensor([OUT_ROW], device=weights.device)
        self._collect_own_position(
            weights[None], target, torch.tensor([position], device=weights.device),
            weights.new_ones(1), EdgeKind.OUT,
        )  # fmt: skip
        return weights

    def _mlp(self, layout: Layout, layer: int) -> None:
        row = layout.mlp(layer)
        positions = torch.nonzero(self.influence[row] >= self.tau)[:, 0]
        if not len(positions):
            return
        read = self.gradient.layers[layer].mlp_read[positions]
        weights = torch.einsum("npd,pd->pn", self.carried.middle(layer)[:, positions], read)
        target = row * self.outputs.shape[1] + positions
        influence = self.influence[row, positions]
        self._collect_own_position(weights, target, positions, influence, EdgeKind.MLP)

    def _collect_own_position(
        self, weights: Tensor, target: Tensor, position: Tensor, influence: Tensor, kind: EdgeKind
    ) -> None:
        """Edges [target, component] whose source stands at the target's own position."""
        share = _share(influence, weights.abs().sum(-1))
        self._pass_on(weights, position, share)
        value, column = _strongest(weights, self.keep)
        source = column * self.outputs.shape[1] + position[:, None]
        self._store(source, target, torch.full_like(column, int(kind)), value, share)

    def _heads(self, layout: Layout, layer: int) -> None:
        influence = self.influence[layout.heads(layer)]
        heads, queries = torch.nonzero(influence >= self.tau, as_tuple=True)
        if not len(heads):
            return
        inputs = HeadInputs.of(self.gradient, layer, self.carried.before(layer))
        for chunk in self._chunks(len(heads), inputs.n_sources):
            self.job.check()
            targets = HeadTargets(heads[chunk], queries[chunk])
            self._head_chunk(layout, layer, inputs, targets)

    def _chunks(self, count: int, sources: int) -> Iterator[slice]:
        size = max(1, _BLOCK // (2 * sources * self.outputs.shape[1]))
        return (slice(start, start + size) for start in range(0, count, size))

    def _head_chunk(
        self, layout: Layout, layer: int, inputs: HeadInputs, targets: HeadTargets
    ) -> None:
        n_positions = self.outputs.shape[1]
        row = layout.first(layer) + targets.heads
        influence = self.influence[row, targets.queries]
        parts = [(EdgeKind.VALUE, inputs.value(targets))]
        if inputs.selects:
            parts.append((EdgeKind.KEY, inputs.key(targets)))
            parts.append((EdgeKind.QUERY, inputs.query(targets)))
        total = torch.stack([part.abs().sum(-1) for _, part in parts]).sum(0)
        share = _share(influence, total)
        values, sources, kinds = [], [], []
        for kind, part in parts:
            value, column = _strongest(part, self.keep)
            if kind is EdgeKind.QUERY:
                self._pass_on(part, targets.queries, share)
                column = column * n_positions + targets.queries[:, None]
            else:
                everywhere = self.influence[: inputs.n_sources].view(-1)
                everywhere += share @ part.abs()
            values.append(value)
            sources.append(column)
            kinds.append(torch.full_like(column, int(kind)))
        value, column = _strongest(torch.cat(values, -1), self.keep)
        source, kind_of = (torch.cat(found, -1).gather(-1, column) for found in (sources, kinds))
        self._store(source, row * n_positions + targets.queries, kind_of, value, share)

    def _pass_on(self, weights: Tensor, position: Tensor, share: Tensor) -> None:
        """Hand influence to sources [target, component] at the targets' own positions."""
        passed = weights.abs() * share[:, None]
        self.influence[: weights.shape[1]].index_add_(1, position, passed.T)

    def _store(
        self, source: Tensor, target: Tensor, kind: Tensor, value: Tensor, share: Tensor
    ) -> None:
        there = value != 0  # what the mask hides is no edge
        target = target[:, None].expand_as(source)
        influence = value.abs() * share[:, None]
        self.kept.append(tuple(x[there] for x in (source, target, kind, value, influence)))


def _share(influence: Tensor, total: Tensor) -> Tensor:
    """Influence for each unit of edge weight; none flows into a target without in-edges."""
    return torch.where(total > 0, influence / torch.where(total > 0, total, 1.0), 0.0)


def _strongest(weights: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    column = weights.abs().topk(min(keep, weights.shape[-1]), dim=-1).indices
    return weights.gather(-1, column), column
