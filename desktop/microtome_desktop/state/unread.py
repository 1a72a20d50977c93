"""Which results of an opened session no panel can show: damaged, or of another version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from microtome.records.adversarial import ADVERSARIAL, adversarial_of
from microtome.records.analysis import Analysis
from microtome.records.discovery import DISCOVERY
from microtome.records.faithfulness import FAITHFULNESS
from microtome.records.judgement import JUDGEMENT, STABILITY
from microtome.records.redundancy import REDUNDANCY, redundancy_of
from microtome.records.scrubbed import SCRUBBED, scrubbed_of
from microtome.records.session import Session
from microtome.records.slice_circuits import SLICE_CIRCUITS, slice_circuits_of
from microtome.records.suite_result import SUITE, suite_of
from microtome.records.sweep import SWEEP, sweep_of
from microtome_desktop.state.discovery_reading import (
    expect_circuit,
    read_curve,
    read_judgement,
    read_stability,
)
from microtome_desktop.state.foreign import UNREADABLE

_READERS: Mapping[str, Callable[[Analysis], Any]] = MappingProxyType({
    DISCOVERY: expect_circuit, FAITHFULNESS: read_curve, JUDGEMENT: read_judgement,
    STABILITY: read_stability, SCRUBBED: scrubbed_of, SWEEP: sweep_of, SUITE: suite_of,
    SLICE_CIRCUITS: slice_circuits_of, REDUNDANCY: redundancy_of, ADVERSARIAL: adversarial_of,
})  # fmt: skip


def unread(session: Session, *, among: Callable[[Analysis], bool]) -> tuple[str, ...]:
    """The titles of the results that cannot be read, of those that are ``among`` the ones to try.

    Large ones, whose arrays lie in a file still, are told of by whoever looks at them.
    """
    return tuple(
        one.title or one.id
        for one in session.analyses.values()
        if among(one) and not _can_be_read(one)
    )


def _can_be_read(analysis: Analysis) -> bool:
    try:
        _READERS.get(analysis.kind, bool)(analysis)
    except UNREADABLE:
        return False
    return True


def unread_text(titles: tuple[str, ...]) -> str:
    """Which they are, each once with how many there are of it."""
    counts = {title: titles.count(title) for title in titles}
    return ", ".join(f"{title} ({n})" if n > 1 else title for title, n in counts.items())
