"""Where a model's attention looks: windows, rotations and biases of scores, layer by layer."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from microtome.errors import UnknownArchitecture
from microtome.models.anatomy import Rotary, ScoreBias
from microtome.models.family import Family, part


def layer_count(config: Any, row: Family) -> int:
    """Layers of a row's blocks; those of a decoder beside an encoder are counted apart."""
    count = config.num_hidden_layers if row.cross is None else config.num_decoder_layers
    return int(count)


def windows(config: Any, row: Family) -> list[int | None]:
    """The visible keys of each layer; None where a query sees everything before it."""
    n_layers = layer_count(config, row)
    size = getattr(config, "sliding_window", None)
    if size is not None and not row.causal:
        size += 1  # there it counts the keys to one side without the query
    if row.window == "none" or size is None:
        return [None] * n_layers
    if row.window == "all":
        return [size] * n_layers
    known = {"full_attention": None, "sliding_attention": size}
    for layer, kind in enumerate(config.layer_types):
        if kind not in known:
            raise UnknownArchitecture(f"{row.title}, layer {layer}: attention of type {kind!r}.")
    return [known[kind] for kind in config.layer_types]


def _rotary(module: nn.Module, row: Family, like: Tensor, layer_type: str | None) -> Rotary:
    extra = (layer_type,) if row.rotary_by_layer_type else ()

    def angles(length: int) -> tuple[Tensor, Tensor]:
        positions = torch.arange(length, device=like.device)[None]
        with torch.inference_mode():
            cosines, sines = module(like, positions, *extra)
        return cosines[0].clone(), sines[0].clone()

    return Rotary(n_rotated=angles(1)[0].shape[-1], angles=angles)


def _interleaved(table: Tensor) -> Rotary:
    """The rotation of a table [position, sines and cosines] whose dimensions turn by twos."""

    def angles(length: int) -> tuple[Tensor, Tensor]:
        return paired_angles(table[:length])

    return Rotary(n_rotated=table.shape[-1], angles=angles, interleaved=True)


def paired_angles(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines for each dimension, of rows that hold sines and cosines for each pair."""
    sines, cosines = rows.repeat_interleave(2, -1).chunk(2, -1)
    return cosines, sines


def score_biases(blocks: Any, row: Family, config: Any, like: Tensor) -> list[ScoreBias | None]:
    """The bias of the scores of each layer."""
    if row.relative_bias is not None:
        holders = [part(block, row.relative_bias, row.title) for block in blocks]
        if not row.relative_each:
            holders = [holders[0]] * len(holders)
        return [ScoreBias(partial(_relative, holder)) for holder in holders]
    same = None if row.alibi is None else ScoreBias(partial(_alibi, row, config, like))
    return [same] * len(blocks)


def _relative(holder: Any, count: int) -> Tensor:
    """The bias [head, query, key] that T5 learns for distances, relative to the query itself."""
    with torch.inference_mode():
        bias: Tensor = holder.compute_bias(count, count)[0].clone()
    wide = bias.to(torch.promote_types(bias.dtype, torch.float32))
    return wide - wide.diagonal(dim1=1, dim2=2)[..., None]


def _alibi(row: Family, config: Any, like: Tensor, count: int) -> Tensor:
    """The bias [head, query, key] relative to that of the query itself, in float32 or wider."""
    assert row.alibi is not None  # noqa: S101
    bias = row.alibi(config, count, like.dtype)
    return from_query(bias.to(like.device, torch.promote_types(like.dtype, torch.float32)))


def from_query(bias: Tensor) -> Tensor:
    """A bias [head, 1, key] less its value at each query; the softmax does not see the change."""
    return bias - bias.mT


def rotaries(module: nn.Module, row: Family, config: Any, like: Tensor) -> list[Rotary | None]:
    """The rotation of each layer; layers of one type share it."""
    n_layers = layer_count(config, row)
    if row.rotary_table is not None:
        return [_interleaved(part(module, row.rotary_table, row.title).to(like.dtype))] * n_layers
    if row.rotary is None:
        return [None] * n_layers
    source = part(module, row.rotary, row.title)
    types = config.layer_types if row.rotary_by_layer_type else [None] * n_layers
    made = {kind: _rotary(source, row, like, kind) for kind in dict.fromkeys(types)}
    turns = [True] * n_layers if row.rotary_key is None else getattr(config, row.rotary_key)
    return [made[kind] if turn else None for kind, turn in zip(types, turns, strict=False)]
