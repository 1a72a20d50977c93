"""The memory that a model will take, estimated before its weights are read."""

from __future__ import annotations

from pathlib import Path

import torch

from microtome.errors import MemoryExceeded
from microtome.records.memory import MemoryNeed, size_text

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


def memory_need(numbers: int, dtype: torch.dtype, free: int | None = None) -> MemoryNeed:
    """What a model of so many numbers takes in a number format."""
    wide = torch.promote_types(dtype, torch.float32)
    return MemoryNeed(
        numbers * dtype.itemsize, 0 if wide == dtype else numbers * wide.itemsize, free
    )


def refuse_too_large(need: MemoryNeed, name: str, dtype: torch.dtype) -> None:
    """Raise MemoryExceeded for weights that cannot fit, with the format in which they would."""
    if need.fits or need.free is None:
        return
    half = need.weights * 2 // dtype.itemsize
    fits = dtype.itemsize > 2 and half <= need.free
    raise MemoryExceeded(
        f"The weights of {name} take {size_text(need.weights)} in "
        f"{str(dtype).removeprefix('torch.')}, but {size_text(need.free)} are free.",
        f"Choose bfloat16, which takes {size_text(half)}."
        if fits
        else "Choose a smaller model, or close other programs.",
    )
