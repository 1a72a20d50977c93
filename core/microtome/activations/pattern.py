"""The attention of one head, computed again: the patterns of a long prompt outgrow memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from microtome.errors import SiteMissing
from microtome.full_memory import telling_of_memory
from microtome.jobs import Job, job_or_default
from microtome.models.hooks import SeenError, layers_of, until_seen
from microtome.models.memory import pass_bytes
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.pattern import HeadPattern, resolutions, thumbnails
from microtome.sites import Site


class _Look:
    """A tap that keeps one head, shrinks all of them, and ends the pass."""

    def __init__(self, head: int) -> None:
        self._head = head
        self.values = np.zeros((0, 0), np.float32)
        self.heads = np.zeros((0, 0, 0), np.float32)

    def __call__(self, pattern: Tensor) -> Tensor:
        kept = pattern[0, self._head].to("cpu", torch.float32)
        self.values = kept.contiguous().numpy().copy()
        # One head after another: all in float32 at once may not fit.
        shrunk = [thumbnails(head.to("cpu", torch.float32).numpy()) for head in pattern[0]]
        self.heads = np.stack(shrunk)
        raise SeenError


def head_pattern(
    model: Model,
    prompt: Prompt | Sequence[int],
    layer: int,
    head: int,
    *,
    name: str = "pattern",
    job: Job | None = None,
) -> HeadPattern:
    """Where one head looks: the pass of a prompt up to its layer, nothing else kept.

    ``name`` is the site of the pattern; an encoder and cross-attention have others.
    Values are float32 and equal those of ``trace``.
    Raises PromptError, SiteMissing for a layer or head that is not there, and MemoryExceeded.
    """
    job = job_or_default(job)
    site, count = Site(name, layer), model.identity.n_heads
    layers_of(model, site)
    if not 0 <= head < count:
        raise SiteMissing(
            f"{model.identity.name} has no head {head} in layer {layer}.",
            f"Its heads are 0 to {count - 1}.",
        )
    tokens, look = model.tokenize(prompt), _Look(head)
    told = telling_of_memory(
        f"Memory ran out on the way to the patterns of layer {layer} on {len(tokens)} tokens",
        "Choose a shorter prompt or a smaller model.",
        partial(pass_bytes, model, 1, len(tokens)),
    )
    with told, until_seen(model, {site: [look]}, job.check):
        model.run(tokens)
    return HeadPattern(layer, head, look.values, resolutions(look.values), look.heads)
