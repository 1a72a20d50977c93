"""Where targets come from: one walk down the frozen model with many targets at a time.

With patterns and scales frozen the model is linear, so that no automatic differentiation is
needed: a target's worth of the stream is carried from layer to layer, and what is written there is
read off by matrix products. A target at position p has a worth of the positions 0 to p alone;
targets of one position are kept as one block, and joined at their layer. There their worth is of
one position, so that heads are carried one by one instead of position by position; at the
bottom tokens are read before the last matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.analysis.norms import NormMap
from microtome.circuits.attribution.linear import FrozenAttention, FrozenLayer
from microtome.circuits.attribution.replaced import Reads, Replaced
from microtome.circuits.attribution.rising import Risen
from microtome.jobs import Job

_NONE = torch.zeros(0, dtype=torch.long)


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What is asked for: a layer (as many as there are layers for logits), a place, a direction.

    Logits' directions are those of the last stream, features' of what their transcoder reads.
    """

    layer: Int[Tensor, " target"]
    position: Int[Tensor, " target"]
    direction: Float[Tensor, "target d"]

    def __len__(self) -> int:
        return len(self.layer)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Targets of one position: their rows, and how much each place is worth to them."""

    position: int
    rows: Int[Tensor, " row"]
    worth: Float[Tensor, "row place d_model"]


@dataclass(frozen=True, slots=True, eq=False)
class _Joining:
    """Targets that join at a layer; their worth is of one position each."""

    rows: Int[Tensor, " row"]
    position: Int[Tensor, " row"]
    worth: Float[Tensor, "row d_model"]

    def at(self, position: int) -> Tensor:
        """Which of them are those of a position."""
        return (self.position == position).nonzero()[:, 0]

    def alone(self, position: int) -> _Block:
        """A block of those of a position, before anything has carried their worth elsewhere."""
        own = self.at(position)
        worth = self.worth.new_zeros(len(own), position + 1, self.worth.shape[-1])
        worth[:, position] = self.worth[own]
        return _Block(position, self.rows[own], worth)


def walk(
    held: Replaced, targets: Targets, job: Job, risen: Risen | None = None
) -> Float[Tensor, "target column"]:
    """The direct effect of every column's node on each target.

    A target of layer l has none from the first column of layer l on, those of no node behind it.
    Those above the layer of ``risen`` go no further down than that.
    """
    out = held.run.embedding.new_zeros(len(targets), held.n_columns)
    top = _joining(targets, held.n_layers)
    blocks = [top.alone(p) for p in top.position.unique().tolist()]
    for layer in reversed(range(held.n_layers)):
        job.check()
        blocks = _Step(held, layer, targets, out, job.check).taken(blocks)
        if risen is not None and layer == risen.layer:
            nothing, positions = held.run.embedding[:0], _positions(blocks).to(out.device)
            risen.meet(_flat(blocks, nothing), positions, _rows(blocks), out)
            blocks = []
    return out


def _joining(targets: Targets, layer: int) -> _Joining:
    rows = (targets.layer == layer).nonzero()[:, 0]
    return _Joining(rows, targets.position[rows], targets.direction[rows])


def _back(norm: NormMap, worth: Tensor, positions: Tensor) -> Tensor:
    """Through a norm of the stream, vectors of some positions."""
    return worth if norm.inverse is None else norm.at(positions).transpose(worth)


@dataclass(slots=True, eq=False)
class _Step:
    """One layer, from behind it to before it."""

    held: Replaced
    layer: int
    targets: Targets
    out: Float[Tensor, "target column"]
    check: Callable[[], None]  # between products, so that a stop is soon

    @property
    def frozen(self) -> FrozenLayer:
        """The layer as linear maps."""
        return self.held.frozen.layers[self.layer]

    def taken(self, blocks: list[_Block]) -> list[_Block]:
        """The blocks before the layer, with those that join; none at the bottom."""
        frozen = self.frozen
        positions = _positions(blocks).to(self.out.device)
        nothing = self.held.run.embedding[:0]
        written = _back(frozen.sum_norm2, _flat(blocks, nothing), positions)
        self.check()
        _read(self.held.reads(self.layer), written, positions, _rows(blocks), self.out)
        self.check()
        asked = None
        if frozen.skip is not None:
            asked = _back(frozen.read, written @ frozen.skip, positions)
        new = _joining(self.targets, self.layer)
        new = replace(new, worth=_back(frozen.read, new.worth, new.position))
        middle = written
        if not frozen.reads_before:
            middle = middle if asked is None else middle + asked
            new = replace(new, worth=_back(frozen.sum_norm1, new.worth, new.position))
        middle = _back(frozen.sum_norm1, middle, positions)
        self.check()
        heads = _Heads(frozen.attention, blocks, middle, self.check)
        beside = asked if frozen.reads_before else None
        if self.layer == 0:
            self._bottom(heads, beside, new)
            return []
        return self._joined(heads.below(beside), new)

    def _joined(self, blocks: list[_Block], new: _Joining) -> list[_Block]:
        """Blocks of one position as one."""
        held = {block.position: block for block in blocks}
        for position in new.position.unique().tolist():
            joining = new.alone(position)
            if not self.frozen.reads_before:
                own = new.worth[new.at(position)]
                joining.worth.add_(_by_head(self.frozen.attention, own, position))
            held[position] = _both(held.get(position), joining)
        return list(held.values())

    def _bottom(self, heads: _Heads, beside: Tensor | None, new: _Joining) -> None:
        """What tokens are worth, read before the stream that they are added to."""
        tokens = self.held.frozen.stream_norm.apply(self.held.run.embedding)
        values = torch.einsum("kd,ghd->kgh", tokens, self.frozen.attention.w_v)
        for block, mixed, own in heads.parts(beside):
            seen = block.position + 1
            found = torch.einsum("nkd,kd->nk", own, tokens[:seen])
            found += torch.einsum("nkgh,kgh->nk", mixed, values[:seen])
            self.out[block.rows, :seen] = found
        for position in new.position.unique().tolist():
            own = new.at(position)
            rows, worth = new.rows[own], new.worth[own]
            self.out[rows, position] = worth @ tokens[position]
            if not self.frozen.reads_before:
                attention, seen = self.frozen.attention, position + 1
                gamma = attention.before_output(worth)
                each = torch.einsum("ngmh,kgh->ngmk", gamma, values[:seen])
                pattern = attention.pattern[:, :, position, :seen]
                self.out[rows, :seen] += torch.einsum("ngmk,gmk->nk", each, pattern)


def _both(one: _Block | None, other: _Block) -> _Block:
    if one is None:
        return other
    rows, worth = torch.cat([one.rows, other.rows]), torch.cat([one.worth, other.worth])
    return _Block(one.position, rows, worth)


def _flat(blocks: list[_Block], like: Tensor) -> Float[Tensor, "vector d_model"]:
    return torch.cat([like, *(block.worth.flatten(0, 1) for block in blocks)])


def _positions(blocks: list[_Block]) -> Int[Tensor, " vector"]:
    each = [torch.arange(b.position + 1).repeat(len(b.rows)) for b in blocks]
    return torch.cat([_NONE, *each])


def _rows(blocks: list[_Block]) -> Int[Tensor, " vector"]:
    each = [b.rows.repeat_interleave(b.position + 1) for b in blocks]
    return torch.cat([_NONE.to(each[0].device) if each else _NONE, *each])


def _read(reads: Reads, written: Tensor, positions: Tensor, rows: Tensor, out: Tensor) -> None:
    """Add what is written at each position, times its worth there, to the targets' rows."""
    order = positions.argsort(stable=True)
    worth, rows = written[order], rows[order]
    counts = torch.bincount(positions, minlength=len(reads.starts) - 1)
    ends = counts.cumsum(0).tolist()
    for position, (end, count) in enumerate(zip(ends, counts.tolist(), strict=True)):
        first, last = reads.starts[position : position + 2]
        if count and last > first:
            own = worth[end - count : end] @ reads.vectors[first:last].T
            place = rows[end - count : end, None], reads.columns[None, first:last]
            out.index_put_(place, own, accumulate=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Heads:
    """An attention layer on the way down: what it reads is worth what it adds is worth."""

    attention: FrozenAttention
    blocks: list[_Block]
    middle: Float[Tensor, "vector d_model"]
    check: Callable[[], None]

    def below(self, beside: Tensor | None) -> list[_Block]:
        """The blocks before attention; ``beside`` is the worth of that stream through a skip."""
        attention = self.attention
        if not self.blocks:
            return []
        mixed = torch.cat([part.flatten(0, 1).flatten(1) for _, part, _ in self.parts(None)])
        self.check()
        worth = torch.addmm(self.middle, mixed, attention.w_v.flatten(0, 1))
        worth = worth if beside is None else worth.add_(beside)
        return [
            replace(block, worth=part)
            for block, part in zip(self.blocks, self._split(worth), strict=True)
        ]

    def parts(self, beside: Tensor | None) -> Iterator[tuple[_Block, Tensor, Tensor]]:
        """Each block, its values' worth [row, key, group, d_head], and that of the stream."""
        gamma = self.attention.before_output(self.middle)
        own = self.middle if beside is None else self.middle + beside
        for block, part, stream in zip(
            self.blocks, self._split(gamma), self._split(own), strict=True
        ):
            self.check()
            yield block, self._mixed(part, block.position + 1), stream

    def _split(self, flat: Tensor) -> list[Tensor]:
        sizes = [len(b.rows) * (b.position + 1) for b in self.blocks]
        parts = flat.split(sizes)
        return [
            part.unflatten(0, (len(b.rows), -1)) for b, part in zip(self.blocks, parts, strict=True)
        ]

    def _mixed(self, gamma: Tensor, seen: int) -> Float[Tensor, "row key group d_head"]:
        """Worth of values: heads of a group together, from all queries that look at a key."""
        pattern = self.attention.pattern[:, :, :seen, :seen]
        back = pattern.permute(0, 3, 1, 2).flatten(2)  # [group, key, member query]
        count = len(gamma)
        ordered = gamma.permute(2, 3, 1, 0, 4).flatten(3).flatten(1, 2)
        mixed: Tensor = (back @ ordered).unflatten(2, (count, -1))  # [group, key, row, d_head]
        return mixed.permute(2, 1, 0, 3)


def _by_head(
    attention: FrozenAttention, worth: Float[Tensor, "row d_model"], position: int
) -> Float[Tensor, "row key d_model"]:
    """The same for worth of one position, each head carried once and then looked at from there."""
    gamma = attention.before_output(worth)  # [row, group, member, d_head]
    count, groups, members, _ = gamma.shape
    each = gamma.permute(1, 0, 2, 3).flatten(1, 2) @ attention.w_v
    each = each.unflatten(1, (count, members)).transpose(0, 1).flatten(1, 2)  # [row, head, d_model]
    pattern = attention.pattern[:, :, position, : position + 1]
    found: Tensor = pattern.reshape(groups * members, -1).T @ each
    return found
