"""The packed walk: many runs through the layers together, only the rows that a change reaches.

A run is one cell in one example. Before the layer where it joins it equals the base, and before
its first changed position it equals the base in every layer, by causality. So the rows of all
runs lie in one matrix; norms, projections and MLPs are single products over it, attention is done
for all runs with the same first position together, whose keys and values before that position are
the base's. In the last layer only the rows that the metric reads go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.interventions.sweeping import layers
from microtome.interventions.sweeping.attending import Group, Looking
from microtome.interventions.sweeping.base import Base
from microtome.interventions.sweeping.entries import Entrances, Entry
from microtome.interventions.sweeping.head_changes import Changed
from microtome.interventions.sweeping.scratch import Scratch


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The runs of one pass. Run i changes the rows ``first`` to ``stop`` of its example.

    Sorted by ``start``, the first position that can differ, and example. ``layer`` is the
    changed one, ``join`` the first whose input differs.
    """

    example: Int[np.ndarray, " run"]
    start: Int[np.ndarray, " run"]
    first: Int[np.ndarray, " run"]
    stop: Int[np.ndarray, " run"]
    layer: Int[np.ndarray, " run"]
    join: Int[np.ndarray, " run"]
    head: Int[np.ndarray, " run"]
    neuron: Int[np.ndarray, " run"]

    def __len__(self) -> int:
        return len(self.example)


def walk(
    base: Base,
    entrances: Entrances,
    runs: Runs,
    places: Int[np.ndarray, " place"],
    scratch: Scratch,
) -> Float[Tensor, "run place d_model"]:
    """The stream behind the last layer at the ``places`` that a metric reads, run by run."""
    return _Walk(base, entrances, runs, places, scratch).walk()


@dataclass(slots=True, eq=False)
class _Walk:
    base: Base
    entrances: Entrances
    runs: Runs
    places: Int[np.ndarray, " place"]
    scratch: Scratch
    # Every row that a run of this pass may ever have, numbered run by run.
    row: Int[np.ndarray, " slot"] = field(init=False)  # its place in the base
    owner: Int[np.ndarray, " slot"] = field(init=False)  # its run
    offset: Int[np.ndarray, " run"] = field(init=False)
    stream: Tensor = field(init=False)
    held: Int[np.ndarray, " row"] = field(init=False)  # slots of the rows of ``stream``

    def walk(self) -> Tensor:
        length, count = self.base.length, len(self.base.anatomy.blocks)
        spans = length - self.runs.start
        self.offset = np.cumsum(spans) - spans
        self.owner = np.repeat(np.arange(len(self.runs)), spans)
        within = np.arange(int(spans.sum())) - self.offset[self.owner]
        self.row = self.runs.example[self.owner] * length + self.runs.start[self.owner] + within
        self.stream = self.base.final[:0]
        self.held = np.empty(0, dtype=np.int64)
        for layer in range(int(self.runs.join.min()), count):
            self.scratch.check()
            self._layer(layer, self._entering(layer), last=layer == count - 1)
        return self._read(self._entering(count))

    def _entering(self, join: int) -> Entry | None:
        """The rows of the runs that join before a layer."""
        runs = np.flatnonzero(self.runs.join == join)
        if not len(runs):
            return None
        spans = self.runs.stop[runs] - self.runs.first[runs]
        run = np.repeat(runs, spans)
        within = np.arange(len(run)) - np.repeat(np.cumsum(spans) - spans, spans)
        row = self.runs.example[run] * self.base.length + self.runs.first[run] + within
        fields = (run, row, self.runs.head[run], self.runs.neuron[run])
        return self.entrances.enter(
            Changed(int(self.runs.layer[runs[0]]), *(self._index(part) for part in fields))
        )

    def _index(self, numbers: Int[np.ndarray, " n"]) -> Int[Tensor, " n"]:
        return _index(numbers, self.base.final)

    def _slots(self, entry: Entry) -> Int[np.ndarray, " changed"]:
        """The slots of rows that enter."""
        run, row = entry.run.cpu().numpy(), entry.row.cpu().numpy()
        slots: Int[np.ndarray, " changed"]
        slots = self.offset[run] + row % self.base.length - self.runs.start[run]
        return slots

    def _layer(self, layer: int, entry: Entry | None, *, last: bool) -> None:
        block, base = self.base.anatomy.blocks[layer], self.base.layers[layer]
        made, slots = self._joined(entry)
        present = np.flatnonzero(self.runs.join[self.owner] <= layer)
        asked = (
            present[np.isin(self.row[present] % self.base.length, self.places)] if last else present
        )
        full, some = (_Filling.of(slots, wanted, self.row) for wanted in (present, asked))
        source = some.only_made() if last else some
        before = made[self._index(some.made)] if last else made
        looking = self._looking(layer, made, slots, full, some, last=last)
        self.scratch.check()
        z = self._attend(layer, asked, *looking)
        self.scratch.check()
        raw = layers.attention_output(block.attention, z, self._rows("raw", len(z)))
        written = layers.normed(block.attention_norm, raw)
        stream = source.fill(before, base.pre, 0, self._space("k"))
        middle = layers.behind_attention(block, stream, written, written)
        # The stream of the layer before may lie there: an MLP reads rows before it writes them.
        into = self._rows("mlp", len(before if block.parallel else middle))
        if block.parallel:
            ours = layers.mlp_output(block, before, self.scratch, into)
            mlp = source.fill(ours, base.kept["mlp_out"], 0, self._space("v"))
        else:
            mlp = layers.mlp_output(block, middle, self.scratch, into)
        self.stream, self.held = layers.behind_mlp(block, middle, mlp, mlp), asked

    def _joined(self, entry: Entry | None) -> tuple[Tensor, Int[np.ndarray, " row"]]:
        """The rows that walk already and those that enter, and their slots."""
        if entry is None:
            return self.stream, self.held
        into = self._rows("joined", len(self.stream) + len(entry.stream))
        made = torch.cat([self.stream, entry.stream], out=into)
        return made, np.concatenate([self.held, self._slots(entry)])

    def _looking(
        self,
        layer: int,
        made: Tensor,
        slots: np.ndarray,
        full: _Filling,
        some: _Filling,
        *,
        last: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of the rows asked for, keys and values of all present rows."""
        block, base = self.base.anatomy.blocks[layer], self.base.layers[layer]
        weights = block.attention
        read = layers.normed(block.norm1, made)
        angles = layers.angles_of(weights.rotary, self.base.length)
        at = self._index(self.row[slots] % self.base.length)
        # Rows that have still to be put in order are made in one place, one kind after another.
        whole = full.in_order(len(made))
        wide = weights.w_k.shape[0] * weights.w_k.shape[1]
        raw = [self._rows(name if whole else "raw", len(made), wide) for name in "kv"]
        k = layers.keys(weights, read, angles, at, raw[0])
        k = full.fill(k, base.k, 1, self._space("k"))
        self.scratch.check()
        v = full.fill(layers.values(weights, read, raw[1]), base.v, 1, self._space("v"))
        self.scratch.check()
        chosen = self._index(some.made) if last else slice(None)
        read, at, source = read[chosen], at[chosen], some.only_made() if last else some
        name = "q" if source.in_order(len(read)) else "raw"
        into = self._rows(name, len(read), weights.w_q.shape[0] * weights.w_q.shape[1])
        q = layers.queries(weights, read, angles, at, into)
        return source.fill(q, base.q, 1, self._space("q")), k, v

    def _rows(self, purpose: str, count: int, width: int | None = None) -> Tensor:
        """Memory for rows of the stream, or of another width."""
        shape = (count, width or self.base.anatomy.d_model)
        return self._space(purpose)(shape)

    def _space(self, purpose: str) -> Callable[[tuple[int, ...]], Tensor]:
        """Memory of a shape, enough for all rows of this pass from the first time on."""
        like, anatomy = self.base.final, self.base.anatomy
        most = len(self.owner) * anatomy.d_model
        return lambda shape: self.scratch.take(purpose, shape, like, most=most)

    def _attend(self, layer: int, asked: np.ndarray, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """``z`` of the asked rows; groups of runs with one start share one call."""
        base, length = self.base.layers[layer], self.base.length
        positions = self.row[asked] % length
        groups = []
        for start, example, count in self._alike(self.runs.join <= layer):
            own = np.arange(start, length)
            before = slice(example * length, example * length + start)
            held = (base.k[:, before], base.v[:, before]) if start else None
            groups.append(Group(start, count, self._index(own[np.isin(own, positions)]), held))
        looking = Looking(self.base.anatomy.blocks[layer].attention, length)
        return looking.attend(groups, q, k, v, self._space("z")((q.shape[1], *q.shape[::2])))

    def _alike(self, present: np.ndarray) -> list[tuple[int, int, int]]:
        """Start, example and number of the runs that can be attended together."""
        runs = np.flatnonzero(present)
        example = np.where(self.runs.start[runs] > 0, self.runs.example[runs], 0)
        keys = self.runs.start[runs] * self.base.examples + example
        ends = np.flatnonzero(np.diff(keys, append=-1))
        counts = np.diff(ends, prepend=-1)
        return [
            (*divmod(int(keys[end]), self.base.examples), int(count))
            for end, count in zip(ends, counts, strict=True)
        ]

    def _read(self, entry: Entry | None) -> Float[Tensor, "run place d_model"]:
        """The last rows at the places, those of the base where a run does not differ."""
        length, count = self.base.length, len(self.runs)
        rows = self.runs.example[:, None] * length + self.places[None]
        final = self.base.final[self._index(rows.ravel())]
        where = np.full(length, -1)
        where[self.places] = np.arange(len(self.places))
        for slots, stream in self._ends(entry):
            column = where[self.row[slots] % length]
            there = column >= 0
            into = self.owner[slots[there]] * len(self.places) + column[there]
            final[self._index(into)] = stream[self._index(np.flatnonzero(there))]
        by_run: Tensor = final.unflatten(0, (count, len(self.places)))
        return by_run

    def _ends(self, entry: Entry | None) -> Sequence[tuple[np.ndarray, Tensor]]:
        ends = [(self.held, self.stream)]
        return ends if entry is None else [*ends, (self._slots(entry), entry.stream)]


@dataclass(frozen=True, slots=True, eq=False)
class _Filling:
    """How rows that were made and rows of the base become the rows of all present runs.

    Row i is row ``made_at[i]`` of what was made, or, where that is -1, row ``base_at[i]`` of the
    base.
    """

    made_at: Int[np.ndarray, " row"]
    base_at: Int[np.ndarray, " row"]

    @classmethod
    def of(
        cls,
        slots: Int[np.ndarray, " made"],
        wanted: Int[np.ndarray, " row"],
        rows: Int[np.ndarray, " slot"],
    ) -> _Filling:
        """What gives the ``wanted`` slots when those of ``slots`` were made."""
        where = np.full(len(rows), -1)
        where[slots] = np.arange(len(slots))
        return cls(where[wanted], rows[wanted])

    @property
    def made(self) -> Int[np.ndarray, " made"]:
        """The made rows that are used."""
        return self.made_at[self.made_at >= 0]

    def only_made(self) -> _Filling:
        """The same filling when nothing but the used rows is made, in their order."""
        used = self.made_at >= 0
        return _Filling(np.where(used, np.cumsum(used) - 1, -1), self.base_at)

    def in_order(self, count: int) -> bool:
        """Whether the wanted rows are the ``count`` that were made, in their order."""
        return len(self.made_at) == count and bool((self.made_at == np.arange(count)).all())

    def fill(
        self, made: Tensor, base: Tensor, axis: int, space: Callable[[tuple[int, ...]], Tensor]
    ) -> Tensor:
        """The rows along ``axis``, in memory of ``space`` unless they are there already."""
        count = made.shape[axis]
        if self.in_order(count):
            return made
        filled = space((*made.shape[:axis], len(self.made_at), *made.shape[axis + 1 :]))
        used = np.flatnonzero(self.made_at >= 0)
        if len(used) == count:  # each made row goes straight to its place
            into = np.empty(count, dtype=np.int64)
            into[self.made] = used
            filled.index_copy_(axis, _index(into, made), made)
        else:
            chosen = made.index_select(axis, _index(self.made, made))
            filled.index_copy_(axis, _index(used, made), chosen)
        missing = np.flatnonzero(self.made_at < 0)
        rows = base.index_select(axis, _index(self.base_at[missing], made))
        return filled.index_copy_(axis, _index(missing, made), rows)


def _index(numbers: Int[np.ndarray, " n"], like: Tensor) -> Int[Tensor, " n"]:
    return torch.from_numpy(np.ascontiguousarray(numbers)).to(like.device)
