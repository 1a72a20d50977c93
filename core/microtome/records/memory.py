"""How much memory a model takes, and what the machine has left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes, from the sizes that the headers of the weight files announce.

    ``weights`` is what the loaded weights take, ``circuit`` the wider copy that a circuit is
    computed with: 0 in float32 and float64, which are used as they are. Activations of a run come
    on top, at most their budget. ``free`` is what was free before, None where nobody tells.
    """

    weights: int
    circuit: int
    free: int | None = None

    @property
    def fits(self) -> bool:
        """Whether the weights fit into what is free, as far as that is known."""
        return self.free is None or self.weights <= self.free

    @property
    def circuit_fits(self) -> bool:
        """Whether a circuit fits beside the weights."""
        return self.free is None or self.weights + self.circuit <= self.free


def memory_tip(need: MemoryNeed) -> str:
    """What loading took and what a circuit will, as a sentence."""
    parts = [f"The weights take {size_text(need.weights)}"]
    if need.circuit:
        parts.append(f"a circuit takes another {size_text(need.circuit)} while it is computed")
    if need.free is not None:
        parts.append(f"{size_text(need.free)} were free before they were read")
    return f"{'; '.join(parts)}."


def size_text(count: int) -> str:
    """A size as people read it, for example ``3.1 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 5e7 else f"{count / 1e6:.1f} MB"
