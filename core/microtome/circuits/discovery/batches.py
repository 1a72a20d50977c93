"""Examples of one length, run once and ready to be run again with edges removed."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from microtome.circuits.discovery.replaced import Grounds
from microtome.circuits.discovery.room import Room
from microtome.circuits.discovery.runs import pair_runs
from microtome.circuits.discovery.task import Task
from microtome.circuits.discovery.writers import written
from microtome.errors import InputError
from microtome.interventions.sweeping.readout import Readout
from microtome.interventions.sweeping.task import Example
from microtome.jobs import Job


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Examples of one length, ready to be run with edges removed; so many ``runs`` at a time."""

    grounds: Grounds
    readout: Readout
    numbers: Int[np.ndarray, " example"]
    places: Int[Tensor, " place"]
    runs: int

    def __len__(self) -> int:
        return len(self.numbers)


def batches(
    task: Task, job: Job, kept: MutableMapping[int, Batch] | None = None
) -> Iterator[Batch]:
    """All examples, those of one length together as far as the budget goes.

    Batches are put into ``kept`` as far as it goes too, and taken from there the next time.
    """
    held = sum(each.grounds.bytes for each in (kept or {}).values())
    for length, numbers in task.by_length().items():
        room, mean = Room.of(task.anatomy, length, task.budget), None
        most = room.grounded
        for start in range(0, len(numbers), most):
            batch = (kept or {}).get(numbers[start])
            if batch is None:
                mean = task.mean(length, job) if mean is None else mean
                batch = _batch(task, numbers[start : start + most], mean, job)
                if kept is not None and held + batch.grounds.bytes <= room.share:
                    kept[numbers[start]] = batch
                    held += batch.grounds.bytes
            yield batch


def _batch(task: Task, numbers: list[int], mean: Tensor | None, job: Job) -> Batch:
    examples = tuple(task.examples[number] for number in numbers)
    places = examples[0].read_at(examples[0].base)
    for example in examples[1:]:
        if not np.array_equal(example.read_at(example.base), places):
            raise InputError(
                "The metrics of examples of one length read different positions.",
                "Give metrics that read the same position.",
            )
    room = Room.of(task.anatomy, len(examples[0].base), task.budget)
    grounds = _grounds(task, examples, mean, room.paired, job)
    readout = Readout(task.anatomy, tuple(e.metric for e in examples), places)
    return Batch(grounds, readout, np.array(numbers), torch.from_numpy(places), room.replaced)


def _grounds(
    task: Task, examples: tuple[Example, ...], mean: Tensor | None, most: int, job: Job
) -> Grounds:
    """What was written in the clean and the other runs, so many examples at a time."""
    anatomy, edges = task.anatomy, task.edges
    count, size = len(examples), (len(examples[0].base), anatomy.d_model)
    clean = anatomy.embedding.new_empty(count, edges.n_writers, *size)
    other = torch.empty_like(clean) if mean is None else mean.expand_as(clean)
    streams = clean.new_empty(edges.n_layers + 1, count, *size)
    for start in range(0, count, most):
        some = slice(start, start + most)
        ran, corrupt = pair_runs(task, examples[some], job, corrupt=mean is None)
        clean[some] = written(ran).transpose(0, 1)
        if corrupt is not None:
            other[some] = written(corrupt).transpose(0, 1)
        for layer, block in enumerate(ran.blocks):
            streams[layer, some] = block.resid_pre
        streams[-1, some] = ran.final
    return Grounds(anatomy, clean, other, streams)
