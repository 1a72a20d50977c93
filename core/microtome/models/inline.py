"""Attention that modules of transformers compute themselves, done by Microtome's function instead.

Older families call no attention function that could be exchanged. Their attention modules keep
their projections, which are run as they are; only what lies between them is replaced, so that
scores and patterns are read and edited in the same one place as those of every family.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from microtome.models.attention import attend
from microtome.models.family import Family, Given, head_width, part
from microtome.models.operations import turn
from microtome.models.resolve import split_heads, split_qkv


def take_over(module: nn.Module, family: Family) -> None:
    """Have the attention modules of a model use Microtome's attention function."""
    row = family.of(module.config)
    if row.inline is None:
        return
    for layer, attention in enumerate(_attentions(module, row)):
        attention.forward = partial(_forward, attention, row, module.config, layer)


@contextmanager
def given_back(module: nn.Module, family: Family) -> Iterator[None]:
    """Within the context the attention modules compute as transformers wrote them."""
    for attention in _attentions(module, family):
        del attention.forward
    try:
        yield
    finally:
        take_over(module, family)


def _attentions(module: nn.Module, row: Family) -> list[nn.Module]:
    blocks = part(module, row.blocks, row.title)
    return [part(block, row.attention, row.title) for block in blocks]


def _forward(
    attention: nn.Module,
    row: Family,
    config: Any,
    layer: int,
    hidden_states: Tensor,
    *args: Any,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    assert row.inline is not None  # noqa: S101
    given: Given = row.inline(attention, *args, **kwargs)
    q, k, v = (x.transpose(1, 2) for x in _projected(attention, row, config, hidden_states))
    if given.angles is not None:
        cos, sin = (angle.to(q.dtype) for angle in given.angles)
        q, k = (turn(x, cos, sin, interleaved=row.rotary_table is not None) for x in (q, k))
    z, pattern = attend(
        attention,
        q,
        k,
        v,
        given.mask,
        scaling=row.scale(config, layer),
        position_bias=given.bias,
    )
    written: Tensor = _inside(attention, row, row.o)(z.flatten(-2))
    return written if given.residual is None else written + given.residual, pattern


def _projected(attention: nn.Module, row: Family, config: Any, read: Tensor) -> list[Tensor]:
    """Queries, keys and values [batch, position, head, d_head]."""
    if row.qkv is not None:
        return list(split_qkv(_inside(attention, row, row.qkv)(read), -1, row, config))
    paths = [path for path in (row.q, row.k, row.v) if path is not None]
    return [
        split_heads(_inside(attention, row, path)(read), -1, head_width(config)) for path in paths
    ]


def _inside(attention: nn.Module, row: Family, path: str) -> Any:
    """A part whose path starts at the block, found from its attention module."""
    return part(attention, path.removeprefix(f"{row.attention}."), row.title)
