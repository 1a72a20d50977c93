"""Rotary positions backwards."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def rotate_back(y: Float[Tensor, "*axes d_head"], cos: Tensor, sin: Tensor) -> Tensor:
    """The transpose of a rotation on the first dimensions of a head."""
    turned, rest = y[..., : cos.shape[-1]], y[..., cos.shape[-1] :]
    first, second = (turned * sin).chunk(2, dim=-1)
    return torch.cat([turned * cos + torch.cat([second, -first], dim=-1), rest], dim=-1)
