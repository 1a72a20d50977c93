"""Stepping over a model's first blocks, which would give what they gave in a run before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from microtome.jobs import Job
from microtome.models.family import part
from microtome.models.hooks import tapping
from microtome.models.model import Model
from microtome.models.tokens import Tokens

# Of the largest logit, in float32 and in half precision.
_WIDE, _HALF = 1e-5, 1e-2


class Steps:
    """What each block of a model gave in one run, and the way over the first of them.

    A block gives the stream alone, or a tuple with the stream in front.
    """

    def __init__(self, model: Model) -> None:
        self._blocks = part(model.module, model.family.blocks, model.family.title)
        self._given: dict[int, Any] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Within the context a run over one prompt is noted."""
        with ExitStack() as stack:
            for at, block in enumerate(self._blocks):
                hook = block.register_forward_hook(partial(self._note, at))
                stack.callback(hook.remove)
            yield

    def _note(self, at: int, _block: nn.Module, _args: Any, output: Any) -> None:
        self._given[at] = output

    @contextmanager
    def to(self, layer: int) -> Iterator[None]:
        """Within the context the blocks before ``layer`` give what was noted, for every run."""
        blocks = self._blocks
        held = list(blocks)
        try:
            for at in range(layer):
                last = at == layer - 1
                blocks[at] = _Step(held[at], self._given[at], gives_stream=last)
            yield
        finally:
            for at in range(layer):
                blocks[at] = held[at]


class _Step(nn.Module):
    """Stands in for a block: gives the stream that it is given, or the noted one."""

    def __init__(self, block: nn.Module, given: Any, *, gives_stream: bool) -> None:
        super().__init__()
        # Past torch's own setting of attributes, which would make the block a part of this one.
        object.__setattr__(self, "_block", block)
        object.__setattr__(self, "_given", given)
        object.__setattr__(self, "_gives_stream", gives_stream)

    def __getattr__(self, name: str) -> Any:
        """Models ask their blocks for settings, such as the kind of their attention."""
        return getattr(object.__getattribute__(self, "_block"), name)

    def forward(self, hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Any:
        """What the block gives: the stream, or a tuple with the stream in front."""
        noted = self._given[0] if isinstance(self._given, tuple) else self._given
        stream = noted.expand_as(hidden_states) if self._gives_stream else hidden_states
        return (stream, *self._given[1:]) if isinstance(self._given, tuple) else stream


def stepping_agrees(model: Model, tokens: Tokens, job: Job) -> bool:
    """Whether a model's blocks hand on nothing but the stream.

    Stepping over all blocks but the last has to give the logits of the whole run.
    """
    ids, steps = torch.from_numpy(tokens.ids)[None], Steps(model)
    with torch.inference_mode():
        with steps.noting(), tapping(model, {}, job.check):
            whole = model.forward(ids)
        with steps.to(model.identity.n_layers - 1), tapping(model, {}, job.check):
            stepped = model.forward(ids)
    scale = max(1.0, float(whole.abs().max()))
    wide = whole.dtype in (torch.float32, torch.float64)
    return float((whole - stepped).abs().max()) <= scale * (_WIDE if wide else _HALF)
