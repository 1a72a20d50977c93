"""What each edge is worth by taking it away for real: one pass for each edge and example."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from microtome.circuits.discovery.measuring import measure
from microtome.circuits.discovery.task import Task
from microtome.jobs import Job
from microtome.records.edges import Edges

_TOGETHER = 32  # edges measured in one call


def exact_scores(task: Task, job: Job) -> Float[np.ndarray, "writer reader"]:
    """The metric of the whole model less that without the edge, the mean over examples.

    Layers before an edge's reader are those of the clean run. Goldowsky-Dill et al. 2023.
    """
    edges = task.edges
    sums = np.where(edges.exists, 0.0, np.nan)
    done, total = 0, edges.count * len(task.examples)
    with torch.no_grad():
        for batch in task.batches(job):
            whole = measure(batch, [np.zeros_like(edges.exists)], job, start=edges.n_layers)[0]
            for layer, listed in _by_layer(edges):
                for begin in range(0, len(listed), _TOGETHER):
                    part = listed[begin : begin + _TOGETHER]
                    job.progress("Taking edges away", done, total)
                    masks = [_only(edges, edge) for edge in part]
                    found = measure(batch, masks, job, start=layer)
                    sums[tuple(np.transpose(part))] += (whole - found).sum(1)
                    done += len(part) * len(batch)
    job.progress("Taking edges away", total, total)
    return sums / len(task.examples)


def _by_layer(edges: Edges) -> list[tuple[int, np.ndarray]]:
    """The edges whose reader stands in a layer, from the top."""
    writer, reader = np.nonzero(edges.exists)
    layer = np.array([edges.layer_of(int(each)) for each in reader])
    places = np.stack([writer, reader], 1)
    return [(each, places[layer == each]) for each in reversed(range(edges.n_layers + 1))]


def _only(edges: Edges, edge: np.ndarray) -> np.ndarray:
    mask = np.zeros_like(edges.exists)
    mask[tuple(edge)] = True
    return mask
