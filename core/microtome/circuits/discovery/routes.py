"""Information flow routes: how much of what is read comes from each writer, by size alone.

Ferrando and Voita, "Information Flow Routes" (2024). No corrupt prompt, no metric and no gradient:
what is found is what flows in these runs, whatever it is for.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.discovery.partial import Partials, ScoreMean
from microtome.circuits.discovery.task import Task
from microtome.circuits.discovery.writers import written
from microtome.jobs import Job
from microtome.models.arithmetic import Run, run
from microtome.records.edges import Edges


def route_scores(
    task: Task, job: Job, *, by_position: bool = False, partials: Partials | None = None
) -> Float[np.ndarray, "*position writer reader"]:
    """The share of each writer in what each reader reads, the mean over positions and examples.

    A writer counts by how much nearer the reader's input is to zero without it: the absolute sum of
    the input less that of the input without the writer, nothing where that is negative; of each
    reader the shares sum to 1. A position counts as any other.
    """
    edges = task.edges
    mean = ScoreMean(edges, len(task.examples), partials)
    with torch.no_grad():
        for number, example in enumerate(task.examples):
            job.progress("Following what flows", number, len(task.examples))
            clean = run(task.anatomy, task.ids(example), job=job)
            shares = _shares(edges, clean)  # [position, writer, reader]
            mean.add(shares if by_position else shares.mean(0))
    job.progress("Following what flows", len(task.examples), len(task.examples))
    return mean.mean()


def _shares(edges: Edges, clean: Run) -> Float[Tensor, "position writer reader"]:
    outputs = written(clean)
    shares = outputs.new_zeros(clean.n_positions, edges.n_writers, edges.n_readers)
    for layer, block in enumerate(clean.blocks):
        before, count = edges.first(layer), edges.before_mlp(layer)
        heads = _share(block.resid_pre, outputs[:before])
        shares[:, :before, edges.head_readers(layer)] = heads[:, :, None]
        shares[:, :count, edges.mlp_reader(layer)] = _share(block.mlp_from, outputs[:count])
    shares[:, :, -1] = _share(clean.final, outputs)
    return shares


def _share(
    read: Float[Tensor, "position d_model"], outputs: Float[Tensor, "writer position d_model"]
) -> Float[Tensor, "position writer"]:
    left = (read - outputs).abs().sum(-1)
    near = (read.abs().sum(-1) - left).clamp(min=0).T
    total = near.sum(-1, keepdim=True)
    return torch.where(total > 0, near / torch.where(total > 0, total, 1.0), 0.0)
