"""What a sweep takes of memory beside the model, in bytes: said before it runs, and kept to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from microtome.activations.budget import axis_lengths
from microtome.errors import MemoryExceeded, megabytes
from microtome.interventions.means import by_position
from microtome.interventions.regions import PLACES
from microtome.interventions.sweeping.entries import NEEDS
from microtome.interventions.sweeping.layers import MLP_ROWS
from microtome.interventions.sweeping.task import Task
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.sites import SITES, Site

MOST_ROWS = 4096  # of a pass: more bring no further speed
MOST_CELLS = 64  # of a batch of modules: more bring no further speed
_BATCH_ROWS = 1024  # of one: a stop acts between its modules
_SHARE = 4  # of the budget: the part that logits, or runs to start from together, may take
_LOGITS = 4  # arrays of logits that a metric makes of one
_STREAMS = 3  # of the rows that a metric reads
_DOUBLE = 8  # bytes of a sum that a mean is taken from


def floats_of(model: Model, site: str, length: int, source: int = 0) -> int:
    """Numbers that stand at one position of a site, in one layer."""
    axes, lengths = SITES[site].axes, axis_lengths(model, length, source)
    place = next(axis for axis in PLACES if axis in axes)
    return math.prod(lengths[axis] for axis in axes if axis != place)


def length_of(task: Task) -> int:
    """Positions that matter: nothing behind the last one read does, in a causal model."""
    first = task.examples[0]
    if not task.model.anatomy.causal:
        return len(first.base)
    return int(first.read_at(first.base).max()) + 1


def source_length(task: Task) -> int:
    """Positions of the sources that matter: those read, and partners of the base's."""
    first, length = task.examples[0], length_of(task)
    assert first.source is not None  # noqa: S101
    if not task.model.anatomy.causal:
        return len(first.source)
    read = int(first.read_at(first.source).max())
    return 1 + max(read, *(int(each.places[:length].max()) for each in task.examples))


@dataclass(frozen=True, slots=True)
class Room:
    """Memory of one task on the packed path, in bytes.

    ``held`` is there from the first pass to the last: the runs to start from and the values put
    in; ``start`` is what making them takes for a while. ``row`` is of each row of a pass and
    ``block`` of each row in a block of the MLP; ``looking`` is of each run whose new keys or
    values are looked at; ``logits`` of one run, and ``read`` of each row that the metric reads.
    """

    budget: int
    length: int
    held: int
    start: int
    row: int
    block: int
    looking: int
    logits: int
    read: int

    @property
    def least(self) -> int:
        """What a sweep of one run at a time takes."""
        one = self._pass(self.length) + self.looking
        return self.held + max(self.start, one, self.logits + self.length * self.read)

    @property
    def runs(self) -> int:
        """Runs whose new keys or values are looked at together."""
        return max(1, self.budget // 8 // self.looking) if self.looking else 1

    @property
    def most_logits(self) -> int:
        """Bytes for logits, those of one run at least."""
        return max(self.logits, min(self.budget // _SHARE, MOST_ROWS * self.logits))

    @property
    def rows(self) -> int:
        """Rows of a pass within the budget.

        Raises MemoryExceeded when not even one cell fits.
        """
        if self.budget < self.least:
            raise _too_small(self.length, self.least, self.budget)
        free = self.budget - self.held
        left = free - self.runs * self.looking
        rows = left // (self.row + self.block)
        if rows > MLP_ROWS:
            rows = (left - MLP_ROWS * self.block) // self.row
        readable = (free - self.most_logits) // self.read
        return int(max(self.length, min(rows, readable, MOST_ROWS)))

    def peak(self, rows: int) -> int:
        """What a sweep whose largest pass has so many rows takes at most."""
        rows = max(self.length, min(rows, self.rows))
        one = self._pass(rows) + self.runs * self.looking
        return self.held + max(self.start, one, self.most_logits + rows * self.read)

    def _pass(self, rows: int) -> int:
        return rows * self.row + min(rows, MLP_ROWS) * self.block


def room_of(task: Task) -> Room:
    """What the packed path takes for a task."""
    anatomy, length = task.model.anatomy, length_of(task)
    weights, mlp = anatomy.blocks[0].attention, anatomy.blocks[0].mlp
    size, d = anatomy.embedding.element_size(), anatomy.d_model
    heads, kv, width = weights.w_q.shape[0], weights.w_k.shape[0], weights.w_q.shape[1]
    row = 6 * d + width * (4 * heads + 6 * kv) + 3 * heads * length
    block = mlp.n_neurons * (2 + (mlp.w_gate is not None)) + 2 * d
    looking = 3 * length * (width + length) if task.cells.site in ("k", "v") else 0
    held, values = _runs_bytes(task), _values_bytes(task)
    start = _rows_of_runs(task) * (row + block) * size + values[1]
    places = len(task.examples[0].read_at(task.examples[0].base))
    few = all(isinstance(each.metric, LinearMetric) for each in task.examples)
    logits = 0 if few else _LOGITS * places * anatomy.unembedding.shape[0] * size
    return Room(
        budget=task.budget,
        length=length,
        held=held + values[0],
        start=start,
        row=row * size,
        block=block * size,
        looking=looking * size,
        logits=logits,
        read=_STREAMS * d * size,
    )


def together(task: Task) -> int:
    """Examples like a task's one that can start together, one at least."""
    room = room_of(task)
    return max(1, task.budget // _SHARE // (room.held + room.start))


def _rows_of_runs(task: Task) -> int:
    """Rows of the runs to start from, as far as they run at the same time."""
    rows = len(task.examples) * length_of(task)
    if task.put.how == "patch":
        rows += len(task.examples) * source_length(task)
    return max([rows, *(len(tokens) for tokens in task.put.used)])


def _layer_floats(task: Task, *kept: str) -> int:
    """Numbers kept of one row of one layer of a run."""
    anatomy, length = task.model.anatomy, length_of(task)
    weights = anatomy.blocks[0].attention
    heads, kv, width = weights.w_q.shape[0], weights.w_k.shape[0], weights.w_q.shape[1]
    names = {*kept, *(("mlp_out",) if anatomy.blocks[0].parallel else ())}
    names -= {"resid_pre", "resid_post"}  # the stream itself
    further = (
        floats_of(task.model, name, length) if name in SITES else anatomy.d_model for name in names
    )
    return anatomy.d_model + width * (heads + 2 * kv) + sum(further)


def _runs_bytes(task: Task) -> int:
    """The runs to start from, all their layers."""
    site, anatomy, count = task.cells.site, task.model.anatomy, len(task.examples)
    base = _layer_floats(task, *NEEDS[site], site)
    rows = length_of(task) * base
    if task.put.how == "patch":
        long = source_length(task)
        rows += long * (base if long == length_of(task) else _layer_floats(task, site))
    return int(count * rows * len(anatomy.blocks) * anatomy.embedding.element_size())


def _values_bytes(task: Task) -> tuple[int, int]:
    """The values put in beside those of the source: what is held, and what making them takes."""
    anatomy, site, length = task.model.anatomy, task.cells.site, length_of(task)
    size, layers = anatomy.embedding.element_size(), len(anatomy.blocks)
    one = floats_of(task.model, site, length)
    rows = len(task.examples) * length
    if task.put.how == "patch":  # one layer's rows, where partners are looked up
        return 2 * rows * one * size, 0
    if task.put.how == "zero":
        return 0, 0
    long = max(len(tokens) for tokens in task.put.used)
    run = long * _layer_floats(task, site) * size + 2 * long * one * _DOUBLE
    whole = by_position(task.put.how, Site(site))
    sums = (length if whole else 1) * one * _DOUBLE
    return (rows if whole else 1) * one * layers * size, layers * (run + 2 * sums)


def batch_of(task: Task, places: int, length: int, *, enter: bool) -> int:
    """Cells of one example that run together through the model's own modules.

    ``length`` of the positions are run, ``places`` of them read; with ``enter`` what the blocks
    gave is kept. Raises MemoryExceeded when not even one fits.
    """
    model, site, source = task.model, task.cells.site, task.examples[0].base.n_source
    identity, size = model.identity, max(4, model.dtype.itemsize)
    own = floats_of(model, site, length, source)
    row = 12 * identity.d_model + 3 * identity.d_mlp + 3 * identity.n_heads * length + own
    linear = isinstance(task.examples[0].metric, LinearMetric)
    logits = places * identity.vocabulary * (2 if linear else _LOGITS)
    need = size * ((length + source) * row + logits)
    held = enter * identity.n_layers * length * identity.d_model * size
    making = 0
    if task.put.how != "zero":
        used = [len(tokens) for tokens in task.put.used] or [len(task.examples[0].base)]
        layers = len(set(task.cells.layer.tolist()))
        whole = task.put.how == "patch" or by_position(task.put.how, Site(site))
        values = layers * own * (length if whole else 1)
        held += values * size
        making = layers * own * max(used) * size + values * 2 * _DOUBLE
        if task.put.how == "patch":
            making = size * row * max(0, max(used) - length)
    least = held + max(need, making)
    if task.budget < least:
        raise _too_small(length, least, task.budget)
    most = max(1, min(MOST_CELLS, _BATCH_ROWS // (length + source)))
    return int(min(most, (task.budget - held) // need))


def _too_small(length: int, least: int, budget: int) -> MemoryExceeded:
    enough = -(-least // 100_000) * 100_000
    return MemoryExceeded(
        f"One cell of {length} positions takes {megabytes(least)} with the runs that it starts "
        f"from, but the budget is {megabytes(budget)}.",
        f"Give {megabytes(enough)} or more, or take a shorter prompt.",
    )
