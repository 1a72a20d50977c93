"""Memory that ran out: known by its error, freed, and told with how much was needed.

No library tells it alike: Python and NumPy raise MemoryError, torch a RuntimeError whose text alone
says so. What a failed run holds hangs on the frames of its traceback; it is let go before anybody
keeps the error.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod

from microtome.errors import MemoryExceeded, megabytes

_PHRASES = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory")
# torch on the CPU, in bytes; torch on other devices and NumPy, in whole units.
_ASKED = re.compile(
    r"(?:tried|unable) to allocate ([\d.,]+) ?(bytes|[KMGT]i?B)", flags=re.IGNORECASE
)
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def memory_ran_out(error: BaseException) -> bool:
    """Whether an error means that memory ran out; on the CPU torch says so only in words."""
    if isinstance(error, MemoryError):
        return True
    told = str(error).lower() if isinstance(error, RuntimeError | OSError) else ""
    return any(phrase in told for phrase in _PHRASES)


def bytes_asked(error: BaseException) -> int | None:
    """How many bytes were asked for and not given, None where the error does not say."""
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
    if shape is not None and dtype is not None:  # NumPy rounds in its text
        return int(prod(shape)) * int(dtype.itemsize)
    found = _ASKED.search(str(error))
    if found is None:
        return None
    return round(float(found[1].replace(",", "")) * _UNITS[found[2][0].lower()])


def free_frames(error: BaseException | None) -> None:
    """Let go of what the frames of an error, and of those that led to it, hold in memory."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            waiting += [one.__cause__, one.__context__]


def memory_exceeded(
    what: str, way_out: str, error: BaseException, estimate: Callable[[], int] | None = None
) -> MemoryExceeded:
    """What to tell of memory that ran out; what the failed run held is free afterwards.

    ``what`` is a sentence without its dot. Where the error does not say how much was asked for,
    ``estimate`` gives the bytes that all of it takes.
    """
    asked = bytes_asked(error)
    free_frames(error)
    if asked is not None:
        what = f"{what}: {megabytes(asked)} more were needed at one place"
    elif estimate is not None:
        what = f"{what}, which takes about {megabytes(estimate())}"
    return MemoryExceeded(f"{what}.", way_out)


@contextmanager
def telling_of_memory(
    what: str, way_out: str, estimate: Callable[[], int] | None = None
) -> Iterator[None]:
    """Within, memory that runs out raises MemoryExceeded, as ``memory_exceeded`` words it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not memory_ran_out(error):
            raise
        raise memory_exceeded(what, way_out, error, estimate) from error
