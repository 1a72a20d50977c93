"""What each edge is worth by taking it away for real: one pass for each edge and example."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from jaxtyping import Float

from microtome.circuits.discovery.batches import batches
from microtome.circuits.discovery.measuring import measure
from microtome.circuits.discovery.partial import Partials
from microtome.circuits.discovery.task import Task
from microtome.jobs import Job
from microtome.records.edges import Edges

_TOGETHER = 32  # edges measured in one call


def exact_scores(
    task: Task, job: Job, *, partials: Partials | None = None
) -> Float[np.ndarray, "writer reader"]:
    """The metric of the whole model less that without the edge, the mean over examples.

    Layers before an edge's reader are those of the clean run. Goldowsky-Dill et al. 2023.
    """
    edges = task.edges
    sums, counts = np.zeros(edges.exists.shape), np.zeros(edges.exists.shape, dtype=np.int64)
    done, total = 0, edges.count * len(task.examples)
    with torch.no_grad():
        for batch in batches(task, job):
            whole = measure(batch, [np.zeros_like(edges.exists)], job, start=edges.n_layers)[0]
            for layer, listed in _by_layer(edges):
                for begin in range(0, len(listed), _TOGETHER):
                    part = listed[begin : begin + _TOGETHER]
                    job.progress("Taking edges away", done, total)
                    masks = [_only(edges, edge) for edge in part]
                    found = measure(batch, masks, job, start=layer)
                    place = tuple(np.transpose(part))
                    sums[place] += (whole - found).sum(1)
                    counts[place] += len(batch)
                    done += len(part) * len(batch)
                    if partials is not None and done < total:
                        partials.tell(
                            partial(_mean, sums, counts),
                            edges_done=int((counts > 0).sum()),
                            edges=edges.count,
                            examples_done=int(counts[edges.exists].min()),
                            examples=len(task.examples),
                        )
    job.progress("Taking edges away", total, total)
    return _mean(sums, counts)


def _mean(sums: np.ndarray, counts: np.ndarray) -> Float[np.ndarray, "writer reader"]:
    """The mean over the examples done; not a number for edges that were not tried."""
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)


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
