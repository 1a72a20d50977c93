"""The memory that a training takes, told before any of it is taken."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.errors import MemoryExceeded, megabytes
from microtome.features.training.plan import Plan
from microtome.records.memory import free_memory

_FLOAT = 4
_FREE_SHARE = 0.9  # of the free memory that a training may take
# Weights, their gradients, Adam's two moments, and what a finished dictionary or a start takes.
_COPIES = 5
# Products with the encoder, codes, their gradients; TopK of one dictionary keeps the first alone.
_DENSE, _SPARSE = 4, 1


@dataclass(frozen=True, slots=True)
class TrainingSize:
    """What is trained: numbers that a row reads and writes, of so many layers.

    ``across`` says that features write all layers from their own on.
    """

    d_in: int
    d_out: int
    layers: int = 1
    across: bool = False

    def n_bytes(self, plan: Plan) -> int:
        """About what a training of this plan takes at its most."""
        layers = self.layers if self.across else 1
        written = layers * (layers + 1) // 2 * self.d_out
        weights = plan.width * (layers * self.d_in + written)
        codes = plan.batch * layers * plan.width
        sparse = plan.rule == "topk" and not self.across
        step = _COPIES * weights + (_SPARSE if sparse else _DENSE) * codes
        # Of a set, the layers that are done wait for the others.
        done = 0 if self.across else (self.layers - 1) * weights
        return _FLOAT * (step + done)


def expect_room(plan: Plan, size: TrainingSize) -> None:
    """Raise MemoryExceeded, with the width that would fit, for what takes more than is free."""
    need, free = size.n_bytes(plan), free_memory()
    if free is None or need <= _FREE_SHARE * free:
        return
    fits = int(plan.width * _FREE_SHARE * free / need)
    raise MemoryExceeded(
        f"The training takes about {megabytes(need)} of memory, but {megabytes(free)} are free.",
        f"Take a smaller width (at most {fits:,}; it was {plan.width:,}), or close other programs."
        if fits
        else "Take smaller batches, or close other programs.",
    )
