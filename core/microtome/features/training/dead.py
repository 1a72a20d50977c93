"""Features that have not been on for long are given the error of the others to explain.

Source: Gao et al., "Scaling and evaluating sparse autoencoders" (2024), section 2.4 (AuxK).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool
from torch import Tensor


def auxiliary_loss(
    pre: Tensor, error: Tensor, dead: Bool[Tensor, " *feature"], write: Callable[[Tensor], Tensor]
) -> Tensor:
    """How badly the best dead features explain an error: the mean over rows of squared distances.

    ``pre`` is [batch, *feature] and ``error`` what was missed, without gradient; ``write`` decodes
    codes without a bias. As many features of a row are taken as half of what is written is wide;
    with fewer dead ones the loss weighs less in proportion. Codes may be negative here, so that
    features which no row is positive for come back too.
    """
    wanted = max(1, error.shape[-1] // 2)
    count = int(dead.sum(-1).max())
    only = pre.masked_fill(~dead, -torch.inf)
    kept = only.topk(min(wanted, count), dim=-1, sorted=False)
    # A layer with fewer dead features than another has taken some that are not.
    values = torch.where(kept.values.isneginf(), 0.0, kept.values)
    codes = torch.zeros_like(pre).scatter(-1, kept.indices, values)
    missed = (write(codes) - error).square().flatten(1).sum(1).mean()
    return missed * min(1.0, count / wanted)
