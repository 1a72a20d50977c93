"""Small random changes of pictures: what a model answers to under all of them is no accident.

Source: Olah, Mordvintsev and Schubert, "Feature Visualization" (2017), "transformation robustness".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

# At a strength of 1, each up to: a share of the side, radians, a share of the size; and noise.
_JITTER, _TURN, _SCALE, _NOISE = 1 / 16, math.radians(5), 0.1, 0.06
_GREY = 0.5  # what is around a picture


def transformed(
    pictures: Float[Tensor, "row channel height width"],
    generators: Sequence[torch.Generator],
    strength: float,
) -> Float[Tensor, "row channel height width"]:
    """Each picture moved, turned, scaled and with noise, by its own generator; grey around it."""
    if strength <= 0:
        return pictures
    drawn = torch.stack([torch.rand(4, generator=one) for one in generators]) * 2 - 1
    noise = torch.stack([torch.randn(pictures.shape[1:], generator=one) for one in generators])
    turned, scaled, right, down = (strength * drawn).unbind(1)
    angle, size = _TURN * turned, 1 / (1 + _SCALE * scaled).clamp_min(0.2)
    cosine, sine = size * angle.cos(), size * angle.sin()
    # Half sides are the unit of the grid.
    rows = (torch.stack([cosine, -sine, 2 * _JITTER * right], 1),
            torch.stack([sine, cosine, 2 * _JITTER * down], 1))  # fmt: skip
    grid = affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    seen = grid_sample(pictures - _GREY, grid.to(pictures.device), align_corners=False) + _GREY
    return seen + strength * _NOISE * noise.to(pictures.device)
