"""The runs that discovery starts from: examples of one length as rows of one matrix."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.circuits.discovery.task import Task
from microtome.circuits.discovery.writers import written, written_difference
from microtome.interventions.sweeping.task import Example
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import Run, run
from microtome.models.operations import embedded


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """What was run of some examples, one block of rows behind the other.

    ``rows`` are the clean runs, then the corrupt ones where there are any, then step by step those
    between their inputs. ``difference`` is what writers add in the clean run less what takes its
    place.
    """

    rows: Run
    examples: int
    paired: bool
    difference: Float[Tensor, "writer example position d_model"]

    @property
    def clean(self) -> Run:
        """The clean runs."""
        return some_runs(self.rows, slice(0, self.examples))

    @property
    def other(self) -> Run:
        """The corrupt runs; methods that need them are given pairs."""
        assert self.paired  # noqa: S101
        return some_runs(self.rows, slice(self.examples, 2 * self.examples))

    @property
    def ends(self) -> Run:
        """The clean and the corrupt runs."""
        return some_runs(self.rows, slice(0, 2 * self.examples))

    @property
    def line(self) -> Run:
        """All but the clean runs: the input at 0/m to (m - 1)/m of the way to clean."""
        return some_runs(self.rows, slice(self.examples, None))


def first_runs(
    task: Task, examples: tuple[Example, ...], mean: Tensor | None, steps: int, job: Job
) -> Ran:
    """The runs of some examples of one length, and so many ``steps`` between their inputs.

    ``mean`` is what takes the place of what writers add, None when the corrupt run's does; that
    run is then the first of the steps.
    """
    anatomy = task.anatomy
    ids = torch.stack([task.ids(example) for example in examples]).to(anatomy.embedding.device)
    paired, count = mean is None, len(examples)
    blocks, left = [ids], []
    if paired:
        corrupt = torch.stack([task.ids(example, corrupt=True) for example in examples])
        blocks.append(corrupt.to(ids.device))
        change = embedded(anatomy, ids) - embedded(anatomy, blocks[1])
    elif steps:
        assert mean is not None  # noqa: S101
        change = _inputs(anatomy, ids) - mean[0]
    for step in range(1 if paired else 0, steps):
        blocks.append(ids)
        left.append((1 - step / steps) * change)

    def edit(site: str, _layer: int, value: Tensor) -> Tensor:
        if site != "embed" or not left:
            return value
        changed: Tensor = value.clone()
        changed[-len(left) * count :] -= torch.cat(left)
        return changed

    rows = run(anatomy, torch.cat(blocks), edit=edit, job=job)
    ran = Ran(rows, count, paired, rows.final.new_empty(1, 1, 1, 1))
    clean = ran.clean
    if mean is None:
        return replace(ran, difference=written_difference(clean, ran.other))
    return replace(ran, difference=written(clean).sub_(mean[:, None]))


def pair_runs(
    task: Task, examples: tuple[Example, ...], job: Job, *, corrupt: bool
) -> tuple[Run, Run | None]:
    """The clean runs of examples of one length, and the corrupt ones if they are asked for."""
    count = len(examples)
    ids = [task.ids(example) for example in examples]
    if corrupt:
        ids += [task.ids(example, corrupt=True) for example in examples]
    rows = run(task.anatomy, torch.stack(ids), job=job)
    clean = some_runs(rows, slice(0, count))
    return clean, some_runs(rows, slice(count, None)) if corrupt else None


def _inputs(anatomy: Anatomy, ids: Int[Tensor, "run position"]) -> Tensor:
    """What tokens and positions add together."""
    tokens, positions = embedded(anatomy, ids.long()), anatomy.positions
    return tokens if positions is None else tokens + positions[: ids.shape[-1]]


def tiled(ids: Int[Tensor, "run position"], count: int) -> Int[Tensor, "all position"]:
    """The same rows so many times, one block behind the other."""
    return ids.repeat(count, 1)


def some_runs(ran: Run, rows: slice) -> Run:
    """Some rows of several runs, as views."""
    found: Run = _some(ran, rows)
    return found


def _some(part: Any, rows: slice) -> Any:
    if isinstance(part, Tensor):
        return part[rows]
    if isinstance(part, tuple):
        return tuple(_some(each, rows) for each in part)
    if not is_dataclass(part) or isinstance(part, type | Anatomy):
        return part
    changed = {
        field.name: _some(getattr(part, field.name), rows)
        for field in fields(part)
        if field.name != "visible"  # the same for all
    }
    return replace(part, **changed)
