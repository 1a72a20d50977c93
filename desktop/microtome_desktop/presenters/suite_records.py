"""What a session holds of suites, as records; those of another version are left out and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from microtome.errors import MicrotomeError
from microtome.records.adversarial import ADVERSARIAL, Adversarial, adversarial_of
from microtome.records.analysis import Analysis
from microtome.records.redundancy import REDUNDANCY, Redundancy, redundancy_of
from microtome.records.session import Session
from microtome.records.slice_circuits import SLICE_CIRCUITS, CircuitDifference, slice_circuits_of
from microtome.records.suite_result import SUITE, SuiteResult, suite_of
from microtome.suites.comparing import compare_slices
from microtome_desktop.presenters.suites import redundancy_text, suite_text
from microtome_desktop.presenters.swaps import node_cells, swap_cells, swaps_text
from microtome_desktop.state.suites import of_kind

_UNREADABLE = (MicrotomeError, LookupError, AttributeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Held:
    """A record with the analysis that it was read from, and what is to be said of the others."""

    found: Any = None
    analysis: Analysis | None = None
    note: str = ""


def held_in(session: Session | None, kind: str, shown: str = "") -> Held:
    """The record of a kind that arrived last and can be read, ``shown`` before all others."""
    skipped = 0
    for analysis in of_kind(session, kind, shown):
        try:
            return Held(_READERS[kind](analysis), analysis, _note(skipped))
        except _UNREADABLE:
            skipped += 1
    return Held(note=_note(skipped))


def _note(skipped: int) -> str:
    if not skipped:
        return ""
    many = "1 result is" if skipped == 1 else f"{skipped} results are"
    return f"{many} of another version and not shown"


# Each says all that a page does of a record, so that what lacks a part fails here.


def _suite(analysis: Analysis) -> SuiteResult:
    found = suite_of(analysis)
    suite_text(found)
    return found


def _difference(analysis: Analysis) -> CircuitDifference | None:
    found = slice_circuits_of(analysis)
    pair = found.slices[:2]
    return compare_slices(found, *pair) if len(pair) == 2 else None


def _redundancy(analysis: Analysis) -> Redundancy:
    found = redundancy_of(analysis)
    redundancy_text(found)
    found.rows()
    return found


def _swaps(analysis: Analysis) -> Adversarial:
    found = adversarial_of(analysis)
    swaps_text(found)
    swap_cells(found)
    node_cells(found)
    return found


_READERS: Mapping[str, Callable[[Analysis], Any]] = MappingProxyType({
    SUITE: _suite, SLICE_CIRCUITS: _difference, REDUNDANCY: _redundancy, ADVERSARIAL: _swaps,
})  # fmt: skip
