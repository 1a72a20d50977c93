"""How much memory a model takes, and what the machine has left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from microtome.errors import megabytes

_SYSTEM = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Bytes that can still be used, by the system's own word; None where it gives none."""
    try:
        rows = (row.split() for row in _SYSTEM.read_text("ascii").splitlines())
        system = next(int(row[1]) * 1024 for row in rows if row[0] == "MemAvailable:")
    except (OSError, StopIteration):
        return None
    return min(system, _free_in_group(system))


def _free_in_group(otherwise: int) -> int:
    """What a limit on this group of processes leaves free."""
    try:
        limit, used = ((_GROUP / f"memory.{name}").read_text() for name in ("max", "current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):  # no such limit: the word is "max"
        return otherwise


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
    parts = [f"The weights take {megabytes(need.weights)}"]
    if need.circuit:
        parts.append(f"a circuit takes another {megabytes(need.circuit)} while it is computed")
    if need.free is not None:
        parts.append(f"{megabytes(need.free)} were free before they were read")
    return f"{'; '.join(parts)}."
