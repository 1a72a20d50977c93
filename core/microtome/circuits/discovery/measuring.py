"""The metric of every example under circuits: what the model says with the edges left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float

from microtome.circuits.discovery.batches import Batch
from microtome.circuits.discovery.replaced import run_replaced
from microtome.jobs import Job


def measure(
    batch: Batch,
    removed: Sequence[Bool[np.ndarray, "writer reader"]],
    job: Job,
    *,
    start: int = 0,
    whole: bool = False,
) -> Float[np.ndarray, "circuit example"]:
    """The metric of each example of a batch without the removed edges, for several circuits.

    No edge into a layer before ``start`` may be removed; see ``run_replaced`` for ``whole``.
    """
    count = len(batch)
    grounds = batch.grounds
    runs = len(removed) * count
    most = batch.runs
    example = np.tile(np.arange(count), len(removed))
    circuit = np.repeat(np.arange(len(removed)), count)
    masks = torch.from_numpy(np.stack(removed)).to(grounds.clean.device)
    found = np.empty(runs)
    for begin in range(0, runs, most):
        part = slice(begin, min(runs, begin + most))
        rows = run_replaced(
            grounds,
            torch.from_numpy(example[part]),
            masks[torch.from_numpy(circuit[part])],
            batch.places,
            start=start,
            whole=whole,
            job=job,
        )
        found[part] = batch.readout.values(rows, example[part])
    return found.reshape(len(removed), count)
