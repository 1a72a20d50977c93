"""What work takes of the machine's memory, said before it begins.

Estimates go by shapes alone: nothing is run, and torch is not needed.
"""

from __future__ import annotations

import math

from microtome.records.model import ModelIdentity
from microtome.sites import Site

_ROWS = 32  # prompts that run together (activations/batches.py)
_FLOAT = 4


def space_memory(model: ModelIdentity, site: Site, points: int, longest: int) -> int:
    """Bytes that the feature space of a site takes at its peak, over prompts of ``longest`` tokens.

    A batch of prompts with the site in every layer asked for, the points twice (as gathered, and
    joined for the projection), and the scatter matrix with the copies that its solver makes.
    """
    lengths = {
        "head": model.n_heads,
        "kv_head": model.n_kv_heads,
        "d_head": model.d_head,
        "d_model": model.d_model,
        "d_mlp": model.d_mlp,
    }
    axes = [axis for axis in site.kind.axes[1:] if axis in lengths]
    if site.head is not None:
        axes = [axis for axis in axes if not axis.endswith("head") or axis == "d_head"]
    width = math.prod(lengths[axis] for axis in axes)
    layers = model.n_layers if site.layer is None and site.kind.per_layer else 1
    positions = _ROWS * longest
    running = positions * (6 * model.d_model + 3 * model.d_mlp + 2 * model.n_heads * longest)
    logits = positions * model.vocabulary
    batch = positions * width * layers
    return _FLOAT * (running + logits + batch + 2 * points * width) + 4 * 8 * width**2
