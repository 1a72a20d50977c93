"""Activations for panels: at once when they are in memory, later when a file holds them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from microtome.errors import SiteMissing
from microtome.records.pattern import HeadPattern
from microtome.records.session import Session
from microtome.records.trace import Activation, Trace

# What panels keep of a file that is larger than memory should hold; 256 MiB shows every
# panel of a 4,096-token prompt.
_CACHE_BYTES = 256 * 2**20
EDITED = -1  # the number of the run with edits


@dataclass(frozen=True, slots=True)
class ArrayKey:
    """One layer of one site of one trace; with a head that head's alone.

    Traces: 0 clean, 1 corrupt, ``EDITED`` the clean one with edits.
    """

    trace: int
    site: str
    layer: int | None
    head: int | None = None


class Arrays:
    """Gives panels activations without reading a file on the GUI thread.

    ``get`` returns what is in memory. What a file holds is announced by ``wanted``; whoever
    reads it on the IO thread calls ``put``, and ``arrived`` tells the panels to draw again.
    """

    wanted = Signal(object)  # ArrayKey
    arrived = Signal(object)  # ArrayKey

    def __init__(self) -> None:
        self._session: Session | None = None
        self._cache: OrderedDict[ArrayKey, NDArray[Any] | HeadPattern] = OrderedDict()
        self._asked: set[ArrayKey] = set()

    def use(self, session: Session | None) -> None:
        """Serve another session; its own parts that are in memory need no cache."""
        if session is None or self._session is None or session.uuid != self._session.uuid:
            self._cache.clear()
            self._asked.clear()
        elif session.edited is not self._session.edited:
            for key in [key for key in self._cache if key.trace == EDITED]:
                del self._cache[key]
        self._session = session

    def get(self, trace: int, site: str, layer: int | None = None) -> NDArray[Any] | None:
        """The values of one site and layer, or None while a file is being read.

        Raises SiteMissing when the trace does not hold them.
        """
        run = None if self._session is None else run_of(self._session, trace)
        if self._session is None or run is None:
            return None
        key = ArrayKey(trace, site, layer)
        if isinstance(cached := self._cached(key), np.ndarray):
            return cached
        activations = run.activations
        held = activations.get(site)
        # A site or layer that is not held takes this way too: ``read`` says what is missing.
        if held is None or isinstance(held.values, np.ndarray) or not _holds(held, layer):
            return read(self._session, key)
        self._want(key)
        return None

    def pattern(
        self, layer: int, head: int, *, site: str = "pattern", ask: bool = True
    ) -> HeadPattern | None:
        """Where a head of the clean run looks, or None while the model computes it again.

        For a run whose patterns were not kept because they outgrow memory. Without ``ask`` the
        model is not asked.
        """
        key = ArrayKey(0, site, layer, head)
        if isinstance(cached := self._cached(key), HeadPattern):
            return cached
        if ask:
            self._want(key)
        return None

    def forget(self, key: ArrayKey) -> None:
        """What was wanted will not come; it may be asked for again."""
        self._asked.discard(key)

    def _cached(self, key: ArrayKey) -> NDArray[Any] | HeadPattern | None:
        if key in self._cache:
            self._cache.move_to_end(key)
        return self._cache.get(key)

    def _want(self, key: ArrayKey) -> None:
        if key not in self._asked:
            self._asked.add(key)
            self.wanted.emit(key)

    def put(self, key: ArrayKey, values: NDArray[Any] | HeadPattern) -> None:
        """Keep what was read, dropping what was not used for longest."""
        self._asked.discard(key)
        self._cache[key] = values
        while len(self._cache) > 1 and sum(a.nbytes for a in self._cache.values()) > _CACHE_BYTES:
            self._cache.popitem(last=False)
        self.arrived.emit(key)


def _holds(held: Activation, layer: int | None) -> bool:
    return layer is None or layer in held.layers


def run_of(session: Session, number: int) -> Trace | None:
    """The run of a number, None when the session has none."""
    if number == EDITED:
        return session.edited
    return session.traces[number] if number < len(session.traces) else None


def read(session: Session, key: ArrayKey) -> NDArray[Any]:
    """The values of a key, wherever they are: for the IO thread, or for arrays in memory.

    Raises SiteMissing when the trace does not hold them.
    """
    trace = run_of(session, key.trace)
    if trace is None:
        raise SiteMissing("The session does not hold this run.")
    if key.layer is None:
        return trace.activation(key.site)
    held = trace.activations.get(key.site)
    return trace.activation(key.site) if held is None else held.layer(key.layer)
