"""A sweep on the packed path: examples of one length, from token ids to values of the metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from microtome.interventions.sweeping.base import Base, BaseLayer, run_base
from microtome.interventions.sweeping.entries import NEEDS, Entrances
from microtome.interventions.sweeping.packed import walk
from microtome.interventions.sweeping.passes import Plan
from microtome.interventions.sweeping.puts import put_in_place
from microtome.interventions.sweeping.readout import MOST_LOGITS, Readout
from microtome.interventions.sweeping.room import Room, length_of, room_of, source_length
from microtome.interventions.sweeping.scratch import Scratch
from microtome.interventions.sweeping.task import Ends, Found, Task, Told
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy


def plan_of(task: Task) -> Plan:
    """What has to be computed, from shapes and token ids alone."""
    first = task.examples[0]
    length, places = length_of(task), first.read_at(first.base)
    differs = np.stack([example.differs[:length] for example in task.examples])
    causal = task.model.anatomy.causal
    patched = task.put.how == "patch"
    return Plan.of(
        task.cells,
        differs if patched else np.ones_like(differs),
        places,
        n_layers=len(task.model.anatomy.blocks),
        causal=causal,
        skip=task.skip,
        embeds=patched,
    )


def sweep_exactly(task: Task, job: Job, told: Told) -> Found:
    """The metric of every cell of every example."""
    plan, room = plan_of(task), room_of(task)
    limit = room.rows  # refuses before anything is run
    scratch = Scratch(job)
    base, new, ends, readout = _runs(task, room, scratch)
    values = np.full((len(task.examples), len(task.cells)), np.nan)
    metric = np.array([end.base for end in ends])
    idle = plan.idle
    values[idle] = np.broadcast_to(metric[:, None], values.shape)[idle]
    unmatched = np.stack([example.unmatched(task.cells) for example in task.examples])
    values[unmatched] = np.nan
    entrances = Entrances(task.cells.site, base, new, scratch, room.runs)
    done, total = 0, int(plan.rows.sum())
    for numbers, runs in plan.passes(limit, least=len(readout.places)):
        job.progress("Sweeping", done, total)
        rows = walk(base, entrances, runs, readout.places, scratch)
        made = readout.values(rows, runs.example)
        task.cells.expect_finite(numbers, made)
        values.ravel()[numbers] = made
        values[unmatched] = np.nan
        done += int(plan.rows.ravel()[numbers].sum())
        told(values, ends)
    job.progress("Sweeping", total, total)
    return Found(values, ends, int(idle.sum()))


def _runs(
    task: Task, room: Room, scratch: Scratch
) -> tuple[Base, Callable[[int], Tensor], tuple[Ends, ...], Readout]:
    """The base, what is put into it, and the metric of both ends."""
    anatomy, site, examples = task.model.anatomy, task.cells.site, task.examples
    length = length_of(task)
    keep = [*NEEDS[site]]
    ids = np.stack([example.base.ids[:length] for example in examples])
    noise = None
    if any(example.noise is not None for example in examples):
        none = np.zeros((length, anatomy.d_model), dtype=np.float32)
        noise = np.stack([none if each.noise is None else each.noise[:length] for each in examples])
    metrics = tuple(example.metric for example in examples)
    most = min(MOST_LOGITS, room.most_logits // (4 * anatomy.embedding.element_size()))
    readout = Readout(anatomy, metrics, examples[0].read_at(examples[0].base), most, scratch.check)
    run = partial(_run, anatomy, scratch=scratch)
    if task.put.how != "patch":
        base = run(ids, keep, noise)
        new = put_in_place(task, base, scratch)
        return base, new, tuple(Ends(value, None) for value in _ends(base, readout)), readout
    first = examples[0].source
    assert first is not None  # noqa: S101
    places = examples[0].read_at(first)
    long = source_length(task)
    other = np.stack([each.source.ids[:long] for each in examples if each.source is not None])
    if long == length:
        nothing = None if noise is None else np.zeros_like(noise)
        added = None if noise is None else np.concatenate([noise, nothing])
        both = run(np.concatenate([ids, other]), [*keep, site], added)
        base, source = _split(both, len(examples))
    else:
        base, source = run(ids, [*keep, site], noise), run(other, [site], None)
    values = _ends(base, readout), _ends(source, replace(readout, places=places))
    ends = tuple(Ends(*pair) for pair in zip(*values, strict=True))
    return base, _New(base, source, site, _partners(task, base, source)), ends, readout


def _run(
    anatomy: Anatomy,
    ids: Int[np.ndarray, "example position"],
    keep: Sequence[str],
    noise: np.ndarray | None,
    *,
    scratch: Scratch,
) -> Base:
    device, dtype = anatomy.embedding.device, anatomy.embedding.dtype
    added = None if noise is None else torch.from_numpy(noise).to(device, dtype)
    tokens = torch.from_numpy(ids).to(device).long()
    return run_base(anatomy, tokens, keep, added=added, scratch=scratch)


def _ends(base: Base, readout: Readout) -> list[float]:
    rows = base.final.unflatten(0, (base.examples, base.length))
    read = rows[:, torch.from_numpy(readout.places).to(rows.device)]
    return [float(value) for value in readout.values(read, np.arange(base.examples))]


def _split(both: Base, count: int) -> tuple[Base, Base]:
    """The first examples of a run, and the others."""
    half = count * both.length
    parts = []
    for rows, ids in ((slice(None, half), both.ids[:count]), (slice(half, None), both.ids[count:])):
        layers = tuple(
            BaseLayer(
                layer.pre[rows],
                layer.q[:, rows],
                layer.k[:, rows],
                layer.v[:, rows],
                {name: kept[rows] for name, kept in layer.kept.items()},
            )
            for layer in both.layers
        )
        parts.append(Base(both.anatomy, ids, layers, both.final[rows]))
    return parts[0], parts[1]


def _partners(task: Task, base: Base, source: Base) -> Int[Tensor, " row"] | None:
    """The source's row for each row of the base, -1 without one; None where all are the same."""
    if all((each.places == np.arange(len(each.base))).all() for each in task.examples):
        return None
    rows = [
        np.where(
            (each.places[: base.length] >= 0) & (each.places[: base.length] < source.length),
            each.places[: base.length] + number * source.length,
            -1,
        )
        for number, each in enumerate(task.examples)
    ]
    return torch.from_numpy(np.concatenate(rows)).to(base.final.device)


@dataclass(frozen=True, slots=True, eq=False)
class _New:
    """The source's values in the rows of the base; its own where a row has no partner."""

    base: Base
    source: Base
    site: str
    partners: Int[Tensor, " row"] | None

    def __call__(self, layer: int) -> Tensor:
        values = self.source.values(self.site, layer)
        if self.partners is None:
            return values
        own = self.base.values(self.site, layer)
        there = (self.partners >= 0).view(-1, *[1] * (values.ndim - 1))
        return torch.where(there, values[self.partners.clamp(min=0)], own)
