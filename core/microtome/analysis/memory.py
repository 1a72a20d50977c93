"""What work takes of the machine's memory, said before it begins; and what is free.

Estimates go by shapes alone: nothing is run, and torch is not needed.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from microtome.records.model import ModelIdentity
from microtome.sites import Site

_ROWS = 32  # prompts that run together (activations/batches.py)
_FLOAT = 4
_GROUPS = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Bytes that this process may still take, None where the system does not tell cheaply.

    On Linux what is available without swapping, or what is left of the control group's limit.
    """
    if sys.platform != "linux":
        return None
    known = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) for line in known if line.startswith("MemAvailable"))
    left = _left_in_group()
    return available * 1024 if left is None else min(available * 1024, left)


def _left_in_group() -> int | None:
    try:
        limit = (_GROUPS / "memory.max").read_text(encoding="ascii").strip()
        used = (_GROUPS / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit.isdigit() and used.isdigit() else None


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
