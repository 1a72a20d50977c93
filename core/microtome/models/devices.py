"""Where a model can run and in which number format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from microtome.errors import InputError

_DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
DTYPES = tuple(_DTYPES)


def available_devices() -> tuple[str, ...]:
    """Devices of this machine, ``cpu`` first: ``cuda:0`` … and ``mps`` where there are any."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def use_threads(count: int) -> int:
    """Let torch compute on this many threads from now on; the window leaves one core free.

    Returns the number in use.
    """
    torch.set_num_threads(count)
    return torch.get_num_threads()


@contextmanager
def one_thread(*, when: bool = True) -> Iterator[None]:
    """Let torch compute on one thread within, if ``when``; then on as many as before.

    Small operations are done before a second thread has begun, and where another program has its
    core each of them waits: steps on pictures of 32 by 32 pixels then take ten times as long.
    """
    before = torch.get_num_threads()
    if not when or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_of(name: str) -> torch.device:
    """The torch device of a name; ``cuda`` means the first one.

    Raises InputError that lists the devices of this machine.
    """
    wanted = "cuda:0" if name == "cuda" else name
    found = available_devices()
    if wanted not in found:
        raise InputError(f"There is no device {name!r} here.", f"Choose one of {', '.join(found)}.")
    return torch.device(wanted)


def dtype_of(name: str) -> torch.dtype:
    """The torch type of a name.

    Raises InputError that lists the names.
    """
    if name not in _DTYPES:
        known = ", ".join(DTYPES)
        raise InputError(f"There is no number format {name!r}.", f"Choose one of {known}.")
    return _DTYPES[name]
