"""Activations of many prompts: right-padded batches, as exact as one prompt at a time.

A causal model never looks ahead, so what stands behind a prompt's last token cannot change it;
from a model that does the padding is hidden. It is cut off before anybody sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microtome.jobs import Job, job_or_default
from microtome.models.hooks import Tap, tapping
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.sites import Site

_ROWS = 32


def batched_activations(
    model: Model,
    prompts: Sequence[Tokens],
    sites: Sequence[Site],
    *,
    rows: int = _ROWS,
    job: Job | None = None,
) -> Iterator[tuple[Tokens, dict[Site, NDArray[Any]]]]:
    """Each prompt with the values [position, …] at each site, in the order given.

    Sites that exist once a layer must name one. ``rows`` prompts run together.
    Raises SiteMissing for a site that the model does not have.
    """
    job = job_or_default(job)
    rows = 1 if model.has_encoder else rows  # which would see padding, so that there is none
    for start in range(0, len(prompts), rows):
        group = prompts[start : start + rows]
        held = _run_together(model, group, sites, job)
        for row, tokens in enumerate(group):
            own = slice(None if model.has_encoder else len(tokens))
            yield tokens, {site: held[site][row, own] for site in sites}


def _run_together(
    model: Model, group: Sequence[Tokens], sites: Sequence[Site], job: Job
) -> dict[Site, NDArray[Any]]:
    held: dict[Site, NDArray[Any]] = {}

    def keep(site: Site) -> Tap:
        def tap(values: Tensor) -> Tensor:
            # Copied at once: the model may go on to write into the same memory.
            wide = torch.promote_types(values.dtype, torch.float32)
            held[site] = values.detach().to("cpu", wide, copy=True).numpy()
            return values

        return tap

    with tapping(model, {site: [keep(site)] for site in sites}, job.check):
        if model.has_encoder:
            model.run(group[0])
        else:
            ids, options = padded(model, group)
            model.forward(ids, **options)
    return held


def padded(model: Model, group: Sequence[Tokens]) -> tuple[Tensor, dict[str, Tensor]]:
    """The ids of some prompts [prompt, position], and what hides the padding in ``forward``."""
    longest = max(len(tokens) for tokens in group)
    ids = np.stack([np.pad(tokens.ids, (0, longest - len(tokens))) for tokens in group])
    return torch.from_numpy(ids), _mask(model, group, longest)


def _mask(model: Model, group: Sequence[Tokens], longest: int) -> dict[str, Tensor]:
    """What hides the padding, where the model would see it."""
    if not model.in_place or all(len(tokens) == longest for tokens in group):
        return {}
    lengths = torch.tensor([len(tokens) for tokens in group], device=model.device)
    places = torch.arange(longest, device=model.device)
    return {"attention_mask": (places < lengths[:, None]).long()}
