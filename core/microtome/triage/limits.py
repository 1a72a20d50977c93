"""What the look at a file may cost: by the file's size, and held to by the child itself."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000
PATIENCE = 90  # seconds by the clock: a busy machine is no damage
_LONGEST_HEADER = 100 * MB  # of safetensors
_FILES = 64  # that may be open at once


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds of processor time, and bytes of memory beyond what the child has at its start."""

    seconds: int
    memory: int


def budget(size: int, pace: int = 50, times: int = 3, most: Budget | None = None) -> Budget:
    """Of a file of so many bytes: 2 s + 2 s for each ``pace`` MB, 256 MB + ``times`` its size."""
    seconds, memory = 2 + math.ceil(2 * size / (pace * MB)), 256 * MB + times * size
    if most is None:
        return Budget(seconds, memory)
    return Budget(min(seconds, most.seconds), min(memory, most.memory))


def bytes_read(path: Path) -> int:
    """How many bytes of a file a look at it reads: of weights the beginning alone."""
    try:
        size = path.stat().st_size
        if path.suffix == ".npz":
            return min(size, MB)
        if path.suffix == ".safetensors":
            with path.open("rb") as file:
                announced = int.from_bytes(file.read(8), "little")
            return min(size, announced, _LONGEST_HEADER)
    except OSError:  # the check says so better
        return 0
    return size


def keep_to(limits: Budget) -> None:
    """Let this process use no more than that, write no file, and leave no dump of its memory."""
    if sys.platform != "win32":
        import resource
        import signal

        signal.alarm(PATIENCE)
        for what, soft in (
            # Counts what a process writes to in memory, not the files that it maps.
            (resource.RLIMIT_DATA, _in_use() + limits.memory),
            (resource.RLIMIT_CPU, limits.seconds),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NOFILE, _FILES),
        ):
            hard = resource.getrlimit(what)[1]
            lower = hard != resource.RLIM_INFINITY and hard < soft
            resource.setrlimit(what, (hard if lower else soft, hard))


def _in_use() -> int:
    """Bytes of data that this process has by now; of a system that does not tell, a fair guess."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[5])
    except (OSError, ValueError, IndexError):
        return 256 * MB
    import resource

    return pages * resource.getpagesize()
