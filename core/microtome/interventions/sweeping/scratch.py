"""What the arithmetic of a sweep works with: its checkpoint, and memory that is used again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from microtome.jobs import Job


@dataclass(slots=True, eq=False)
class Scratch:
    """The job that may stop the work, and one block of memory for each purpose.

    Rows and hidden values are megabytes, made and thrown away a hundred times in a sweep. Taken
    from the system anew each time, their pages took up to 20 % of a sweep of GPT-2 small.
    """

    job: Job
    held: dict[str, Tensor] = field(default_factory=dict)

    def check(self) -> None:
        """Rest or stop where that is wished."""
        self.job.check()

    def take(
        self, purpose: str, shape: tuple[int, ...], like: Tensor, *, most: int | None = None
    ) -> Tensor:
        """Memory of a shape, with whatever was in it; valid until the purpose takes it again.

        ``most`` are the numbers that the purpose will want at most, if that is known.
        """
        size, held = math.prod(shape), self.held.get(purpose)
        if held is None or len(held) < size or held.dtype != like.dtype:
            held = self.held[purpose] = like.new_empty(max(size, most or 0))
        return held[:size].view(shape)
