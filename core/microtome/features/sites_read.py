"""What some sites hold for rows of tokens, from a pass that ends at the last of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microtome.jobs import Job
from microtome.models.hooks import SeenError, until_seen
from microtome.models.model import Model
from microtome.sites import Site


def read_sites(
    model: Model, ids: NDArray[np.int32], sites: Sequence[Site], job: Job
) -> dict[Site, Tensor]:
    """Activations [row, position, d] of rows of tokens at each site, float32, on the processor.

    Heads stand one after another where a site has several and names none.
    """
    held: dict[Site, Tensor] = {}
    wanted = dict.fromkeys(sites)
    taps = {site: [partial(_keep, held, site, len(wanted))] for site in wanted}
    with until_seen(model, taps, job.check):
        model.forward(torch.from_numpy(ids))
    return held


def _keep(held: dict[Site, Tensor], site: Site, count: int, values: Tensor) -> Tensor:
    kept = values if site.head is None else values[:, :, site.head]
    held[site] = kept.reshape(*kept.shape[:2], -1).float().cpu()
    if len(held) == count:
        raise SeenError
    return values
