"""What a run and its circuit take of memory, said before the run."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from microtome.activations.budget import plan_capture
from microtome.circuits.asking import precise
from microtome.models.model import Model

# Score-sized arrays [head, query, key] that a circuit holds in each layer: scores, pattern and
# its logarithm of each run, and the slopes of what is traced back. Measured, with some to spare.
_SCORES_ONE, _SCORES_PAIR = 5, 9
_SWEEP = 2 * (1 << 23)  # numbers in the blocks of the sweep (circuits/sweep.py)


@dataclass(frozen=True, slots=True)
class RunMemory:
    """Bytes that a run keeps, and the most that it takes on the way.

    ``left_out`` are sites that the budget does not let it keep.
    """

    kept: int
    peak: int
    left_out: tuple[str, ...] = ()


def run_memory(
    model: Model, positions: int, *, pair: bool = False, budget: int | None = None
) -> RunMemory:
    """What ``examine`` takes for a prompt (or a pair) of so many tokens; nothing is run.

    Raises MemoryExceeded when not even the logits fit the budget.
    """
    plan = plan_capture(model, positions, None, budget)
    runs = 2 if pair else 1
    kept = runs * plan.n_bytes
    if not model.whole:  # no circuit
        return RunMemory(kept, kept, plan.left_out)
    dtype = precise(model.dtype)
    number = torch.empty((), dtype=dtype).element_size()
    copied = 0 if dtype == model.dtype else number * model.identity.n_parameters
    work = number * (_run_numbers(model, positions, pair=pair) + _SWEEP)
    return RunMemory(kept, kept + copied + work, plan.left_out)


def _run_numbers(model: Model, positions: int, *, pair: bool) -> int:
    """Numbers that the circuit's runs, slopes and node outputs hold."""
    shape = model.identity
    scores = (_SCORES_PAIR if pair else _SCORES_ONE) * shape.n_heads * positions**2
    heads = positions * shape.d_head * (2 * shape.n_heads + 2 * shape.n_kv_heads)
    streams = positions * (8 * shape.d_model + 2 * shape.d_mlp)
    slopes = positions * (4 * shape.d_model + 2 * shape.d_mlp)
    runs = 2 if pair else 1
    layers = shape.n_layers * (scores + runs * (heads + streams) + slopes)
    components = shape.n_layers * (shape.n_heads + 1) + 2
    return layers + components * positions * shape.d_model
