"""Microtome's own attention function: eager attention with a tap at every step.

Registered with transformers under ``NAME``, it serves every family, so that rotated queries and
keys, scores, patterns and head outputs are read and edited in this one place. Without taps it
computes what transformers' eager attention computes, operation for operation; only the softmax
of a float64 model stays in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

NAME = "microtome"

# Called with a site's name and its values, batch first, in the axes of the site table; returns
# what the model goes on with.
Tap = Callable[[str, Tensor], Tensor]

_taps: ContextVar[Mapping[nn.Module, Tap]] = ContextVar("attention_taps")


@contextmanager
def tapped(taps: Mapping[nn.Module, Tap]) -> Iterator[None]:
    """Have each attention module hand its intermediate values to its tap, in this thread only."""
    token = _taps.set(taps)
    try:
        yield
    finally:
        _taps.reset(token)


def _untapped(_name: str, values: Tensor) -> Tensor:
    return values


def _shared(values: Tensor, group: int) -> Tensor:
    """Key or value heads, each repeated for the heads that share it."""
    return values if group == 1 else values.repeat_interleave(group, dim=1)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    position_bias: Tensor | None = None,
    **_unused: Any,
) -> tuple[Tensor, Tensor]:
    """Head outputs [batch, position, head, d_head] and pattern [batch, head, query, key].

    Queries, keys and values come as [batch, head, position, d_head]. Scores are tapped scaled,
    with their bias, and capped, before the mask, so that they are finite.
    """
    tap = _taps.get({}).get(module, _untapped)
    query = tap("rot_q", query.transpose(1, 2)).transpose(1, 2)
    key = tap("rot_k", key.transpose(1, 2)).transpose(1, 2)
    group = query.shape[1] // key.shape[1]
    scores = torch.matmul(query, _shared(key, group).transpose(2, 3))
    scores = scores * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if position_bias is not None:
        scores = scores + position_bias
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = tap("scores", scores)
    if attention_mask is not None:
        scores = scores + attention_mask
    wide = torch.promote_types(scores.dtype, torch.float32)
    pattern = tap("pattern", torch.softmax(scores, dim=-1, dtype=wide).to(query.dtype))
    z = torch.matmul(pattern, _shared(value, group)).transpose(1, 2).contiguous()
    return tap("z", z), pattern


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, eager_mask)
