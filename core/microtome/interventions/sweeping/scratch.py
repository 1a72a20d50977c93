"""What the arithmetic of a sweep works with: its checkpoint, and memory that is used again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from microtome.jobs import Job


@dataclass(slots=True, eq=False)
class Scratch:
    """The job that may stop the work, and one block of memory for each purpose.

    Hidden values of an MLP are megabytes, made and thrown away a hundred times in a sweep. Taken
    from the system anew each time, their pages took 5 % of a sweep of GPT-2 small.
    """

    job: Job
    held: dict[str, Tensor] = field(default_factory=dict)

    def check(self) -> None:
        """Rest or stop where that is wished."""
        self.job.check()

    def take(self, purpose: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Memory of a shape, with whatever was in it; valid until the purpose takes it again."""
        size, held = math.prod(shape), self.held.get(purpose)
        if held is None or len(held) < size or held.dtype != like.dtype:
            held = self.held[purpose] = like.new_empty(size)
        return held[:size].view(shape)
