"""Small results of an opened file, read at once, so that a window never waits for them later."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from microtome.errors import SessionDamaged
from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome.session.lazy import is_stored
from microtome.session.stored_circuit import StoredCircuit

EACH_AT_MOST = 4 * 2**20  # bytes of one analysis that are read when the file is opened
TOGETHER_AT_MOST = 64 * 2**20  # bytes of all that are


def with_edges(session: Session) -> Session:
    """The session, the edges of its circuit in memory however many they are."""
    if isinstance(session.circuit, StoredCircuit):
        session.circuit.read_edges()
    return session


def with_small_analyses(
    session: Session, *, each: int = EACH_AT_MOST, together: int = TOGETHER_AT_MOST
) -> Session:
    """The session with the arrays of its small analyses in memory; larger ones stay in the file.

    ``each`` and ``together`` are bytes; where not all fit, the smallest are taken. What cannot be
    read stays in the file as well: whoever looks at it gets the reason.
    """
    waiting = {name: _stored_bytes(one) for name, one in session.analyses.items()}
    analyses, left = dict(session.analyses), together
    for name in sorted(waiting, key=lambda name: waiting[name]):
        if 0 < waiting[name] <= min(each, left):
            left -= waiting[name]
            analyses[name] = _read(analyses[name])
    return replace(session, analyses=MappingProxyType(analyses))


def _stored_bytes(analysis: Analysis) -> int:
    """How much of an analysis is still in a file."""
    held = (one.values for one in analysis.arrays.values())
    return sum(max(1, values.nbytes) for values in held if is_stored(values))


def _read(analysis: Analysis) -> Analysis:
    try:
        arrays = {
            name: replace(one, values=one.values[...]) if is_stored(one.values) else one
            for name, one in analysis.arrays.items()
        }
    except SessionDamaged:
        return analysis
    return replace(analysis, arrays=MappingProxyType(arrays))
