"""Work that may take long, asked for by what shows it: at once, or by a worker that tells later."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

# Gives what ``make`` makes, kept under a key, or None where a worker makes it and tells later.
Preparing = Callable[[Hashable, Callable[[], Any]], Any]


def at_once(key: Hashable, make: Callable[[], Any]) -> Any:  # noqa: ARG001
    """Where there is no worker, everything is made when it is asked for."""
    return make()
