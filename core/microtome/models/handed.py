"""What older attention modules are handed, family by family: masks, positions, the stream.

Each reader takes the arguments of one family's attention module behind the first; see
``microtome.models.inline``. The biases are made by transformers' own functions, so that they are
rounded as the model rounds them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from microtome.models.family import Given
from microtome.models.positions import from_query, paired_angles


def gptj_given(
    attention: nn.Module, *, attention_mask: Tensor | None, position_ids: Tensor, **_rest: Any
) -> Given:
    """GPT-J looks its angles up by position."""
    table: Any = attention.embed_positions
    return Given(attention_mask, angles=paired_angles(table[position_ids][:, None]))


def falcon_given(
    _attention: nn.Module,
    *,
    attention_mask: Tensor | None,
    position_embeddings: tuple[Tensor, Tensor],
    **_rest: Any,
) -> Given:
    """Falcon is given cosines and sines."""
    cos, sin = position_embeddings
    return Given(attention_mask, angles=(cos[:, None], sin[:, None]))


def bloom_given(
    _attention: nn.Module,
    residual: Tensor,
    *,
    alibi: Tensor,
    attention_mask: Tensor | None,
    **_rest: Any,
) -> Given:
    """BLOOM is given the bias of all prompts and heads, and the stream to add to."""
    return Given(
        attention_mask, from_query(_wide(alibi.unflatten(0, (len(residual), -1)))), None, residual
    )


def mpt_given(
    attention: nn.Module, *, position_bias: Tensor, attention_mask: Tensor, **_rest: Any
) -> Given:
    """MPT is given a bias for its longest prompt, and a mask that is true where it hides."""
    dtype = next(attention.parameters()).dtype
    mask = torch.zeros_like(attention_mask, dtype=dtype)
    mask = mask.masked_fill(attention_mask, torch.finfo(dtype).min)
    return Given(mask, from_query(_wide(position_bias[..., -attention_mask.shape[-1] :])))


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def bloom_alibi(config: Any, count: int, dtype: torch.dtype) -> Tensor:
    """The bias [head, 1, key] of BLOOM's scores."""
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    bias: Tensor = build_alibi_tensor(torch.ones(1, count), config.num_attention_heads, dtype)
    return bias


def mpt_alibi(config: Any, count: int, dtype: torch.dtype) -> Tensor:
    """The bias [head, 1, key] of MPT's scores, the same in every type."""
    del dtype
    from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

    bias: Tensor = build_mpt_alibi_tensor(config.num_attention_heads, count)
    return bias


def mpt_scale(config: Any, layer: int) -> float:
    """MPT's own score scale, where its config names one."""
    del layer
    named = config.attn_config.softmax_scale
    return float(
        (config.hidden_size // config.num_attention_heads) ** -0.5 if named is None else named
    )
