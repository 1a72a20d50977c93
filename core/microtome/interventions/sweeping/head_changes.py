"""What attention writes when the queries, keys, values, patterns or outputs of heads change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.interventions.sweeping import layers
from microtome.interventions.sweeping.attending import Looking
from microtome.interventions.sweeping.base import Base
from microtome.models.anatomy import Attention

HEAD_SITES = ("z", "q", "k", "v", "pattern")


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """The changed rows of some cells in one layer.

    ``run`` says which run each row belongs to, ascending; ``row`` is its place in the base.
    ``head`` and ``neuron`` are of the run, -1 for all.
    """

    layer: int
    run: Int[Tensor, " changed"]
    row: Int[Tensor, " changed"]
    head: Int[Tensor, " changed"]
    neuron: Int[Tensor, " changed"]


@dataclass(slots=True, eq=False)
class HeadChange:
    """Changed rows of one layer's heads; ``new`` holds the values put in, rows first.

    New keys and values are looked at by ``together`` runs at a time: each has all keys of a head
    and a row of them for every query.
    """

    site: str
    base: Base
    changed: Changed
    new: Tensor
    together: int
    check: Callable[[], None]

    def outputs(self) -> tuple[Int[Tensor, " row"], Int[Tensor, " row"], Tensor]:
        """Run, row and what attention writes there, before a norm on the branch.

        Changed keys and values reach every query from the first of them on (all of them where
        queries see what comes later).
        """
        run, row, head = self._reached() if self.site in ("k", "v") else self._same()
        layer = self.base.layers[self.changed.layer]
        raw = layer.kept["attn_raw"][row]
        w_o = self.base.anatomy.blocks[self.changed.layer].attention.w_o
        for own, heads, change in self._changes(run, row, head):
            self.check()
            raw[own] += change.flatten(1) @ w_o[heads].transpose(1, 2).flatten(0, 1)
        return run, row, raw

    def _same(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.changed.run, self.changed.row, self.changed.head

    def _reached(self) -> tuple[Tensor, Tensor, Tensor]:
        """All rows that look at a changed key or value."""
        length = self.base.length
        runs, counts = torch.unique_consecutive(self.changed.run, return_counts=True)
        firsts = counts.cumsum(0) - counts
        start = self.changed.row[firsts] % length
        if not self.base.anatomy.causal:
            start = torch.zeros_like(start)
        example = self.changed.row[firsts] // length
        spans = length - start
        run = runs.repeat_interleave(spans)
        within = torch.arange(int(spans.sum()), device=run.device)
        within -= (spans.cumsum(0) - spans).repeat_interleave(spans)
        row = (example * length + start).repeat_interleave(spans) + within
        return run, row, self.changed.head[firsts].repeat_interleave(spans)

    def _changes(
        self, run: Tensor, row: Tensor, head: Tensor
    ) -> Iterator[tuple[Tensor, slice, Float[Tensor, "own head d_head"]]]:
        """By example and head: which rows, which heads, and the change of their outputs."""
        length = self.base.length
        count = self.new.shape[-2]  # heads of the site
        share = self.base.anatomy.blocks[self.changed.layer].attention.group
        share = share if self.site in ("k", "v") else 1
        key = row // length * (count + 1) + head + 1
        for each in torch.unique(key).tolist():
            own = torch.nonzero(key == each)[:, 0]
            example, named = divmod(each, count + 1)
            for one in range(count) if named == 0 else [named - 1]:
                heads = slice(one * share, (one + 1) * share)
                yield own, heads, self._change(example, one, run[own], row[own])

    def _change(
        self, example: int, head: int, run: Tensor, row: Tensor
    ) -> Float[Tensor, "own head d_head"]:
        before = self.base.layers[self.changed.layer].kept["z"]
        if self.site == "z":
            return (self.new[row, head] - before[row, head])[:, None]
        if self.site in ("q", "pattern"):
            pattern = self.new[row, head] if self.site == "pattern" else self._asked(head, row)
            share = self.base.anatomy.blocks[self.changed.layer].attention.group
            values = self._of(self.base.layers[self.changed.layer].v, head // share, example)
            return (pattern @ values - before[row, head])[:, None]
        counts = torch.unique_consecutive(run, return_counts=True)[1]
        sizes = [int(part.sum()) for part in counts.split(self.together)]
        parts = zip(run.split(sizes), row.split(sizes), strict=True)
        return torch.cat([self._looked(example, head, *part) for part in parts])

    def _asked(self, head: int, row: Tensor) -> Float[Tensor, "own key"]:
        """The patterns of new queries."""
        layer, weights = self.base.layers[self.changed.layer], self._weights
        length = self.base.length
        at, example = row % length, int(row[0]) // length
        q = self._prepared("q", row)[head]
        keys = self._of(layer.k, head // weights.group, example)
        return Looking(weights, length).one_head(head, q, keys, at)

    def _looked(
        self, example: int, kv_head: int, run: Tensor, row: Tensor
    ) -> Float[Tensor, "own head d_head"]:
        """The change of outputs that new keys or values of one key-value head make."""
        layer, weights, length = (
            self.base.layers[self.changed.layer],
            self._weights,
            self.base.length,
        )
        runs, which = torch.unique_consecutive(run, return_inverse=True)
        mine = torch.isin(self.changed.run, runs)
        rows = self.changed.row[mine]
        slot = torch.searchsorted(runs, self.changed.run[mine])
        at = row % length
        start = int(at.min())  # of the queries that look at anything new
        looking, places = Looking(weights, length), torch.arange(start, length, device=row.device)
        keys, values = (self._of(x, kv_head, example) for x in (layer.k, layer.v))
        put = self._prepared("k", rows)[kv_head] if self.site == "k" else self.new[rows, kv_head]
        wide = (keys if self.site == "k" else values).repeat(len(runs), 1, 1)
        wide[slot, rows % length] = put  # run key d_head
        changes = []
        for head in range(kv_head * weights.group, (kv_head + 1) * weights.group):
            q = self._of(layer.q, head, example)[start:]
            if self.site == "k":
                z = looking.one_head(head, q, wide, places) @ values
            else:
                z = looking.one_head(head, q, keys, places) @ wide
            changes.append(z[which, at - start] - layer.kept["z"][row, head])
        return torch.stack(changes, 1)

    @property
    def _weights(self) -> Attention:
        return self.base.anatomy.blocks[self.changed.layer].attention

    def _prepared(self, name: str, row: Tensor) -> Float[Tensor, "head own d_head"]:
        """New queries or keys of all heads as they are multiplied."""
        weights, length = self._weights, self.base.length
        angles = layers.angles_of(weights.rotary, length)
        norm = weights.q_norm if name == "q" else weights.k_norm
        raw = self.new[row].transpose(0, 1)
        return layers.prepared(weights, norm, raw, angles, row % length)

    def _of(self, x: Tensor, head: int, example: int) -> Float[Tensor, "key d_head"]:
        """One head of one example, of values with rows behind heads."""
        length = self.base.length
        return x[head, example * length : (example + 1) * length]
