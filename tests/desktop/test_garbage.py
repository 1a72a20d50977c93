"""Garbage is looked for in the GUI thread alone, as soon as Python would, while a window lives."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass
from typing import ClassVar

import pytest
from acts import rest

from microtome_desktop.jobs.garbage import GarbageCollector
from microtome_desktop.jobs.request import Request, Thread

MANY = 20_000


class Cycle:
    """Refers to itself, and tells the thread in which it was found to be garbage."""

    ended: ClassVar[set[int]] = set()

    def __init__(self):
        self.me = self

    def __del__(self):
        self.ended.add(threading.get_ident())


@dataclass(frozen=True)
class Litter(Request):
    """Makes far more cycles in a worker's thread than Python lets pass before it looks."""

    title: ClassVar[str] = "Litter"
    thread: ClassVar[Thread] = Thread.MODEL

    def perform(self, engine, job):
        for _ in range(MANY):
            Cycle()


def test_what_a_worker_leaves_is_collected_in_the_thread_of_the_window(bench, qtbot):
    Cycle.ended.clear()
    assert not gc.isenabled()
    bench.runner.ask(Litter())
    rest(bench, qtbot)
    qtbot.waitUntil(lambda: bool(Cycle.ended))
    assert Cycle.ended == {threading.get_ident()}


@pytest.fixture
def collector(qapp):
    """One with a clock that stands still until it is set."""
    now = [0.0]
    made = GarbageCollector(clock=lambda: now[0])
    made.now = now
    yield made
    made.end()


def looks(monkeypatch):
    """The generations that are looked at from now on."""
    seen, collect = [], gc.collect

    def watched(generation=2):
        seen.append(generation)
        return collect(generation)

    monkeypatch.setattr(gc, "collect", watched)
    return seen


def test_the_old_are_looked_at_when_they_have_grown_and_not_too_often(collector, monkeypatch):
    seen, kept = looks(monkeypatch), []
    for _ in range(12):
        kept.append([[] for _ in range(MANY)])
        collector.collect()
    assert set(seen) == {0, 1}
    for _ in range(90):  # a hundred thousand come of age, a second step after the first
        kept.append([[] for _ in range(1_500)])
        collector.collect()
    assert 2 not in seen
    collector.now[0] = 31.0
    collector.collect()
    assert seen.count(2) == 1
    for _ in range(30):
        kept.append([[] for _ in range(1_500)])
        collector.collect()
    assert seen.count(2) == 1


def test_python_collects_again_with_the_end_of_the_last_one(collector):
    other = GarbageCollector()
    was = GarbageCollector._living
    other.end()
    other.end()
    assert GarbageCollector._living == was - 1
    assert not gc.isenabled()
    if was == 2:  # no window of other tests is open
        collector.end()
        assert gc.isenabled()
